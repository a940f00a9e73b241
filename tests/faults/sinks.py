"""Every place where the service leaves something behind: files, logs, the database, and all that is in Valkey."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from redis import Redis

from schemas.settings import socket_path
from tests.stack import Stack

# Where personal data may lie, and why:
#   mail/         the mails themselves, until a mail server takes them
#   simulators/   the processors' side: what was sent to them is theirs
# Our own secrets may stand in development.env, in keys/ and, the simulated site's, in run/processes.json.
ALLOWED = ("mail", "simulators")
OWN_SECRETS = ("development.env", "keys", "run/processes.json")
READERS: dict[Any, Callable[[Redis, bytes], Any]] = {
    b"string": lambda client, key: client.get(key),
    b"hash": lambda client, key: client.hgetall(key),
    b"list": lambda client, key: client.lrange(key, 0, -1),
    b"set": lambda client, key: client.smembers(key),
    b"zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
    b"stream": lambda client, key: client.xrange(key),
}


def files(folder: Path, left_out: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """The bytes of every file: of the database, its WAL, the append-only file, run/ and whatever else there is."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith(left_out):
            yield f"file {name}", name.encode() + b"\n" + path.read_bytes()


def valkey(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """Every key with its value, by type and as dumped, and what the server remembers of commands and clients.

    RQ's registries, results and workers are keys like any others.
    """
    client = Redis(unix_socket_path=str(socket_path(stack.data_dir)))
    for key in client.scan_iter(count=1000):
        kind: Any = client.type(key)
        value = READERS[kind](client, key) if kind in READERS else None  # it may have expired since it was listed
        for part in _parts(value):
            yield f"valkey {key.decode(errors='replace')}", key + b"\n" + part
        dumped: Any = client.dump(key)
        yield f"valkey dump {key.decode(errors='replace')}", dumped or b""
    for command in ("SLOWLOG GET 1000", "CLIENT LIST", "PUBSUB CHANNELS *", "CONFIG GET *", "INFO everything"):
        yield f"valkey {command}", b"\n".join(_parts(client.execute_command(command)))  # type: ignore[no-untyped-call]
    client.close()


def _parts(value: Any) -> Iterator[bytes]:
    """The leaves of a reply, each by itself so that what is compressed can be unpacked."""
    if isinstance(value, dict):
        for pair in value.items():
            yield from _parts(pair)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _parts(item)
    else:
        yield value if isinstance(value, bytes) else str(value).encode()


def everything(stack: Stack, with_own_secrets: bool = True) -> Iterator[tuple[str, bytes]]:
    """`with_own_secrets`: leave out the places where our own secrets are at home."""
    yield "log", stack.log_path.read_bytes()
    yield from files(stack.data_dir, ALLOWED + (() if with_own_secrets else OWN_SECRETS))
    yield from valkey(stack)
    yield from files(stack.root, ("tests",))  # our own copy of the project; the canaries stand in its tests
