"""`make run` with a Procfile of small programs: it restarts, stops, keeps secrets and says what is wrong."""

import json
import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from dotenv import dotenv_values
from standardwebhooks.webhooks import Webhook

from console.launch.child import count_short_lives, pause_s
from console.launch.development import choose_ports, develop
from console.launch.procfile import parse_procfile
from schemas.policy import load_policy
from schemas.settings import socket_path
from tests.stack import ROOT, Stack, is_running, make_root

PROCFILE = """\
release: python -c "print('database is ready')"
web: gunicorn --config gunicorn.conf.py fake:app
record: python -c "import time; time.sleep(600)"
clock: python -c "import sys; sys.exit(3)"
"""
FAKE_APP = """\
def app(environ, start_response):
    if environ["PATH_INFO"] == "/broken":
        raise ValueError("kari@example.no")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ready"]
"""
# A processor that is configured, if only as absent, gets no simulator.
WITHOUT_SIMULATORS = {"WORDPRESS_URL": "", "STRIPE_API_KEY": "", "GOOGLE_CREDENTIALS": ""}


def fake_stack(directory: Path) -> Stack:
    """The project with small programs in the place of its own."""
    root = make_root(directory)
    (root / "Procfile").write_text(PROCFILE)
    (root / "fake.py").write_text(FAKE_APP)
    return Stack(directory, WITHOUT_SIMULATORS, root)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Not started yet, and the test's own."""
    made = fake_stack(tmp_path)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Running, for the tests that leave it running."""
    with fake_stack(tmp_path_factory.mktemp("shared")) as made:
        yield made


def every_process(data_dir: Path) -> list[int]:
    """All that run on this DATA_DIR, gunicorn's workers too."""
    marker = f"DATA_DIR={data_dir}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return [pid for pid in found if is_running(pid)]


def test_a_killed_process_comes_back_and_the_others_stay(shared: Stack) -> None:
    manager = shared.pids()["manager"]
    victims = {name: shared.kill(name) for name in ("record", "valkey", "web")}
    for name, pid in victims.items():
        shared.wait_restarted(name, pid)
    shared.wait_ready()
    assert shared.pids()["manager"] == manager
    client = redis.Redis(unix_socket_path=str(socket_path(shared.data_dir)))
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    client.close()


def test_a_process_that_always_fails_is_tried_again_and_holds_nothing_up(shared: Stack) -> None:
    def short_lives() -> int:
        return int(json.loads((shared.data_dir / "run" / "clock.json").read_text())["short_lives"])

    shared.wait_for(lambda: short_lives() >= 3, "for three restarts")
    assert shared.get_status("/health/ready") == 200


def test_the_pause_before_a_restart_is_bounded_and_forgotten_after_a_long_life() -> None:
    assert [pause_s(lives) for lives in (0, 1, 2, 3, 6, 1000)] == [0, 0.5, 1, 2, 10, 10]
    note = {"started_at_ms": 1_000_000, "short_lives": 7}
    assert count_short_lives(note, 1_002_999) == 8
    assert count_short_lives(note, 1_003_000) == 0
    assert count_short_lives({}, 1_000_000) == 0


def test_the_printed_sign_up_can_be_sent_as_it_stands(shared: Stack) -> None:
    (line,) = [line for line in shared.log_text().splitlines() if line.startswith("curl ")]
    answer = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("HTTP/1.1 200 OK\n")
    assert answer.stdout.endswith("\n\nready")


def test_the_mails_that_would_have_left_are_shown_on_this_machine(shared: Stack) -> None:
    (address,) = re.findall(r"Mails +(http://127\.0\.0\.1:\d+/)", shared.log_text())
    folder = shared.data_dir / "mail"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "0f.eml").write_text("Subject: Hei\nTo: kari@example.no\n\nHei")

    def is_shown() -> bool:
        shown = subprocess.run(["curl", "-sS", address], capture_output=True, text=True, check=False)
        return '<a href="/0f.eml">Hei</a>' in shown.stdout

    shared.wait_for(is_shown, "for the page of the mails")


def test_make_curl_prints_a_sign_up_with_a_signature_that_verifies(shared: Stack) -> None:
    command = [sys.executable, "-m", "console.launch", "--curl"]
    printed = subprocess.run(command, cwd=shared.root, env=shared.environment, capture_output=True, check=True)
    argv = shlex.split(printed.stdout.decode())
    headers = dict(argv[position + 1].split(": ", 1) for position, word in enumerate(argv) if word == "-H")
    verified = Webhook(shared.setting("FORM_SECRETS_NEWSLETTER")).verify(argv[-1], headers)
    assert verified["email"] == "kari@example.no"
    assert f"{shared.url}/webhooks/forms/newsletter" in argv


def test_every_line_is_shown_after_the_name_of_its_process(shared: Stack) -> None:
    assert "release | database is ready\n" in shared.log_text()


