"""The witness as a server: made by commands, asked over HTTP, by many at once, and after a restart."""

import contextlib
import json
import stat
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
import requests
from click.testing import Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask.testing import FlaskClient, FlaskCliRunner

from app import create_console
from console.witness import (
    KEY_FILE,
    LOGS_FOLDER,
    FolderStore,
    WatchedLog,
    WitnessStateError,
    create_witness,
    format_watched_log,
    load_signer,
    parse_watched_log,
)
from ledger.cosignature import CosignatureVerifier, check_cosignatures
from ledger.errors import NotFoundError
from ledger.note import NoteSigner
from ledger.witness import REQUEST_SIZE_MAX_BYTES, TreeHead
from tests.ledger.desk import at_once
from tests.ledger.test_witness import FORK, LOG, NOW_MS, ORIGIN, REFUSED, STRANGER, TREE
from tests.world import ROOT, settings_for

NAME = "witness.example.org/w1"


@pytest.fixture
def console(tmp_path: Path) -> FlaskCliRunner:
    """The commands on a host that has nothing else: no key, no database, and no policy."""
    return create_console(settings_for(tmp_path / "nothing", policy_file=tmp_path / "no-policy")).test_cli_runner()


def run(console: FlaskCliRunner, *arguments: str) -> Result:
    return console.invoke(args=["witness", *arguments, "--json"])


@pytest.fixture
def folder(console: FlaskCliRunner, tmp_path: Path) -> Path:
    made = run(console, "init", str(tmp_path / "witness"), "--name", NAME, "--log", LOG.vkey())
    assert made.exit_code == 0, made.stderr
    return tmp_path / "witness"


@pytest.fixture
def client(folder: Path) -> FlaskClient:
    return create_witness(str(folder), clock=lambda: NOW_MS).test_client()


def verifier(folder: Path) -> CosignatureVerifier:
    return load_signer(folder).verifier()


def ask(client: FlaskClient, body: bytes) -> tuple[int, str, str]:
    answer = client.post("/add-checkpoint", data=body)
    return answer.status_code, answer.headers["Content-Type"], answer.get_data(as_text=True)


def text_of(size: int) -> str:
    return TREE.note(size).partition("\n\n")[0] + "\n"


def test_init_makes_a_key_that_only_its_owner_reads(console: FlaskCliRunner, folder: Path) -> None:
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o400
    shown = json.loads(run(console, "show", str(folder)).stdout)
    assert CosignatureVerifier.from_vkey(shown["key"]) == verifier(folder)
    assert shown["logs"] == [{"origin": ORIGIN, "size": 0}]


def test_init_never_replaces_a_key(console: FlaskCliRunner, folder: Path) -> None:
    before = (folder / KEY_FILE).read_bytes()
    again = run(console, "init", str(folder), "--name", NAME, "--log", LOG.vkey())
    assert (again.exit_code, again.stderr.strip()) == (4, "witness_exists")
    assert (folder / KEY_FILE).read_bytes() == before
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("name", "vkey", "reason"),
    [("a b", LOG.vkey(), "key_name_malformed"), (NAME, "nonsense", "vkey_malformed")],
)
def test_init_refuses_what_no_note_could_carry(
    console: FlaskCliRunner, tmp_path: Path, name: str, vkey: str, reason: str
) -> None:
    refused = run(console, "init", str(tmp_path / "new"), "--name", name, "--log", vkey)
    assert (refused.exit_code, refused.stderr.strip()) == (5, reason)
    assert not (tmp_path / "new").exists()


def test_a_log_or_a_key_of_one_is_added_while_it_serves(
    console: FlaskCliRunner, folder: Path, client: FlaskClient
) -> None:
    new_key = TREE.request(0, 3, note=TREE.note(3, [STRANGER]))
    other = NoteSigner("other.example.org", Ed25519PrivateKey.from_private_bytes(b"o" * 32))
    new_log = TREE.request(0, 3, note=TREE.note(3, [other], origin=other.name))
    assert [ask(client, body)[0] for body in (new_key, new_log)] == [403, 404]
    assert json.loads(run(console, "add-log", str(folder), "--log", STRANGER.vkey()).stdout)["keys"] == 2
    assert json.loads(run(console, "add-log", str(folder), "--log", other.vkey()).stdout)["keys"] == 1
    assert [ask(client, body)[0] for body in (new_key, new_log)] == [200, 200]
    again = json.loads(run(console, "add-log", str(folder), "--log", STRANGER.vkey()).stdout)
    assert again == {"origin": ORIGIN, "keys": 2, "size": 3}  # and what it remembers stays


def test_it_answers_as_the_specification_says(folder: Path, client: FlaskClient) -> None:
    status, kind, body = ask(client, TREE.request(0, 4))
    assert (status, kind) == (200, "text/plain; charset=utf-8")
    assert check_cosignatures(text_of(4), body, verifier(folder)).timestamp_s == NOW_MS // 1000
    assert ask(client, TREE.request(0, 9)) == (409, "text/x.tlog.size", "4\n")
    assert ask(client, TREE.request(4, 9))[0] == 200
    assert ask(client, FORK.request(9, 9)) == (409, "text/x.tlog.size", "9\n")
    assert ask(client, FORK.request(9, 12))[0] == 422


@pytest.mark.parametrize("case", REFUSED, ids=[case[0] for case in REFUSED])
def test_every_refusal_has_its_status(
    folder: Path, client: FlaskClient, case: tuple[str, int, bytes, int, str, int | None]
) -> None:
    _, known, body, status, reason, size = case
    if known:
        assert ask(client, TREE.request(0, known))[0] == 200
    expected = f"{reason}\n" if size is None else f"{size}\n"
    assert (ask(client, body)[0], ask(client, body)[2]) == (status, expected)
    assert FolderStore(folder).head(ORIGIN).size == known


