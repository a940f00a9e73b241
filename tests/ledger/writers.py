"""Writers in a process of their own, which a test may kill: `python -m tests.ledger.writers URL FOLDER NAME...`.

Each NAME is one writer: a thread with its own connections. When all of the process are ready it says so on stdout, and
waits for a line on stdin. From then on each appends as fast as it can, one entry or a few in a transaction, each with a
person, a state and a box of its own. Whatever the database has acknowledged goes at once into FOLDER/NAME, a line for
each transaction: the position of its first entry, and the ids. At the end of stdin they stop. The writer `recorder` is
the one that may move SQLite's WAL into the file.
"""

import os
import random
import secrets
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.database import Database
from ledger.log import NewEntry, new_id, size
from ledger.state import REQUESTED
from schemas.entry import Entry, Kind
from tests.ledger.history import BEGIN_MS, Event, add_people, store

BATCH_SIZES = (1, 1, 1, 2, 10)
RECORDER = "recorder"
BOX = bytes(200)
READY = "ready\n"


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """One transaction of a writer: its entries stand from `first` on."""

    writer: str
    first: int
    ids: tuple[str, ...]


def read_acknowledged(path: Path) -> list[Acknowledged]:
    """In the order in which the writer got them. A last line may be cut off with its writer."""
    lines = path.read_text(encoding="ascii").splitlines(keepends=True) if path.exists() else []
    rows = [line.split() for line in lines if line.endswith("\n")]
    return [Acknowledged(path.name, int(first), tuple(ids)) for first, *ids in rows]


def make_events(count: int) -> list[Event]:
    events = []
    for _ in range(count):
        person = secrets.token_bytes(16)
        entry = Entry(new_id(BEGIN_MS), Kind.REQUESTED, BEGIN_MS, person, "newsletter", commitment=bytes(32))
        events.append(Event(NewEntry(entry, BOX), REQUESTED, BEGIN_MS))
    return events


def append(database: Database, events: Sequence[Event]) -> list[int]:
    with database.write() as connection:
        add_people(connection, [event.person for event in events])
        return store(connection, events)


class Writer(threading.Thread):
    """`may_begin` is set once, `must_end` when it is enough."""

    def __init__(self, url: str, path: Path, may_begin: threading.Event, must_end: threading.Event) -> None:
        super().__init__(name=path.name)
        self._database = Database(url, checkpoints=path.name == RECORDER, pool_size=1)
        with self._database.read() as connection:
            size(connection)  # connected before the race begins
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._may_begin = may_begin
        self._must_end = must_end
        self.error: BaseException | None = None

    def run(self) -> None:
        self._may_begin.wait()
        try:
            while not self._must_end.is_set():
                events = make_events(random.choice(BATCH_SIZES))
                first, *_ = append(self._database, events)
                ids = " ".join(event.new.entry.id for event in events)
                os.write(self._file, f"{first} {ids}\n".encode())  # past every buffer that dies with the process
        except BaseException as error:
            self.error = error
            self._must_end.set()
        finally:
            self._database.close()
            os.close(self._file)


def main() -> None:
    url, folder, *names = sys.argv[1:]
    may_begin, must_end = threading.Event(), threading.Event()
    writers = [Writer(url, Path(folder) / name, may_begin, must_end) for name in names]
    for writer in writers:
        writer.start()
    sys.stdout.write(READY)
    sys.stdout.flush()
    sys.stdin.readline()
    may_begin.set()
    sys.stdin.read()
    must_end.set()
    for writer in writers:
        writer.join()
        if writer.error is not None:
            raise writer.error


if __name__ == "__main__":
    main()