def test_the_server_log_names_events_and_never_shows_what_was_sent(shared: Stack) -> None:
    assert shared.get_status("/broken?to=kari@example.no") == 500
    with socket.create_connection(("127.0.0.1", shared.port)) as connection:
        connection.sendall(b"GET /kari@example.no NONSENSE\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
    shared.wait_for(lambda: "request_invalid" in shared.log_text(), "for the event")
    shown = [line for line in shared.log_text().splitlines() if not line.startswith("curl ")]
    assert any('"event": "request_failed", "error": "ValueError", "location": "fake.py:3' in line for line in shown)
    assert not [line for line in shown if "kari" in line]


def test_a_second_launcher_on_the_same_data_is_refused(shared: Stack, tmp_path: Path) -> None:
    second = Stack(shared.data_dir.parent, WITHOUT_SIMULATORS, shared.root)
    second.log_path = tmp_path / "second.log"
    assert second.launch().wait() == 1
    assert second.log_text() == f"samtykke: {shared.data_dir} is in use: another `make run` runs there.\n"
    assert shared.get_status("/health/ready") == 200


def test_everything_stops_in_order_and_a_second_start_keeps_secrets_and_keys(stack: Stack) -> None:
    stack.start()
    assert set(stack.pids()) == {"manager", "valkey", "web", "record", "clock", "mails"}
    secrets = dotenv_values(stack.data_dir / "development.env")
    keys = {path.name: path.read_bytes() for path in (stack.data_dir / "keys").iterdir()}
    assert secrets["FORM_SECRETS_NEWSLETTER"]
    for path in (stack.data_dir, *stack.data_dir.rglob("*")):
        assert path.is_socket() or stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert stack.stop(signal.SIGINT) == 0
    assert every_process(stack.data_dir) == []
    log = stack.log_text()
    assert log.index("server_stopping") < log.index("stopped: record") < log.index("ready to exit, bye bye")
    stack.start()
    assert dotenv_values(stack.data_dir / "development.env") == secrets
    assert {path.name: path.read_bytes() for path in (stack.data_dir / "keys").iterdir()} == keys
    assert stack.stop(signal.SIGTERM) == 0
    assert every_process(stack.data_dir) == []


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="death with the parent is Linux only")
@pytest.mark.parametrize("victim", ["manager", "launcher"])
def test_nothing_outlives_a_killed_manager_or_launcher(stack: Stack, victim: str) -> None:
    launcher = stack.start().launcher
    assert launcher is not None
    os.kill(launcher.pid if victim == "launcher" else stack.pids()["manager"], signal.SIGKILL)
    stack.wait_for(lambda: every_process(stack.data_dir) == [], "for every process to end")
    assert launcher.wait() == (-signal.SIGKILL if victim == "launcher" else 1)


def test_a_taken_port_is_one_clear_line(stack: Stack) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", stack.port))
        other.listen()
        assert stack.launch().wait() == 1
    assert stack.log_text().splitlines() == [
        f"samtykke: Port {stack.port} is taken. Stop what listens there, or choose another: PORT=8001 make run"
    ]


def test_a_failed_release_starts_nothing(stack: Stack) -> None:
    (stack.root / "Procfile").write_text(PROCFILE.replace("print('database is ready')", "raise SystemExit(7)"))
    assert stack.launch().wait() == 1
    assert stack.log_text().endswith("The release step failed with exit code 7: see the lines above.\n")
    assert not (stack.data_dir / "run" / "web.json").exists()


def test_a_data_folder_that_others_can_read_is_refused(stack: Stack) -> None:
    stack.data_dir.mkdir()
    stack.data_dir.chmod(0o755)
    (stack.data_dir / "something").touch()
    assert stack.launch().wait() == 1
    assert "chmod 700" in stack.log_text()


def test_a_procfile_is_read_as_heroku_reads_it() -> None:
    text = "# comment: no\nweb: gunicorn 'app:create_app()'\n\nrelay-urgent:  python -m workers x\n"
    assert parse_procfile(text) == {"web": "gunicorn 'app:create_app()'", "relay-urgent": "python -m workers x"}


def test_a_simulator_keeps_its_port_only_while_that_is_free() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        kept = {"STRIPE_API_BASE": f"http://127.0.0.1:{port}"}
        other.listen()
        assert choose_ports(("stripe",), kept, taken=8000)["stripe"] != port
    assert choose_ports(("stripe",), kept, taken=8000) == {"stripe": port}
    assert choose_ports(("stripe",), kept, taken=port)["stripe"] != port


def test_a_processor_that_is_configured_later_is_no_longer_simulated(tmp_path: Path) -> None:
    policy = load_policy(ROOT / "policy.toml")
    simulated = develop(policy, ("stripe",), {}, 8000, tmp_path)
    assert simulated.values["STRIPE_MODE"] == "any"
    assert simulated.values["STRIPE_API_BASE"] == f"http://127.0.0.1:{simulated.ports['stripe']}"
    configured = develop(policy, ("stripe",), {"STRIPE_API_KEY": "chosen"}, 8000, tmp_path)
    assert configured.ports == {}
    assert not {"STRIPE_MODE", "STRIPE_API_BASE", "UNSAFE_ALLOW_LOOPBACK"} & set(configured.values)
    assert configured.values["FORM_SECRETS_NEWSLETTER"] == simulated.values["FORM_SECRETS_NEWSLETTER"]
