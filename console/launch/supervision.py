"""Runs the plan under supervisord, shows every line with its process' name, and stops it all in order.

Why supervisor: when one process ends it restarts that one and leaves the others alone (honcho stops them all). What
it lacks is in console/launch/child.py: a pause that never grows past 10 s and never gives up, and death with the
parent.
"""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from console.launch.child import PARENT_PID
from console.launch.errors import LaunchError
from console.launch.folders import remove_socket_folder
from console.launch.output import Output
from console.launch.preparation import Plan, write_processes
from console.launch.procfile import STAGES, Process
from schemas.settings import socket_path

MANAGER = "manager"
STOP_WAIT_S = 25  # as long as gunicorn's graceful_timeout
READY_WAIT_S = 60.0
READY_POLL_S = 0.5
# Run by their paths: as modules of the package they would import the whole console first, once for each process.
CHILD = "console/launch/child.py"
SUPERVISORD = "console/launch/manager.py"
# startsecs=0: to supervisord every start is a success, so it restarts for ever instead of giving up (FATAL).
PROGRAM = """\
[program:{name}]
command={python} -I -S {child} {name}
autorestart=true
startsecs=0
startretries=1000000
stopasgroup=true
killasgroup=true
stopwaitsecs={wait}
redirect_stderr=true
stdout_logfile=/dev/fd/{descriptor}
stdout_logfile_maxbytes=0
"""


class Stopper:
    """Turns SIGINT, SIGTERM and SIGHUP into one SIGTERM for whatever runs now, as often as they come."""

    def __init__(self) -> None:
        self.asked = False
        self._running: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)

    def _ask(self, *_: Any) -> None:
        self.asked = True
        if self._running is not None and self._running.poll() is None:
            self._running.terminate()

    def watch(self, running: subprocess.Popen[bytes]) -> None:
        self._running = running
        if self.asked:
            running.terminate()


def manager_configuration(processes: tuple[Process, ...], descriptors: dict[str, int]) -> str:
    """supervisord's configuration (supervisord.org/configuration.html): one program each, one group per stage."""
    # supervisord finds the interpreter on the PATH: a path in the file could hold %, # or ; which mean something.
    python = Path(sys.executable).name
    parts = ["[supervisord]\nnodaemon=true\nnocleanup=true\nchildlogdir=.\nminfds=256\nminprocs=64\numask=077\n"]
    if os.getuid() == 0:
        parts[0] += "user=root\n"
    for priority, stage in enumerate(STAGES):
        members = [process.name for process in processes if process.stage == stage]
        if members:
            parts.append(f"[group:{stage}-stage]\nprograms={','.join(members)}\npriority={priority}\n")
        for name in members:
            parts.append(
                PROGRAM.format(name=name, python=python, child=CHILD, wait=STOP_WAIT_S, descriptor=descriptors[name])
            )
    return "\n".join(parts)


def manager_process(run_dir: Path) -> Process:
    """supervisord itself. It gets SIGTERM when we are killed, and then stops the others in their order."""
    files = ("-c", str(run_dir / "supervisord.conf"), "-j", str(run_dir / "supervisord.pid"), "-l", os.devnull)
    argv = ("python", "-P", SUPERVISORD, "-n", "-y", "0", "-e", "warn", *files)
    return Process(MANAGER, MANAGER, argv, death_signal="SIGTERM")


def start(plan: Plan, name: str, output: Output, kept_open: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    """Start `name` of processes.json in a session of its own: the terminal's signals reach only us."""
    descriptor = output.open(name)
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-I", "-S", CHILD, name],
        stdin=subprocess.DEVNULL,
        stdout=descriptor,
        stderr=descriptor,
        env={**plan.environment, PARENT_PID: str(os.getpid())},
        pass_fds=kept_open,
        start_new_session=True,
    )
    output.close_ours()
    return process


def run_release(plan: Plan, output: Output, stopper: Stopper) -> None:
    """The Procfile's release step: nothing starts on a database that it could not prepare."""
    if plan.release is None or stopper.asked:
        return
    process = start(plan, plan.release.name, output)
    stopper.watch(process)
    while output.is_open:
        output.forward(timeout_s=1)
    code = process.wait()
    if code and not stopper.asked:
        raise LaunchError("release_failed", f"The release step failed with exit code {code}: see the lines above.")


def is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def supervise(plan: Plan, stopper: Stopper, greet: Callable[[], str]) -> None:
    """Run until a signal asks to stop; what `greet` gives is shown once, when /health/ready answers 200."""
    output = Output(process.name for process in plan.processes)
    manager = manager_process(plan.run_dir)
    write_processes(plan.run_dir, (*plan.processes, manager, *((plan.release,) if plan.release else ())))
    run_release(plan, output, stopper)
    if stopper.asked:
        return
    descriptors = {process.name: output.open(process.name) for process in plan.processes}
    configuration = manager_configuration(plan.processes, descriptors)
    (plan.run_dir / "supervisord.conf").write_text(configuration, encoding="utf-8")
    running = start(plan, MANAGER, output, (plan.lock, *descriptors.values()))
    stopper.watch(running)
    try:
        follow(plan.settings.port, output, stopper, greet)
    finally:
        running.terminate()
        code = running.wait()
        remove_socket_folder(socket_path(plan.settings.data_dir).parent, plan.settings.data_dir)
    if not stopper.asked:
        raise LaunchError("manager_ended", f"The process manager ended by itself with exit code {code}.")


def follow(port: int, output: Output, stopper: Stopper, greet: Callable[[], str]) -> None:
    """Forward output until every process has ended, and look for readiness meanwhile."""
    started_s = looked_s = time.monotonic()
    waiting = True
    while output.is_open:
        output.forward(timeout_s=READY_POLL_S)
        now_s = time.monotonic()
        if not waiting or stopper.asked or now_s - looked_s < READY_POLL_S:
            continue
        looked_s = now_s
        if is_ready(port):
            output.say(greet())
            waiting = False
        elif now_s - started_s > READY_WAIT_S:
            output.say("Not ready after 60 s. It goes on trying; the lines above say what it lacks.")
            waiting = False
