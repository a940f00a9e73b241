"""The inbox: the durable acceptance of a delivery. A row is committed here before any sender reads 200.

Duplicates are decided by UNIQUE(source, delivery_key) for ever; a delivery without an id is the same as one with
the same content in the ten minutes before it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ledger.database import Database
from ledger.identity import AddressTags
from ledger.keyring import Keyring
from ledger.sealing import open_inbox_box, public_of, seal_for_inbox, tag
from ledger.tables import inbox, ledger_entry, pending_withdrawal, subject_address

SAME_CONTENT_WINDOW_MS = 10 * 60 * 1000
NEW, RECORDED, PARKED = "new", "recorded", "parked"
CONFLICT = "conflict"


class Acceptance(StrEnum):
    """What became of a delivery; the door maps each to its answer in one table."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    PARKED = "parked"


@dataclass(frozen=True, slots=True)
class PendingWithdrawal:
    """What a withdrawal stops at once, before its entry is written: a subject, or an address."""

    purposes: tuple[str, ...]
    subject: bytes | None = None
    tags: AddressTags | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One inbound webhook, verified. `content` is compared, `payload` is sealed; neither is stored in clear."""

    source: str
    content: bytes
    payload: bytes
    sender_id: str | None = None
    key_id: str | None = None
    parked_reason: str | None = None
    withdrawal: PendingWithdrawal | None = None


def accept(database: Database, keyring: Keyring, delivery: Delivery, now_ms: int) -> tuple[Acceptance, int]:
    """Store a delivery and what it stops at once, in one committed transaction; returns the row's id too."""
    digest = tag(keyring["index_pepper"].value, "body", f"{delivery.source}\x00{delivery.content.hex()}")
    box = seal_for_inbox(keyring["inbox_public"], delivery.payload, _context(delivery.source, digest))
    with database.write() as connection:
        same = _same_delivery(connection, delivery, digest, now_ms, database.is_sqlite)
        if same is not None and same.body_digest == digest:
            return Acceptance.DUPLICATE, same.id
        key = delivery.sender_id or f"{digest.hex()}:{now_ms}"
        reason = delivery.parked_reason
        if same is not None:
            key, reason = f"{key}#{digest.hex()}", CONFLICT
        inbox_id = _insert(connection, delivery, key, reason, digest, box, now_ms)
        if inbox_id is None:  # the same conflict again, or a twin that committed first
            return Acceptance.DUPLICATE, _id_of(connection, delivery.source, key)
        if delivery.withdrawal is not None:  # a conflicting one too: until somebody has looked, it stops
            _insert_pending(connection, inbox_id, delivery.withdrawal)
    if reason == CONFLICT:
        return Acceptance.CONFLICT, inbox_id
    return (Acceptance.PARKED if reason else Acceptance.ACCEPTED), inbox_id


def _context(source: str, digest: bytes) -> bytes:
    return b"samtykke/inbox/v1\x00" + source.encode() + b"\x00" + digest


def _same_delivery(
    connection: Connection, delivery: Delivery, digest: bytes, now_ms: int, is_sqlite: bool
) -> "Row[Any, Any, Any] | None":
    columns = select(inbox.c.id, inbox.c.body_digest, inbox.c.received_at_ms).where(inbox.c.source == delivery.source)
    if delivery.sender_id is not None:
        return connection.execute(columns.where(inbox.c.delivery_key == delivery.sender_id)).one_or_none()
    if not is_sqlite:  # twins without an id have no unique key to meet at: they queue here instead
        number = int.from_bytes(digest[:8], "big", signed=True)
        connection.execute(select(func.pg_advisory_xact_lock(number)))
    recent = columns.where(inbox.c.body_digest == digest, inbox.c.received_at_ms > now_ms - SAME_CONTENT_WINDOW_MS)
    row = connection.execute(recent.order_by(inbox.c.id.desc()).limit(1)).one_or_none()
    if row is not None and delivery.withdrawal and _changed_since(connection, delivery.withdrawal, row.received_at_ms):
        return None
    return row