def test_it_reads_no_more_than_a_request_can_have(client: FlaskClient) -> None:
    assert ask(client, bytes(REQUEST_SIZE_MAX_BYTES + 1))[0] == 413
    assert client.get("/add-checkpoint").status_code == 405
    assert client.post("/").status_code == 404


def test_a_restart_keeps_what_was_cosigned(folder: Path, client: FlaskClient) -> None:
    assert ask(client, TREE.request(0, 12))[0] == 200
    restarted = create_witness(str(folder), clock=lambda: NOW_MS).test_client()
    assert ask(restarted, FORK.request(0, 9)) == (409, "text/x.tlog.size", "12\n")
    assert ask(restarted, TREE.request(12, 20))[0] == 200


def test_of_many_that_ask_at_once_each_is_answered_by_what_is_on_the_disk(folder: Path) -> None:
    """Servers of their own, as processes are, that share only the folder."""
    servers = [create_witness(str(folder), clock=lambda: NOW_MS) for _ in range(4)]
    sizes = list(range(1, 21))
    deeds = [partial(ask, server.test_client(), TREE.request(0, size)) for server in servers for size in sizes]
    answers = at_once(deeds)
    kept = FolderStore(folder).head(ORIGIN)
    cosigned = {size for (status, _, _), size in zip(answers, sizes * 4, strict=True) if status == 200}
    assert cosigned == {kept.size}  # every other one came too late, from whatever process
    assert kept == TREE.head(kept.size)
    assert {body for status, _, body in answers if status == 409} == {f"{kept.size}\n"}


def test_of_two_histories_asked_for_at_once_only_one_is_ever_cosigned(folder: Path) -> None:
    servers = [create_witness(str(folder), clock=lambda: NOW_MS) for _ in range(8)]
    deeds = [
        partial(ask, server.test_client(), (TREE if number % 2 else FORK).request(0, 10))
        for number, server in enumerate(servers)
    ]
    cosigned = {number % 2 for number, (status, _, _) in enumerate(at_once(deeds)) if status == 200}
    assert len(cosigned) == 1


def test_a_state_that_cannot_be_read_or_written_cosigns_nothing(folder: Path, client: FlaskClient) -> None:
    (state,) = (folder / LOGS_FOLDER).glob("*.json")
    whole = state.read_bytes()
    for broken in (b"", b"[]", b"{}", whole.replace(ORIGIN.encode(), b"other"), whole.replace(b'"size"', b'"site"')):
        state.write_bytes(broken)
        assert ask(client, TREE.request(0, 4)) == (503, "text/plain; charset=utf-8", "witness_failed\n")
    state.write_bytes(whole)
    assert ask(client, TREE.request(0, 4))[0] == 200


def test_it_does_not_cosign_what_it_cannot_remember(folder: Path, client: FlaskClient) -> None:
    (state,) = (folder / LOGS_FOLDER).glob("*.json")
    lock = Path(f"{state}.lock")
    lock.unlink()
    lock.mkdir()  # whoever runs this, even root, cannot open it as a file
    assert ask(client, TREE.request(0, 4))[0] == 503
    lock.rmdir()
    assert FolderStore(folder).head(ORIGIN).size == 0
    assert ask(client, TREE.request(0, 4))[0] == 200


SERVER = """
import sys
from werkzeug.serving import make_server
from console.witness import create_witness

server = make_server("127.0.0.1", 0, create_witness(sys.argv[1]), threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
"""


def test_a_killed_witness_has_remembered_whatever_it_cosigned(folder: Path) -> None:
    """kill -9 in the middle of requests: never is anything answered that is not on the disk."""
    acknowledged = 0
    for round_number in range(3):
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(folder)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert server.stdout is not None
        address = f"http://127.0.0.1:{int(server.stdout.readline())}/add-checkpoint"
        killer = threading.Timer(0.01 * (round_number + 1), server.kill)
        with contextlib.suppress(requests.RequestException):
            while True:
                old = FolderStore(folder).head(ORIGIN).size
                size = old + 1 if old < 20 else 20
                if requests.post(address, data=TREE.request(old, size), timeout=30).status_code == 200:
                    acknowledged = size
                    if killer.ident is None:
                        killer.start()
        killer.join()
        server.wait(timeout=30)
        server.stdout.close()
        kept = FolderStore(folder).head(ORIGIN)
        assert round_number < acknowledged <= kept.size <= acknowledged + 1
        assert kept == TREE.head(kept.size)


def test_a_watched_log_is_read_as_it_was_written() -> None:
    watched = WatchedLog(ORIGIN, (LOG.vkey(), STRANGER.vkey()), TreeHead(9, bytes(range(32))))
    assert parse_watched_log(format_watched_log(watched)) == watched


def test_without_its_key_there_is_no_witness(console: FlaskCliRunner, tmp_path: Path, folder: Path) -> None:
    with pytest.raises(NotFoundError, match="witness_key_missing"):
        create_witness(str(tmp_path / "nowhere"))
    assert run(console, "add-log", str(tmp_path / "nowhere"), "--log", LOG.vkey()).exit_code == 1
    (folder / KEY_FILE).chmod(0o600)
    (folder / KEY_FILE).write_text('{"name": "a"}', encoding="ascii")
    with pytest.raises(WitnessStateError, match="witness_key_malformed"):
        create_witness(str(folder))
