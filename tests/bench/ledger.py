"""The ledger's figures: what an entry costs however many there are, proofs beside a peer, an audit, and bytes.

One ledger is filled once with the seeded history of the tests, as in service, and serves every figure. Sides that are
compared are measured in turn, so that other work on the machine hits all of them.
"""

import random
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from pymerkle import SqliteTree
from sqlalchemy import Connection

from ledger import tlog
from ledger.audit import audit
from ledger.database import Database
from ledger.log import append_many, entry_at, node_reader, read_entries, root
from ledger.migrate import upgrade
from ledger.sqlite import sqlite
from schemas.entry import format_leaf
from tests.bench.client import BenchmarkError
from tests.bench.drain import insert_rows
from tests.bench.floor import DATABASE, open_floor
from tests.bench.table import Row, compare, compare_peer, measured
from tests.ledger.history import Event, add_people, generate, replay
from tests.postgres import PostgresServer

SEED, OTHER_SEED = 1, 2
BATCH, FILL_BATCH = 100, 1_000
PEER = f"pymerkle {version('pymerkle')} SqliteTree"


@dataclass(frozen=True, slots=True)
class Size:
    """Appends are measured at each of `entries`, everything else at the last of them.

    A window is so many entries in batches of BATCH; a round has one window of each side. Of every `proofs` of ours the
    peer makes one.
    """

    entries: tuple[int, ...]
    window: int
    rounds: int
    proofs: int
    peer_proofs: int


FULL = Size((10_000, 100_000, 1_000_000), window=2_000, rounds=7, proofs=20, peer_proofs=25)
QUICK = Size((1_000, 10_000, 50_000), window=500, rounds=3, proofs=20, peer_proofs=10)


class Ledger:
    """A database, and whom it knows."""

    def __init__(self, url: str, known: Iterable[bytes] = ()) -> None:
        self.database = Database(url, checkpoints=True)
        self._known = set(known)

    def append(self, events: Sequence[Event]) -> tuple[float, float]:
        """In transactions of BATCH entries; returns seconds per entry, of CPU and of the clock."""
        people = {event.person for event in events if event.new.entry.subject is not None}
        with self.database.write() as connection:
            add_people(connection, sorted(people - self._known))
        self._known |= people
        batches = [[event.new for event in batch] for batch in _cut(iter(events), BATCH)]
        began_s, cpu_began_s = time.perf_counter(), time.process_time()
        for batch in batches:
            with self.database.write() as connection:
                append_many(connection, batch)
        cpu_s, elapsed_s = time.process_time() - cpu_began_s, time.perf_counter() - began_s
        return cpu_s / len(events), elapsed_s / len(events)


def measure(size: Size, folder: Path) -> list[Row]:
    """`folder` must lie on the disk that is to be measured."""
    folder.mkdir(mode=0o700)
    last = size.entries[-1]
    events = generate(SEED, last + size.rounds * size.window)
    known = _fill(size.entries, folder, events)
    rows = [*_bytes(size.entries, folder)]
    with closing(Database(_url(folder, last))) as database, database.read() as connection:
        rows += [*_audit(connection, last), *_proofs(connection, size, folder)]
    return [*_growth(size, folder, known, events), *_rates(size, folder), *rows]


def _fill(sizes: Sequence[int], folder: Path, events: Iterator[Event]) -> dict[int, frozenset[bytes]]:
    """A file for each size, each a copy of the one before that grew on; returns whom each knows."""
    known: set[bytes] = set()
    known_at = {}
    filled = 0
    for entries in sizes:
        if filled:
            shutil.copy(_path(folder, filled), _path(folder, entries))
        with closing(Database(_url(folder, entries), checkpoints=True)) as database:
            upgrade(database)
            replay(database, _cut(islice(events, entries - filled), FILL_BATCH), known)
        known_at[entries] = frozenset(known)
        filled = entries
        _tell(f"a ledger of {entries:,} entries is filled")
    return known_at


def _growth(size: Size, folder: Path, known: dict[int, frozenset[bytes]], events: Iterator[Event]) -> Iterator[Row]:
    """The next windows of the history are appended to every ledger."""
    smallest, *_, largest = size.entries
    ledgers = {entries: Ledger(_url(folder, entries), known[entries]) for entries in size.entries}
    cpu_us: dict[int, list[float]] = {entries: [] for entries in size.entries}
    for window in _cut(events, size.window):
        for entries, ledger in ledgers.items():
            cpu_us[entries].append(ledger.append(window)[0] * 1e6)
    for ledger in ledgers.values():
        ledger.database.close()
    _tell("appends at each size are measured")
    yield measured(f"append CPU, {smallest:,} entries", "µs/entry", cpu_us[smallest])
    for entries in size.entries[1:]:
        name = f"append CPU, {entries:,} entries (floor: {smallest:,})"
        yield compare(name, "µs/entry", cpu_us[entries], cpu_us[smallest])
    growth = compare("", "", cpu_us[largest], cpu_us[smallest]).ratio
    assert growth is not None
    yield Row(f"append CPU, growth from {smallest:,} to {largest:,} entries", "×", growth)


