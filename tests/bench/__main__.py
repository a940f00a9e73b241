"""`make bench`: measure, print a Markdown table, and write var/bench.json. `--quick` for a look of a minute."""

import argparse
import os
import platform
import signal
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from ledger.sqlite import sqlite
from tests.bench import door, ledger, peer, relays
from tests.bench.processes import Valkey
from tests.bench.table import Row, format_markdown, write_json
from tests.postgres import PostgresServer
from tests.stack import ROOT

DOOR, LEDGER, RELAYS = "door", "ledger", "relays"


def machine() -> str:
    """The facts without which no figure means anything."""
    cpus = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in cpus if line.startswith("model name")), platform.machine())
    return (
        f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}, SQLite {sqlite.sqlite_version}, "
        f"gunicorn {version('gunicorn')}"
    )


def measure_door(folder: Path, *, is_quick: bool) -> list[Row]:
    with (
        tempfile.TemporaryDirectory(prefix="samtykke-") as queue_folder,  # a socket's path must be short
        Valkey(Path(queue_folder)) as valkey,
        PostgresServer(folder) as postgresql,
        door.one_client() as clients,
    ):
        return door.Benchmark(door.QUICK if is_quick else door.FULL, folder, valkey, postgresql, clients).run()


def measure_relays(folder: Path, *, is_quick: bool) -> list[Row]:
    folder.mkdir()
    with PostgresServer(folder) as postgresql:
        return relays.measure(folder, postgresql, is_quick=is_quick)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, requests and entries")
    parser.add_argument("--only", choices=(DOOR, LEDGER, RELAYS), help="one of the three")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    (ROOT / "var").mkdir(mode=0o700, exist_ok=True)
    before = f"load average before {os.getloadavg()[0]:.1f}"
    rows: list[Row] = []
    # In var/, because that is the disk the service writes to: /tmp may be memory.
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "var") as folder:
        if arguments.only in (None, DOOR):
            if not peer.is_installed():
                sys.stderr.write("no dj-stripe in var/peers, so no row has it; `make bench` installs it\n")
            rows += measure_door(Path(folder), is_quick=arguments.quick)
        if arguments.only in (None, LEDGER):
            rows += ledger.measure(ledger.QUICK if arguments.quick else ledger.FULL, Path(folder) / "ledger")
        if arguments.only in (None, RELAYS):
            rows += measure_relays(Path(folder) / "relays", is_quick=arguments.quick)
    write_json(rows, ROOT / "var" / "bench.json")
    after = f"after {os.getloadavg()[0]:.1f}"
    sys.stdout.write(f"{machine()}, {before}, {after}\n\n{format_markdown(rows)}\n")


if __name__ == "__main__":
    main()
