"""`make bench`: measure, print a Markdown table, and write var/bench.json. `--quick` for a look of half a minute."""

import argparse
import os
import platform
import signal
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from ledger.sqlite import sqlite
from tests.bench.measurements import FULL, QUICK, Benchmark, one_client
from tests.bench.processes import Valkey
from tests.bench.table import format_markdown, write_json
from tests.stack import ROOT


def machine() -> str:
    """The facts without which no figure means anything."""
    cpus = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in cpus if line.startswith("model name")), platform.machine())
    return (
        f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}, SQLite {sqlite.sqlite_version}, "
        f"gunicorn {version('gunicorn')}, load average before {os.getloadavg()[0]:.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and requests")
    size = QUICK if parser.parse_args().quick else FULL
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    facts = machine()
    (ROOT / "var").mkdir(mode=0o700, exist_ok=True)
    with (
        # In var/, because that is the disk the service writes to: /tmp may be memory.
        tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "var") as folder,
        tempfile.TemporaryDirectory(prefix="samtykke-") as queue_folder,  # a socket's path must be short
        Valkey(Path(queue_folder)) as valkey,
        one_client() as clients,
    ):
        benchmark = Benchmark(size, Path(folder), valkey, clients)
        rows = benchmark.run()
    write_json(rows, ROOT / "var" / "bench.json")
    sys.stdout.write(f"{facts}; medians of {benchmark.rounds} rounds\n\n{format_markdown(rows)}\n")


if __name__ == "__main__":
    main()