def _changed_since(connection: Connection, withdrawal: PendingWithdrawal, since_ms: int) -> bool:
    """Whether the person said anything else since: then the same withdrawal again is a new one."""
    query = (
        select(func.count())
        .select_from(ledger_entry)
        .where(
            ledger_entry.c.recorded_at_ms >= since_ms, ledger_entry.c.kind.in_(("consent.requested", "consent.given"))
        )
    )
    if withdrawal.subject is not None:
        query = query.where(ledger_entry.c.subject == withdrawal.subject)
    elif withdrawal.tags is not None:
        matching = select(subject_address.c.subject).where(subject_address.c.wide == withdrawal.tags.wide)
        query = query.where(ledger_entry.c.subject.in_(matching))
    return bool(connection.execute(query).scalar_one())


def _insert(
    connection: Connection, delivery: Delivery, key: str, reason: str | None, digest: bytes, box: bytes, now_ms: int
) -> int | None:
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    last = select(func.coalesce(func.max(inbox.c.received_at_ms), 0)).scalar_subquery()
    latest = func.max(last, now_ms) if connection.dialect.name == "sqlite" else func.greatest(last, now_ms)
    statement = make(inbox).values(
        source=delivery.source,
        delivery_key=key,
        body_digest=digest,
        received_at_ms=latest,  # never steps back, whatever our clock does (decision 0001)
        status=PARKED if reason else NEW,
        urgent=int(delivery.withdrawal is not None),
        reason=reason,
        key_id=delivery.key_id,
        box=box,
        attempts=0,
    )
    statement = statement.on_conflict_do_nothing(index_elements=["source", "delivery_key"])
    row = connection.execute(statement.returning(inbox.c.id)).one_or_none()
    return None if row is None else int(row.id)


def _id_of(connection: Connection, source: str, key: str) -> int:
    condition = (inbox.c.source == source) & (inbox.c.delivery_key == key)
    return int(connection.execute(select(inbox.c.id).where(condition)).scalar_one())


def _insert_pending(connection: Connection, inbox_id: int, withdrawal: PendingWithdrawal) -> None:
    connection.execute(
        insert(pending_withdrawal).values(
            inbox_id=inbox_id,
            subject=withdrawal.subject,
            wide=withdrawal.tags.wide if withdrawal.tags else None,
            purposes=",".join(withdrawal.purposes),
        )
    )


def next_batch(connection: Connection, limit: int) -> list[Row[Any]]:
    """The oldest unrecorded deliveries, withdrawals first."""
    query = select(inbox).where(inbox.c.status == NEW).order_by(inbox.c.urgent.desc(), inbox.c.id)
    return list(connection.execute(query.limit(limit)))


def open_box(keyring: Keyring, row: Row[Any]) -> bytes:
    values = row._mapping
    return open_inbox_box(keyring["inbox_private"], values["box"], _context(values["source"], values["body_digest"]))


def replace_box(keyring: Keyring, row: Row[Any], payload: bytes) -> bytes:
    """A new box for a delivery that was understood anew; the command line derives the public key it seals for."""
    public = public_of(keyring["inbox_private"])
    return seal_for_inbox(public, payload, _context(row.source, row.body_digest))


def mark_recorded(connection: Connection, inbox_id: int, now_ms: int) -> bool:
    """Whether this call did it: the same transaction that writes the entries claims and wipes the row."""
    done = connection.execute(
        update(inbox)
        .where(inbox.c.id == inbox_id, inbox.c.status == NEW)
        .values(status=RECORDED, box=None, recorded_at_ms=now_ms)
    )
    connection.execute(delete(pending_withdrawal).where(pending_withdrawal.c.inbox_id == inbox_id))
    return done.rowcount == 1


def park(connection: Connection, inbox_id: int, reason: str) -> None:
    """Set a delivery aside, still sealed. What a withdrawal stopped stays stopped."""
    condition = (inbox.c.id == inbox_id) & (inbox.c.status == NEW)
    connection.execute(
        update(inbox).where(condition).values(status=PARKED, reason=reason, attempts=inbox.c.attempts + 1)
    )


def unpark(connection: Connection, inbox_id: int, box: bytes | None = None) -> bool:
    """Put a parked delivery back in line, with a new box if it was understood anew."""
    values: dict[str, object] = {"status": NEW, "reason": None}
    if box is not None:
        values["box"] = box
    condition = (inbox.c.id == inbox_id) & (inbox.c.status == PARKED)
    return connection.execute(update(inbox).where(condition).values(**values)).rowcount == 1
