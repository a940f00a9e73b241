"""The processes under measurement: gunicorn in front of an application, and Valkey; each started and stopped by pid."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from console.launch.procfile import valkey_process
from tests.bench.client import HOST, BenchmarkError
from tests.stack import ROOT, free_port

OUR_APPLICATION, FLOOR_APPLICATION = "app:create_app()", "tests.bench.floor:create_app()"
START_WAIT_S = 30.0
STOP_WAIT_S = 30.0
CPUCLOCK_SCHED = 2  # linux/posix-timers.h


@dataclass(frozen=True, slots=True)
class Server:
    """A running gunicorn."""

    process: "subprocess.Popen[bytes]"
    port: int

    def cpu_s(self) -> float:
        """Seconds of CPU that it and its workers have used so far."""
        return cpu_of_tree_s(self.process.pid)

    def readiness(self) -> dict[str, str]:
        """What /health/ready tells; empty while nobody answers, or for the floor, which tells nothing."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", "/health/ready")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                return {}
            return {"status": "ready"} | (json.loads(body) if body.startswith(b"{") else {})
        except (OSError, http.client.HTTPException):
            return {}
        finally:
            connection.close()


@contextlib.contextmanager
def serve(application: str, environment: Mapping[str, str], log_path: Path) -> Iterator[Server]:
    """gunicorn under our own gunicorn.conf.py, ready to answer; on loopback only."""
    port = free_port()
    argv = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "--bind", f"{HOST}:{port}", application]
    with started(argv, environment, log_path) as process:
        server = Server(process, port)
        wait_until(lambda: bool(server.readiness()), process, log_path)
        yield server


class Valkey:
    """The queue's server on a private socket, which can be killed, paused and brought back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "valkey.sock"
        self.url = f"unix://{self._socket}"
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Valkey":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.resume()
        self._stack.close()

    def start(self) -> None:
        (self._folder / "valkey").mkdir(mode=0o700, exist_ok=True)
        self._socket.unlink(missing_ok=True)
        argv = list(valkey_process(self._folder, self._socket).argv)
        log_path = self._folder / "valkey.log"
        self._process = self._stack.enter_context(started(argv, os.environ, log_path))
        wait_until(self._socket.exists, self._process, log_path)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(STOP_WAIT_S)

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def started(argv: list[str], environment: Mapping[str, str], log_path: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """A process until the end of the block. Its output is added to the log."""
    with log_path.open("ab") as log:
        process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[bytes]", log_path: Path) -> None:
    """BenchmarkError with the end of the log if the process ends, or nothing comes of it."""
    until_s = time.monotonic() + START_WAIT_S
    while not condition():
        if process.poll() is not None or time.monotonic() > until_s:
            raise BenchmarkError(f"a process did not start:\n{log_path.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)


def _stat(pid: int) -> list[str]:
    """The fields after the command's name: state, ppid, … (proc(5), /proc/pid/stat)."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()


def cpu_of_tree_s(pid: int) -> float:
    """Seconds of CPU, user and system, that a process and its children have used so far; to the nanosecond."""
    used_s = _cpu_s(pid)
    for child in _children(pid):
        with contextlib.suppress(OSError):
            used_s += _cpu_s(child)
    return used_s


def _cpu_s(pid: int) -> float:
    """By the process's own clock, whose number is what clock_getcpuclockid(3) gives; /proc/pid/stat counts in 10 ms."""
    return time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED)


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if int(_stat(int(entry.name))[1]) == parent:
                    found.append(int(entry.name))
    return found
