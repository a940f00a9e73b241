"""The log: append entries at the end of the Merkle tree, and read entries, nodes and roots back.

An append is the last statement group of the business transaction: the entry and everything it changes are
committed together or not at all. The head row is the lock (PostgreSQL) and the compare-and-set (both).
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, CursorResult, Row, bindparam, insert, select, update

from ledger import tlog
from ledger.errors import LedgerError, NotFoundError
from ledger.tables import ledger_entry, ledger_head, ledger_node, vault
from schemas.entry import Entry, format_leaf, parse_leaf

# SQLite binds at most 32766 values in one statement (https://sqlite.org/limits.html#max_variable_number).
READ_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to append, with its sealed payload and the delivery that caused it."""

    entry: Entry
    box: bytes | None = None
    inbox_id: int | None = None
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A leaf as it stands in the ledger."""

    position: int
    id: bytes
    kind: str
    subject: bytes | None
    recorded_at_ms: int
    leaf: bytes


def new_id(recorded_at_ms: int) -> str:
    """An entry id, 16 bytes in hex: 6 of time, so that the index of ids grows at its end too (as RFC 9562's version 7
    does), and 10 at random, so that nobody guesses one.
    """
    return f"{recorded_at_ms:012x}{secrets.token_hex(10)}"


def lock_head(connection: Connection) -> None:
    """Wait until nobody else appends, and let nobody until this transaction ends (SQLite does it for every write).

    First of all in a transaction that decides by what it reads: or it decides, waits for the head in append_many, and
    appends what is no longer true. Taken first, the order of locks is also the same for everybody: no deadlock.
    """
    connection.execute(_LOCK_ONLY)


# Prepared once: SQLAlchemy takes longer to put a statement together than the database to run it.
_LOCK_ONLY = select(ledger_head.c.id).with_for_update()
_LOCK_HEAD = select(ledger_head).with_for_update()
_INSERT_ENTRIES, _INSERT_NODES, _INSERT_BOXES = insert(ledger_entry), insert(ledger_node), insert(vault)
_MOVE_HEAD = (
    update(ledger_head)
    .where(ledger_head.c.id == 1, ledger_head.c.size == bindparam("old_size"))
    .values(size=bindparam("new_size"), frontier=bindparam("new_frontier"))
)
_NODES = select(ledger_node.c.position, ledger_node.c.hash).where(
    ledger_node.c.position.in_(bindparam("indexes", expanding=True))
)


def append_many(connection: Connection, entries: Sequence[NewEntry]) -> list[int]:
    """Append in order; returns the positions. The caller's transaction decides whether it happened."""
    if not entries:
        return []
    positions = _grow(connection, [format_leaf(new.entry) for new in entries], [_row(new) for new in entries])
    boxes = [
        {"position": position, "subject": new.entry.subject, "box": new.box}
        for position, new in zip(positions, entries, strict=True)
        if new.box is not None
    ]
    if boxes:
        connection.execute(_INSERT_BOXES, boxes)
    return positions


def append_leaves(connection: Connection, leaves: Sequence[bytes]) -> list[int]:
    """Append leaves of this ledger that were written before, as a mirror has them: no boxes and no deliveries.

    Raises ValueError for what is no leaf.
    """
    return _grow(connection, leaves, [_row(NewEntry(parse_leaf(leaf))) for leaf in leaves]) if leaves else []


def _grow(connection: Connection, leaves: Sequence[bytes], rows: Sequence[dict[str, object]]) -> list[int]:
    """`rows`: the columns of each leaf that are copies."""
    head = connection.execute(_LOCK_HEAD).one()
    frontier, completed = tlog.Frontier.from_bytes(head.size, head.frontier).append(*map(tlog.leaf_hash, leaves))
    nodes = [{"position": index, "hash": value} for index, value in completed]
    positions = list(range(head.size, frontier.size))
    for position, leaf, row in zip(positions, leaves, rows, strict=True):
        row |= {"position": position, "leaf": leaf}
    connection.execute(_INSERT_ENTRIES, rows)
    connection.execute(_INSERT_NODES, nodes)
    moved = connection.execute(
        _MOVE_HEAD, {"old_size": head.size, "new_size": frontier.size, "new_frontier": frontier.to_bytes()}
    )
    if moved.rowcount != 1:  # our own mistake, but one that would fork the log: also said under python -O
        raise LedgerError("ledger_head_moved")
    return positions


def _row(new: NewEntry) -> dict[str, object]:
    return {
        "id": bytes.fromhex(new.entry.id),
        "kind": new.entry.kind.value,
        "subject": new.entry.subject,
        "recorded_at_ms": new.entry.recorded_at_ms,
        "inbox_id": new.inbox_id,
        "ordinal": new.ordinal,
    }


def size(connection: Connection) -> int:
    return int(connection.execute(select(ledger_head.c.size)).scalar_one())


def node_reader(connection: Connection) -> tlog.HashReader:
    """Stored node hashes by index, in one read; NotFoundError when one is missing."""

    def read(indexes: Sequence[int]) -> Mapping[int, bytes]:
        found = dict(connection.execute(_NODES, {"indexes": list(indexes)}).all())
        if len(found) != len(set(indexes)):
            raise NotFoundError("ledger_node_missing")
        return found

    return read


def root(connection: Connection, tree_size: int) -> bytes:
    return tlog.tree_root(tree_size, node_reader(connection))


_COLUMNS = [ledger_entry.c[name] for name in ("position", "id", "kind", "subject", "recorded_at_ms", "leaf")]
_BY_ID = select(*_COLUMNS).where(ledger_entry.c.id == bindparam("entry_id"))
_AT = select(*_COLUMNS).where(ledger_entry.c.position == bindparam("at"))


def entry_at(connection: Connection, position: int) -> StoredEntry:
    return _one(connection.execute(_AT, {"at": position}))


def entry_by_id(connection: Connection, entry_id: bytes) -> StoredEntry:
    return _one(connection.execute(_BY_ID, {"entry_id": entry_id}))


def _one(found: CursorResult[Any]) -> StoredEntry:
    row = found.one_or_none()
    if row is None:
        raise NotFoundError("entry_not_found")
    return _stored(row)


def _stored(row: Row[Any]) -> StoredEntry:
    """SQLite keeps whatever type it was given: an edit by hand may have made text of a blob, and is to be named."""
    return StoredEntry(row.position, _blob(row.id), row.kind, _blob(row.subject), row.recorded_at_ms, _blob(row.leaf))


def _blob(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def read_entries(connection: Connection, start: int, end: int) -> Iterator[StoredEntry]:
    """Entries with start <= position < end, in order, in batches."""
    for first in range(start, end, READ_BATCH):
        last = min(first + READ_BATCH, end)
        condition = (ledger_entry.c.position >= first) & (ledger_entry.c.position < last)
        for row in connection.execute(select(*_COLUMNS).where(condition).order_by(ledger_entry.c.position)):
            yield _stored(row)
