"""The log: what was appended is read back, and provable. What it promises writers: test_storage, test_writers."""

import pytest

from ledger import tlog
from ledger.errors import NotFoundError
from ledger.log import entry_at, entry_by_id, node_reader, read_entries, root, size
from tests.ledger.desk import append_purchases
from tests.world import World


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