def _rates(size: Size, folder: Path) -> Iterator[Row]:
    """Entries per second on both databases, from empty, beside a table of leaves."""
    sqlite_rate: list[float] = []
    postgresql_rate: list[float] = []
    floor_rate: list[float] = []
    with ExitStack() as stack:
        server = stack.enter_context(PostgresServer(folder))
        url = stack.enter_context(server.fresh_database("bench"))
        ledgers = [(Ledger(_url(folder, 0)), sqlite_rate), (Ledger(url), postgresql_rate)]
        for ledger, _ in ledgers:
            stack.callback(ledger.database.close)
            upgrade(ledger.database)
        floor = stack.enter_context(closing(open_floor(folder / DATABASE, checkpoints=True)))
        for window in _cut(generate(OTHER_SEED, size.rounds * size.window), size.window):
            for ledger, rates in ledgers:
                rates.append(1 / ledger.append(window)[1])
            rows = [(event.new.entry.id, format_leaf(event.new.entry)) for event in window]
            floor_rate.append(len(rows) / insert_rows(floor, rows, BATCH))
    _tell("rates are measured")
    yield compare(f"append in batches of {BATCH}, SQLite", "entries/s", sqlite_rate, floor_rate)
    yield measured(f"append in batches of {BATCH}, PostgreSQL", "entries/s", postgresql_rate)


def _proofs(connection: Connection, size: Size, folder: Path) -> Iterator[Row]:
    """Proofs of random entries and of random older sizes. Each of ours is checked."""
    last, read, rng = size.entries[-1], node_reader(connection), random.Random(SEED)
    newest_root = root(connection, last)

    def check_inclusion(position: int, proof: Sequence[bytes]) -> None:
        leaf = tlog.leaf_hash(entry_at(connection, position).leaf)
        tlog.check_inclusion(leaf, position, last, proof, newest_root)

    def check_consistency(old_size: int, proof: Sequence[bytes]) -> None:
        tlog.check_consistency(old_size, root(connection, old_size), last, newest_root, proof)

    with closing(SqliteTree(str(folder / "peer.db"))) as peer:
        peer.append_entries(entry.leaf for entry in read_entries(connection, 0, last))
        if peer.get_root(last) != newest_root:
            raise BenchmarkError("the peer has another root")
        _tell("the peer is filled")
        for name, prove, check, prove_by_peer in (
            (
                "inclusion proof",
                lambda position: tlog.prove_inclusion(position, last, read),
                check_inclusion,
                lambda position: peer.prove_inclusion(position + 1, last),  # it counts from one
            ),
            (
                "consistency proof",
                lambda old_size: tlog.prove_consistency(old_size, last, read),
                check_consistency,
                lambda old_size: peer.prove_consistency(old_size, last),
            ),
        ):
            ours_ms, peer_ms = [], []
            for _ in range(size.peer_proofs):
                for number in rng.sample(range(1, last), size.proofs):
                    proof, elapsed_ms = _timed(prove, number)
                    ours_ms.append(elapsed_ms)
                    check(number, proof)
                peer_ms.append(_timed(prove_by_peer, rng.randrange(1, last))[1])
            yield compare_peer(f"{name}, {last:,} entries", "ms", ours_ms, peer_ms, PEER)


def _audit(connection: Connection, entries: int) -> Iterator[Row]:
    cpu_began_s = time.process_time()
    report, elapsed_ms = _timed(audit, connection)
    cpu_s = time.process_time() - cpu_began_s
    if report.problems or report.size != entries:
        raise BenchmarkError(f"the ledger is not clean: {report.by_reason()}")
    _tell("the audit is over")
    yield measured(f"audit, {entries:,} entries", "s", [elapsed_ms / 1000])
    yield measured(f"audit CPU, {entries:,} entries", "s", [cpu_s])


def _bytes(sizes: Sequence[int], folder: Path) -> Iterator[Row]:
    """The whole file, with people and indexes. Boxes are left out of a copy, which says the same at a smaller size."""
    *_, small, last = sizes
    yield measured(f"file, {last:,} entries", "bytes/entry", [_path(folder, last).stat().st_size / last])
    copy = folder / "without-boxes.db"
    shutil.copy(_path(folder, small), copy)
    with closing(sqlite.connect(copy, isolation_level=None)) as connection:
        connection.execute("DELETE FROM vault")
        connection.execute("VACUUM")
    yield measured(f"file without boxes, {small:,} entries", "bytes/entry", [copy.stat().st_size / small])


def _timed(work: Callable[..., Any], *arguments: object) -> tuple[Any, float]:
    """What it returns, and milliseconds."""
    began_s = time.perf_counter()
    result = work(*arguments)
    return result, (time.perf_counter() - began_s) * 1000


def _cut(events: Iterator[Event], size: int) -> Iterator[list[Event]]:
    while part := list(islice(events, size)):
        yield part


def _path(folder: Path, entries: int) -> Path:
    return folder / f"{entries}.db"


def _url(folder: Path, entries: int) -> str:
    return f"sqlite:///{_path(folder, entries)}"


def _tell(text: str) -> None:
    """Minutes pass: somebody may be watching."""
    sys.stderr.write(f"{text}\n")
