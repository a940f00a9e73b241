"""The peer: dj-stripe on our server, with as many threads and on the same kind of database.

`peer hands on`: its best, which only stores the verified request and leaves the event to a task queue, as our door
leaves it to the recorder. `peer processes`: its default, which stores the event and fetches the session before it
answers.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.accept import Side
from tests.bench.client import HOST, BenchmarkError
from tests.bench.installation import Installation, count
from tests.bench.processes import serve, started
from tests.stack import ROOT, free_port
from tests.world import STRIPE_SECRET

PACKAGES = ROOT / "var" / "peers"  # the Makefile installs them
PROJECT = "tests.bench.peer_djstripe"
PATH = "/stripe/webhook/00000000-0000-4000-8000-000000000000"
NAME = "dj-stripe 2.11.0"
HANDS_ON, PROCESSES = "peer hands on", "peer processes"


def is_installed() -> bool:
    return (PACKAGES / "djstripe").is_dir()


@contextlib.contextmanager
def serve_peers(installation: Installation, *, processes: bool) -> Iterator[list[Side]]:
    """Both, or only the first, on one fresh database. None if they are not installed."""
    if not is_installed():
        yield []
        return
    own = {"PYTHONPATH": str(PACKAGES), "PEER_DATABASE": installation.peer_url, "PEER_STRIPE_API": ""}
    environment = {**installation.environment, **own}
    _make_database(environment, installation.log_path)
    with contextlib.ExitStack() as stack:

        def serve_peer(name: str, stripe_api: str, records: bool) -> Side:
            settings = {**environment, "PEER_STRIPE_API": stripe_api}
            server = stack.enter_context(serve(f"{PROJECT}:application", settings, installation.log_path))
            return Side(name, server, PATH, records)

        sides = [serve_peer(HANDS_ON, "", records=False)]
        if processes:
            port = free_port()
            argv = [sys.executable, "-m", "tests.bench.stripe_api", str(port)]
            stack.enter_context(started(argv, os.environ, installation.log_path))
            sides.append(serve_peer(PROCESSES, f"http://{HOST}:{port}", records=True))
        yield sides


def check_stored(installation: Installation, sides: Sequence[Side], requests: int) -> None:
    """`requests` of each; BenchmarkError if it has verified or processed more or less."""
    processing = sum(side.records for side in sides)
    for query, expected in (
        ("SELECT count(*) FROM djstripe_webhookeventtrigger WHERE valid", requests * len(sides)),
        ("SELECT count(*) FROM djstripe_event", requests * processing),
        ("SELECT count(*) FROM djstripe_session", requests * processing),
    ):
        if count(installation.peer_url, query) != expected:
            raise BenchmarkError(f"not {expected} as it must be: {query}")


def _make_database(environment: dict[str, str], log_path: Path) -> None:
    with log_path.open("ab") as log:
        argv = [sys.executable, "-m", PROJECT, STRIPE_SECRET]
        subprocess.run(argv, cwd=ROOT, env=environment, stdout=log, stderr=log, check=True, timeout=60)
