"""A Gmail that others wrote: `emulate`, from npm, run as a process of its own. Fetched once, below var/emulate.

https://www.npmjs.com/package/emulate, Apache-2.0. Its version is pinned: another program has the name since 1.0.
"""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PACKAGE = "emulate@0.11.2"
CACHE = Path(__file__).resolve().parents[2] / "var" / "emulate"
FETCH_WAIT_S, START_WAIT_S = 120, 30.0
TOKEN = "test_token_owner"  # noqa: S105 - of a program that runs for one test


class EmulateMissingError(Exception):
    """What this machine cannot fetch."""


def fetch() -> tuple[str, str]:
    """The command, from the cache if it is there. Raises EmulateMissingError."""
    node, npm, script = (
        shutil.which("node"),
        shutil.which("npm"),
        CACHE / "node_modules" / "emulate" / "dist" / "index.js",
    )
    if node is None or npm is None:
        raise EmulateMissingError("needs node and npm")
    CACHE.mkdir(parents=True, exist_ok=True)
    command = (npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(CACHE), PACKAGE)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side
        try:
            if not script.exists():
                subprocess.run(command, capture_output=True, timeout=FETCH_WAIT_S, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise EmulateMissingError(type(error).__name__) from error
    return node, str(script)


@contextmanager
def running(directory: Path, address: str, messages: list[Mapping[str, Any]]) -> Iterator[str]:
    """Its address, with these messages in the mailbox and TOKEN for its owner. Raises EmulateMissingError."""
    command = fetch()
    seed = {
        "tokens": {TOKEN: {"login": address, "scopes": []}},
        "google": {
            "users": [{"email": address, "name": "Post"}],
            "messages": [{"user_email": address, **each} for each in messages],
        },
    }
    path = directory / "emulate.json"
    path.write_text(json.dumps(seed))
    port = _free_port()
    arguments = ("start", "--service", "google", "--port", str(port), "--seed", str(path))
    process = subprocess.Popen(
        (*command, *arguments), cwd=directory, env={**os.environ, "NO_COLOR": "1"}, stdout=subprocess.DEVNULL
    )
    try:
        _wait(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    begun = time.monotonic()
    url = f"http://127.0.0.1:{port}/gmail/v1/users/me/labels"
    asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
    while process.poll() is None and time.monotonic() - begun < START_WAIT_S:
        with suppress(OSError), urllib.request.urlopen(asked, timeout=5):
            return
        time.sleep(0.05)
    raise EmulateMissingError("it did not start")
