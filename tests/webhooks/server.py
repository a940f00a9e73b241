"""The door behind the real server, as the Procfile starts it, and a sender that says every byte itself."""

import contextlib
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from console.launch.procfile import parse_procfile
from schemas.settings import Settings, form_secrets_name
from tests.stack import free_port, own_environment
from tests.world import ROOT, STRIPE_SECRET

HOST = "127.0.0.1"
READY_WAIT_S = 60.0
ANSWER_WAIT_S = 30.0
_STATUS = re.compile(rb"HTTP/1\.[0-9] ([0-9]{3}) ")


@dataclass(frozen=True, slots=True)
class Server:
    port: int
    pid: int
    log: Path

    def connect(self) -> socket.socket:
        return socket.create_connection((HOST, self.port), timeout=ANSWER_WAIT_S)

    def exchange(self, sent: bytes, *, half_close: bool = True) -> bytes:
        """All that the server says to these bytes until it closes the connection."""
        with self.connect() as connection:
            with contextlib.suppress(OSError):  # it may have heard enough before the end
                connection.sendall(sent)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
            return read_to_end(connection)

    def is_well(self) -> bool:
        """Whether another sender, on a connection of its own, is answered as ever."""
        return statuses(self.exchange(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) == [200]


def read_to_end(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(65_536):
            received += data
    return received


def read_answer(connection: socket.socket) -> bytes:
    """One answer, by its length; the connection may be kept."""
    received = b""
    while b"\r\n\r\n" not in received:
        data = connection.recv(65_536)
        if not data:
            return received
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"\r\nContent-Length: ([0-9]+)", head)
    assert length is not None, head
    while len(body) < int(length.group(1)):
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def statuses(answers: bytes) -> list[int]:
    """Of every answer in what was read, 100 Continue too."""
    return [int(status) for status in _STATUS.findall(answers)]


@contextlib.contextmanager
def serving(settings: Settings, directory: Path, changes: Mapping[str, str] | None = None) -> Iterator[Server]:
    """The web process of the Procfile on loopback, with these settings."""
    port, log = free_port(), directory / "web.log"
    secrets = {form_secrets_name(form): ",".join(found) for form, found in settings.form_secrets.items()}
    environment = {
        **own_environment(),
        **secrets,
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "PORT": str(port),
        "STRIPE_WEBHOOK_SECRETS": STRIPE_SECRET,
        "STRIPE_MODE": "any",
        **(changes or {}),
    }
    environment["GUNICORN_CMD_ARGS"] = f"--bind {HOST}:{port} {environment.get('GUNICORN_CMD_ARGS', '')}"
    program, *arguments = shlex.split(parse_procfile((ROOT / "Procfile").read_text("utf-8"))["web"])
    with log.open("wb") as output:
        command = [str(Path(sys.executable).with_name(program)), *arguments]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    server = Server(port, process.pid, log)
    try:
        wait_until_live(server, process)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(ANSWER_WAIT_S)


def wait_until_live(server: Server, process: "subprocess.Popen[bytes]") -> None:
    until_s = time.monotonic() + READY_WAIT_S
    while process.poll() is None and time.monotonic() < until_s:
        with contextlib.suppress(OSError):
            if server.is_well():
                return
        time.sleep(0.05)
    raise AssertionError(server.log.read_text())
