"""What somebody can do who may write the database: the attacks that the audit must name."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from ledger import tlog
from ledger.database import Database
from ledger.sqlite import sqlite
from ledger.tables import metadata

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


@contextmanager
def hand_at(database: Database) -> Iterator[Any]:
    """The same on PostgreSQL, as its owner does it; statements are written as SQLite takes them."""
    if database.is_sqlite:
        with open_file(database) as connection:
            yield connection
        return
    with closing(database.engine.raw_connection()) as connection:
        owner = _Owner(connection.driver_connection)
        owner.switch_triggers("DISABLE")
        yield owner
        owner.switch_triggers("ENABLE")
        connection.commit()


class _Owner:
    """psycopg's connection with question marks for the values."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[object] = ()) -> Any:
        return self._connection.execute(statement.replace("?", "%s"), values)

    def executemany(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(statement.replace("?", "%s"), rows)

    def switch_triggers(self, verb: str) -> None:
        """Of every table: those that refuse a change, and those that are foreign keys."""
        for table in metadata.tables:
            self.execute(f"ALTER TABLE {table} {verb} TRIGGER ALL")


def change_leaf(connection: Any, position: int, old: bytes, new: bytes) -> None:
    (leaf,) = connection.execute("SELECT leaf FROM ledger_entry WHERE position = ?", (position,)).fetchone()
    assert old in leaf, "nothing to change in this leaf"
    connection.execute("UPDATE ledger_entry SET leaf = ? WHERE position = ?", (leaf.replace(old, new), position))


def swap(connection: Any, table: str, one: int, other: int) -> None:
    """Two rows take each other's position."""
    for old, new in ((one, -1), (other, one), (-1, other)):
        connection.execute(f"UPDATE {table} SET position = ? WHERE position = ?", (new, old))


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


def rows_of(connection: Any, table: str, column: str, value: object) -> list[tuple[Any, ...]]:
    """As a backup keeps them."""
    return [tuple(row) for row in connection.execute(f"SELECT * FROM {table} WHERE {column} = ?", (value,)).fetchall()]


def put_back(connection: Any, table: str, rows: Sequence[Sequence[object]]) -> None:
    for row in rows:
        connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
