"""Becomes one process: waits if it keeps dying, notes its pid, and makes sure it dies with its parent.

The process manager runs `python console/launch/child.py NAME`; what NAME is stands in processes.json of the folder
that SAMTYKKE_RUN_DIR names. The program replaces this one (exec), so its pid is the one that is managed. Imports
only the standard library: it runs at every start of every process.
"""

import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

RUN_DIR = "SAMTYKKE_RUN_DIR"
PARENT_PID = "SAMTYKKE_PARENT_PID"
PROCESSES_FILE = "processes.json"
PR_SET_PDEATHSIG = 1  # prctl(2)
SHORT_LIFE_MS = 3_000
PAUSE_FIRST_S = 0.5
PAUSE_MAX_S = 10.0
EXIT_NOT_FOUND = 127


def count_short_lives(previous: dict[str, Any], now_ms: int) -> int:
    """How many times in a row the process lived shorter than SHORT_LIFE_MS; `previous` is its last note."""
    if now_ms - int(previous.get("started_at_ms", 0)) >= SHORT_LIFE_MS:
        return 0
    return int(previous.get("short_lives", 0)) + 1


def pause_s(short_lives: int) -> float:
    """0, 0.5, 1, 2, 4, 8, 10, 10 ...: for ever, because what it waits for may come back after days."""
    if short_lives == 0:
        return 0
    return float(min(PAUSE_MAX_S, PAUSE_FIRST_S * 2 ** min(short_lives - 1, 10)))


def die_with_parent(number: int) -> None:
    """Ask the kernel for signal `number` when the parent ends, however it ends. Linux only; kept over exec."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    # The parent may have ended before the call above: then nobody would ever send the signal.
    if os.getppid() != int(os.environ.get(PARENT_PID, os.getppid())):
        sys.exit(1)


def note_start(path: Path) -> None:
    """Wait out the pause that is due, then write pid, time and count to `path`."""
    try:
        previous = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        previous = {}
    short_lives = count_short_lives(previous, time.time_ns() // 1_000_000)
    time.sleep(pause_s(short_lives))
    note = {"pid": os.getpid(), "started_at_ms": time.time_ns() // 1_000_000, "short_lives": short_lives}
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(note), encoding="ascii")
    os.replace(draft, path)


def main(name: str) -> None:
    run_dir = Path(os.environ[RUN_DIR])
    process = json.loads((run_dir / PROCESSES_FILE).read_text(encoding="utf-8"))[name]
    die_with_parent(signal.Signals[process["death_signal"]])
    note_start(run_dir / f"{name}.json")
    argv = process["argv"]
    environment = {**os.environ, **process["environment"], PARENT_PID: str(os.getpid())}
    try:
        os.execvpe(argv[0], argv, environment)  # noqa: S606 - a shell is not wanted; the Procfile's lines bring theirs
    except OSError as error:
        sys.stderr.write(f"cannot run {name}: {error.strerror}\n")
        sys.exit(EXIT_NOT_FOUND)


if __name__ == "__main__":
    main(sys.argv[1])
