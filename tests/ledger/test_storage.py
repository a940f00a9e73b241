"""What a database must do to hold the ledger, the same for SQLite and PostgreSQL.

The measure is a plain model of the same seeded history (tests/ledger/model.py): databases that equal it byte for
byte equal each other.
"""

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import pytest
from sqlalchemy import Connection, event, select
from sqlalchemy.exc import IntegrityError

from ledger import tlog
from ledger.audit import audit
from ledger.database import Database
from ledger.errors import LedgerError
from ledger.log import NewEntry, append_many, node_reader, read_entries, size
from ledger.tables import ledger_entry, ledger_head, ledger_node
from tests.ledger import history
from tests.ledger.history import Event, add_people, batches, digest_of, generate, replay, stored_parts
from tests.ledger.model import model_of

SEED, OTHER_SEED = 20261125, 7
WHOLE = 100_000
SOME = 700


@functools.cache
def model_digest(seed: int, count: int) -> str:
    return digest_of(model_of(generate(seed, count)).parts())


def digest(database: Database) -> str:
    with database.read() as connection:
        return digest_of(stored_parts(connection))


def some(count: int = SOME) -> list[Event]:
    return list(generate(SEED, count))


# One history


def test_a_hundred_thousand_events_leave_the_same_bytes_as_the_model_and_audit_clean(database: Database) -> None:
    replay(database, batches(generate(SEED, WHOLE), SEED))
    assert digest(database) == model_digest(SEED, WHOLE)
    with database.read() as connection:
        report = audit(connection)
    assert (report.size, report.problems) == (WHOLE, [])


def one_by_one(events: Sequence[Event]) -> Iterator[list[Event]]:
    return ([event] for event in events)


def all_at_once(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    return iter([events])


@pytest.mark.parametrize("cut", [one_by_one, all_at_once])
def test_how_a_history_is_cut_into_transactions_leaves_no_trace(
    database: Database, cut: Callable[[Sequence[Event]], Iterator[Sequence[Event]]]
) -> None:
    replay(database, cut(some()))
    assert digest(database) == model_digest(SEED, SOME)


def test_the_seed_alone_decides_a_history_and_every_row_is_in_its_digest() -> None:
    assert some() == some()
    assert some(50) == some()[:50]
    model = model_of(some())
    whole = digest_of(model.parts())
    assert whole == model_digest(SEED, SOME) != model_digest(OTHER_SEED, SOME)
    for part in range(6):
        cut_short = [list(rows) for rows in model.parts()]
        cut_short[part].pop()
        assert digest_of(cut_short) != whole


# One place for each entry


def refuse(database: Database, *entries: NewEntry) -> None:
    """The append fails, and the digest does not move."""
    before = digest(database)
    with pytest.raises(IntegrityError), database.write() as connection:
        append_many(connection, entries)
    assert digest(database) == before


def purchases(count: int) -> list[NewEntry]:
    """Entries about nobody, each of a delivery of its own, none of them in the history of SEED."""
    found = (event.new for event in generate(OTHER_SEED, WHOLE) if event.new.entry.subject is None)
    return [replace(new, inbox_id=WHOLE + number, ordinal=0) for number, new in enumerate(islice(found, count))]


def append(database: Database, *entries: NewEntry) -> list[int]:
    with database.write() as connection:
        return append_many(connection, entries)


def test_an_entry_is_stored_once_by_its_id(database: Database) -> None:
    first, second, third = purchases(3)
    append(database, first)
    refuse(database, replace(first, inbox_id=7))
    refuse(database, second, replace(second, inbox_id=7))  # in one transaction, too
    refuse(database, third, replace(first, inbox_id=7))  # and what came with it is not stored either
    assert append(database, third) == [1]


def test_an_entry_is_stored_once_by_its_delivery_and_ordinal(database: Database) -> None:
    first, second, third, fourth = purchases(4)
    append(database, first)
    refuse(database, replace(second, inbox_id=first.inbox_id))
    refuse(database, second, replace(third, inbox_id=second.inbox_id))
    assert append(database, replace(second, inbox_id=first.inbox_id, ordinal=1)) == [1]
    assert append(database, replace(third, inbox_id=None), replace(fourth, inbox_id=None)) == [2, 3]


# All or nothing


def test_what_is_not_committed_leaves_nothing_and_takes_no_position(database: Database) -> None:
    events = some()
    replay(database, [events[:300]])
    before = digest(database)

    def fail_after_all(connection: Connection) -> None:
        people = {event.person for event in events[300:400] if event.new.entry.subject is not None}
        known = {event.person for event in events[:300] if event.new.entry.subject is not None}
        add_people(connection, sorted(people - known))
        assert history.store(connection, events[300:400]) == list(range(300, 400))
        raise LedgerError("power_cut")

    with pytest.raises(LedgerError), database.write() as connection:
        fail_after_all(connection)
    assert digest(database) == before
    with database.write() as connection:
        assert append_many(connection, purchases(1)) == [300]


def test_a_head_that_moved_under_its_lock_is_an_error_and_never_a_fork(database: Database) -> None:
    """As if somebody had forgotten the lock: the compare-and-set is the second line."""
    append(database, *purchases(3))
    before = digest(database)

    def move_head(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO ledger_entry"):
            connection.exec_driver_sql("UPDATE ledger_head SET size = size + 1")

    event.listen(database.engine, "before_cursor_execute", move_head)
    with pytest.raises(LedgerError, match="head_moved"):
        append(database, *purchases(5)[3:])
    event.remove(database.engine, "before_cursor_execute", move_head)
    assert digest(database) == before
    assert append(database, *purchases(5)[3:]) == [3, 4]


# A reader beside a writer


def check_prefix(connection: Connection) -> int:
    """Entries, nodes and head of one snapshot belong together; returns the size."""
    head = connection.execute(select(ledger_head)).one()
    entries = list(read_entries(connection, 0, head.size + 1_000))
    assert [entry.position for entry in entries] == list(range(head.size))
    nodes = connection.execute(select(ledger_node.c.position).order_by(ledger_node.c.position)).scalars()
    assert list(nodes) == list(range(tlog.stored_count(head.size)))
    root = tlog.Frontier.from_bytes(head.size, head.frontier).root()
    assert tlog.tree_root(head.size, node_reader(connection)) == root
    assert size(connection) == head.size
    return int(head.size)


def test_a_reader_beside_a_writer_sees_a_prefix_and_nothing_half_done(database: Database) -> None:
    events, ended = some(), threading.Event()

    def write() -> None:
        try:
            replay(database, batches(iter(events), SEED))
        finally:
            ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    sizes = []
    while not ended.is_set():
        with database.read() as connection:
            sizes.append(check_prefix(connection))
    writer.join()
    assert sizes == sorted(sizes)
    with database.read() as connection:
        assert check_prefix(connection) == SOME
    assert len({*sizes}) > 1, "it read only before or after"


def test_a_snapshot_stays_as_it_is_while_others_append(database: Database) -> None:
    append(database, *purchases(2))
    with database.read() as connection:
        assert check_prefix(connection) == 2
        append(database, *purchases(9)[2:])
        assert check_prefix(connection) == 2
    with database.read() as connection:
        assert check_prefix(connection) == 9
        assert connection.execute(select(ledger_entry.c.ordinal)).scalars().all() == [0] * 9
