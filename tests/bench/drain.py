"""The recorder's speed: `python -m tests.bench.drain` empties the inbox of DATA_DIR as the recorder's process does.

Its log goes to stdout, as in production; the last line there is the result.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.log_line import configure_logging
from schemas.settings import load_settings
from tests.bench.client import BenchmarkError
from tests.bench.floor import DATABASE, INSERT, open_floor
from tests.bench.installation import Installation
from tests.stack import ROOT
from workers.context import build_context
from workers.record import BATCH_ROWS, drain

LIMIT_S = 60.0
BODY_SIZE_BYTES = 400  # about what an inbox row of ours holds
FLOOR_ROWS = 20_000  # fewer would be over too soon to be timed


@dataclass(frozen=True, slots=True)
class Recorded:
    """Deliveries per second by the clock, and the CPU of each."""

    rate_per_s: float
    cpu_us: float


def record(installation: Installation) -> Recorded:
    """Empty the inbox as the door left it. BenchmarkError if one delivery was not recorded."""
    waiting = installation.accepted()
    argv = [sys.executable, "-m", "tests.bench.drain"]
    run = subprocess.run(
        argv, cwd=ROOT, env=installation.environment, stdout=subprocess.PIPE, timeout=LIMIT_S, check=True
    )
    result = json.loads(run.stdout.splitlines()[-1])
    if not waiting == result["deliveries"] == installation.recorded():
        raise BenchmarkError("not every delivery was recorded")
    return Recorded(waiting / float(result["elapsed_s"]), float(result["cpu_s"]) / waiting * 1e6)


def inserted_per_s(folder: Path) -> float:
    """The floor: rows inserted per second, as many in one transaction as the recorder takes."""
    folder.mkdir()
    connection = open_floor(folder / DATABASE, checkpoints=True)
    body = bytes(BODY_SIZE_BYTES)
    elapsed_s = insert_rows(connection, [(str(number), body) for number in range(FLOOR_ROWS)], BATCH_ROWS)
    connection.close()
    return FLOOR_ROWS / elapsed_s


def insert_rows(connection: Any, rows: Sequence[tuple[str, bytes]], batch_rows: int) -> float:
    """Seconds that it took, with `batch_rows` in one transaction."""
    began_s = time.perf_counter()
    for first in range(0, len(rows), batch_rows):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, rows[first : first + batch_rows])
        connection.execute("COMMIT")
    return time.perf_counter() - began_s


def main() -> None:
    settings = load_settings(ROOT)
    configure_logging(settings.log_level)
    context = build_context(settings, "record")
    began_s, cpu_began_s = time.perf_counter(), time.process_time()
    deliveries = 0
    while count := drain(context):
        deliveries += count
    result = {
        "deliveries": deliveries,
        "elapsed_s": time.perf_counter() - began_s,
        "cpu_s": time.process_time() - cpu_began_s,
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
