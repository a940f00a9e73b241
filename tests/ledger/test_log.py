"""The log: gap-free whoever writes, all or nothing with what it belongs to, and provable."""

from functools import partial

import pytest
from sqlalchemy import select

from ledger import tlog
from ledger.audit import audit
from ledger.database import Database
from ledger.errors import DatabaseAwayError, NotFoundError
from ledger.log import entry_at, entry_by_id, node_reader, read_entries, root, size
from ledger.tables import ledger_head
from tests.ledger.desk import append_purchases, append_purchases_in, at_once
from tests.world import World

WRITERS, APPENDS = 8, 25


def append_alone(url: str) -> list[int]:
    """A process of its own, as far as the database can tell."""
    database = Database(url)
    try:
        return [position for _ in range(APPENDS) for position in append_purchases(database, 1)]
    finally:
        database.close()


def test_eight_writers_at_once_leave_no_gap_and_no_fork(any_world: World) -> None:
    url = any_world.database.url.render_as_string(hide_password=False)
    positions = at_once([partial(append_alone, url)] * WRITERS)
    assert sorted(position for own in positions for position in own) == list(range(WRITERS * APPENDS))
    assert all(own == sorted(own) for own in positions)
    with any_world.database.read() as connection:
        report = audit(connection)
    assert (report.size, report.problems) == (WRITERS * APPENDS, [])


def fail_after_append(database: Database) -> None:
    with database.write() as connection:
        assert append_purchases_in(connection, 2) == [3, 4]
        raise DatabaseAwayError("power_cut")


def test_an_append_that_is_not_committed_never_was(any_world: World) -> None:
    append_purchases(any_world.database, 3)
    with any_world.database.read() as connection:
        before = connection.execute(select(ledger_head)).one()
    with pytest.raises(DatabaseAwayError):
        fail_after_append(any_world.database)
    with any_world.database.read() as connection:
        assert connection.execute(select(ledger_head)).one() == before
        assert audit(connection).problems == []
    assert append_purchases(any_world.database, 1) == [3]


def test_stored_nodes_give_the_root_and_the_proofs_of_every_size(world: World) -> None:
    append_purchases(world.database, 13)
    with world.database.read() as connection:
        leaves = [tlog.leaf_hash(entry.leaf) for entry in read_entries(connection, 0, size(connection))]
        read = node_reader(connection)
        frontier = tlog.Frontier(0, ())
        for tree_size, leaf in enumerate(leaves, 1):
            frontier, _ = frontier.append(leaf)
            assert root(connection, tree_size) == frontier.root()
            for position in range(tree_size):
                proof = tlog.prove_inclusion(position, tree_size, read)
                tlog.check_inclusion(leaves[position], position, tree_size, proof, frontier.root())


def test_an_entry_is_found_by_position_and_by_id(world: World) -> None:
    append_purchases(world.database, 2)
    with world.database.read() as connection:
        entry = entry_at(connection, 1)
        assert entry_by_id(connection, entry.id) == entry
        with pytest.raises(NotFoundError):
            entry_at(connection, 2)
        with pytest.raises(NotFoundError):
            node_reader(connection)([99])


def test_appending_nothing_changes_nothing(world: World) -> None:
    assert append_purchases(world.database, 0) == []
    with world.database.read() as connection:
        assert size(connection) == 0
