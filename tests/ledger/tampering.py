"""What somebody can do who may write the database file: the attacks that the audit must name."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from ledger import tlog
from ledger.database import Database
from ledger.sqlite import sqlite

TRIGGERS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"


@contextmanager
def open_file(database: Database) -> Iterator[Any]:
    """The file itself: no triggers, no foreign keys, no program in between."""
    with closing(sqlite.connect(str(database.url.database))) as connection, connection:
        triggers = connection.execute(TRIGGERS).fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        yield connection
        for _, sql in triggers:
            connection.execute(sql)


def change_leaf(connection: Any, position: int, old: bytes, new: bytes) -> None:
    (leaf,) = connection.execute("SELECT leaf FROM ledger_entry WHERE position = ?", (position,)).fetchone()
    assert old in leaf, "nothing to change in this leaf"
    connection.execute("UPDATE ledger_entry SET leaf = ? WHERE position = ?", (leaf.replace(old, new), position))


def rebuild_tree(connection: Any) -> None:
    """Nodes and head made anew from whatever entries there are."""
    connection.execute("DELETE FROM ledger_node")
    frontier = tlog.Frontier(0, ())
    for (leaf,) in connection.execute("SELECT leaf FROM ledger_entry ORDER BY position").fetchall():
        frontier, completed = frontier.append(tlog.leaf_hash(leaf))
        connection.executemany("INSERT INTO ledger_node VALUES (?, ?)", completed)
    connection.execute("UPDATE ledger_head SET size = ?, frontier = ?", (frontier.size, frontier.to_bytes()))


def cut(connection: Any, size: int) -> None:
    """Everything from `size` on never happened."""
    connection.execute("DELETE FROM vault WHERE position >= ?", (size,))
    connection.execute("DELETE FROM ledger_entry WHERE position >= ?", (size,))
    connection.execute("DELETE FROM ledger_checkpoint WHERE size > ?", (size,))
    rebuild_tree(connection)
