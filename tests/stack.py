"""The whole service as processes, started as `make run` starts it: the ground of the tests that break things."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from dotenv import dotenv_values
from standardwebhooks.webhooks import Webhook

from schemas.dialects import DIALECTS, STANDARD
from schemas.options import OPTIONS
from schemas.policy import load_policy
from schemas.settings import FORM_SECRETS_PREFIX, form_secrets_name

ROOT = Path(__file__).resolve().parents[1]
READY_WAIT_S = 90.0
STOP_WAIT_S = 150.0
POLL_S = 0.05
READY_LINE = "Samtykke is ready."
# Compiled modules come along (a copy keeps their times, so they stay valid), but not while they are being written.
LEFT_OUT = (".env", ".samtykke.env*", ".venv", ".git", ".*_cache", ".hypothesis", "var", "docs", "*.pyc.*")
LEAKING = ("GUNICORN_CMD_ARGS", "PROMETHEUS_MULTIPROC_DIR", "FLASK_APP")


class StackError(Exception):
    """The stack did not do what was waited for; the text ends with what its processes wrote."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_running(pid: int) -> bool:
    """Whether the process lives. A zombie does not: where nobody reaps orphans it would stay for ever."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return not status.parent.parent.joinpath("self").exists()


def group_is_running(group: int) -> bool:
    """Whether any process of the group lives: gunicorn's workers are in the group of their master."""
    if not Path("/proc/self/stat").exists():
        return is_running(group)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, member_of = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if member_of == str(group) and state not in ("Z", "X"):
            return True
    return False


def make_root(directory: Path) -> Path:
    """A copy of the project's folder without the developer's own .env and data, which must not leak in."""
    root = directory / "project"
    if not root.exists():
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*LEFT_OUT))
    return root


def own_environment() -> dict[str, str]:
    """Ours without the settings of the service."""
    names = {option.name for option in OPTIONS} | {f"{option.name}_FILE" for option in OPTIONS} | {*LEAKING}
    kept = {name: value for name, value in os.environ.items() if name not in names}
    return {name: value for name, value in kept.items() if not name.startswith((FORM_SECRETS_PREFIX, "SAMTYKKE_"))}


class Stack:
    """`with Stack(tmp_path) as stack:` runs until the end of the block. `stop()` and `start()` keep the data.

    `environment` adds settings; a processor named there (WORDPRESS_URL, STRIPE_API_KEY, GOOGLE_CREDENTIALS) gets
    no simulator. `root` is a project folder of the test's own, with its own Procfile.
    """

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None, root: Path | None = None) -> None:
        self.root = root or make_root(directory)
        self.data_dir = directory / "var"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = directory / "launcher.log"
        programs = str(Path(sys.executable).parent)
        self.environment = {
            **own_environment(),
            "PATH": os.pathsep.join((programs, os.environ.get("PATH", os.defpath))),
            "DATA_DIR": str(self.data_dir),
            "PORT": str(self.port),
            "SOURCE_LIMIT_PER_S": "0",  # what breaks here is broken under load
            "SAMTYKKE_NO_POINTER": "1",
            **(environment or {}),
        }
        self.launcher: subprocess.Popen[bytes] | None = None

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start the launcher in a session of its own and do not wait."""
        self.log_path.unlink(missing_ok=True)
        with self.log_path.open("wb") as log:
            self.launcher = subprocess.Popen(
                [sys.executable, "-m", "console.launch"],
                cwd=self.root,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.launcher

    def start(self) -> Self:
        """Start, and wait until /health/ready answers 200 and the launcher has said so."""
        launcher = self.launch()
        self.wait_for(lambda: READY_LINE in self.log_text() or launcher.poll() is not None, "to be ready")
        if launcher.poll() is not None:
            raise StackError(f"the launcher ended with {launcher.returncode}\n{self.log_text()}")
        return self

    def stop(self, number: signal.Signals = signal.SIGINT) -> int | None:
        """Send `number` to the launcher's process group and wait until nothing is left; its exit code."""
        if self.launcher is None:
            return None
        pids = self.pids()
        if self.launcher.poll() is None:
            os.killpg(self.launcher.pid, number)
        code = self.launcher.wait(STOP_WAIT_S)
        self.launcher = None
        self.wait_for(lambda: not any(map(is_running, pids.values())), "to stop", STOP_WAIT_S)
        return code

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_for(self, condition: Callable[[], bool], what: str, wait_s: float = READY_WAIT_S) -> None:
        """Poll until `condition`; raises StackError with the log after `wait_s`."""
        until_s = time.monotonic() + wait_s
        while not condition():
            if time.monotonic() > until_s:
                raise StackError(f"waited {wait_s:.0f} s {what}\n{self.log_text()}")
            time.sleep(POLL_S)

    def log_text(self) -> str:
        """Everything that the launcher and its processes wrote since the last start."""
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def pids(self) -> dict[str, int]:
        """The pid of each process by its name in the Procfile; `manager` is supervisord, then `valkey` and the
        simulators (`stripe-simulator` ...). A process that is about to be restarted has its old pid until then.
        """
        notes = (path for path in (self.data_dir / "run").glob("*.json") if path.name != "processes.json")
        return {path.stem: int(json.loads(path.read_text())["pid"]) for path in notes if path.stem != "release"}

    def valkey_pid(self) -> int:
        return self.pids()["valkey"]

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to one process and give its pid, for `wait_restarted`."""
        pid = self.pids()[name]
        os.kill(pid, number)
        return pid

    def wait_restarted(self, name: str, old_pid: int) -> int:
        """The new pid, once there is one and nothing is left of the old one, its workers included."""

        def has_new_pid() -> bool:
            pid = self.pids().get(name, old_pid)
            return pid != old_pid and is_running(pid) and not group_is_running(old_pid)

        self.wait_for(has_new_pid, f"for {name} to come back")
        return self.pids()[name]

    def wait_ready(self) -> None:
        """Until /health/ready answers 200 (again)."""
        self.wait_for(lambda: self.get_status("/health/ready") == 200, "to be ready again")

    def get_status(self, path: str) -> int | None:
        """The status of a GET; None if nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def setting(self, name: str) -> str:
        """A setting as the processes see it: from the environment, or from development.env."""
        return self.environment.get(name) or dotenv_values(self.data_dir / "development.env").get(name) or ""

    def simulator(self, kind: str) -> str:
        """The address of a simulator: `wordpress`, `stripe` or `google`."""
        names = {"wordpress": "WORDPRESS_URL", "stripe": "STRIPE_API_BASE", "google": "GOOGLE_API_BASE"}
        return self.setting(names[kind])

    def form_headers(self, form: str, body: bytes, message_id: str | None = None) -> dict[str, str]:
        """What authenticates `body` for a form: a signature (generic), or the secret in its header."""
        declared = load_policy(self.root / "policy.toml").forms[form]
        secret = self.setting(form_secrets_name(form)).split(",")[0]
        if DIALECTS[declared.dialect].scheme != STANDARD:
            return {declared.secret_header: secret}
        now = datetime.now(UTC)
        message_id = message_id or f"msg_{os.urandom(12).hex()}"
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(message_id, now, body.decode()),
        }

    def cli(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `flask` with these arguments, as an operator would in the project's folder."""
        flask = shutil.which("flask", path=self.environment["PATH"])
        assert flask is not None, "flask is not installed beside this interpreter"
        return subprocess.run(
            [flask, *arguments], cwd=self.root, env=self.environment, capture_output=True, text=True, check=False
        )
