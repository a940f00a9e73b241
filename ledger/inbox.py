"""The inbox: the durable acceptance of a delivery. A row is committed here before any sender reads 200.

Duplicates are decided by UNIQUE(source, delivery_key) for ever; a delivery without an id is the same as one with
the same content in the ten minutes before it. In a rotation of the index pepper, under each of its versions.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from ledger.database import Database
from ledger.identity import AddressTags
from ledger.inbox_row import insert_row, row_of_key
from ledger.keyring import Keyring
from ledger.recognition import Mark, marks_of, wait_for_twins
from ledger.sealing import open_inbox_box, public_of, seal_for_inbox
from ledger.tables import WITHOUT_SENDER_ID, inbox, ledger_entry, pending_withdrawal, subject_address
from schemas.entry import Kind

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
    tags: AddressTags | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One inbound webhook, verified. `content` is compared, `payload` is sealed; neither is stored in clear.

    `signed_at_ms`: when by the sender's clock, where it signs a time; how far that is off is kept.
    """

    source: str
    content: bytes = field(repr=False)
    payload: bytes = field(repr=False)
    sender_id: str | None = None
    key_id: str | None = None
    parked_reason: str | None = None
    withdrawal: PendingWithdrawal | None = None
    signed_at_ms: int | None = None


def accept(database: Database, keyring: Keyring, delivery: Delivery, now_ms: int) -> tuple[Acceptance, int]:
    """Store a delivery and what it stops at once, in one committed transaction; returns the row's id too."""
    marks = marks_of(keyring["index_pepper"], delivery.source, delivery.sender_id, delivery.content)
    context = _context(delivery.source, marks[0].digest)
    box = seal_for_inbox(keyring["inbox_public"], delivery.payload, context, now_ms)

    def work(connection: Connection) -> tuple[Acceptance, int]:
        acceptance, inbox_id = _store(connection, delivery, marks, box, now_ms)
        # A conflicting withdrawal too: until somebody has looked, it stops.
        if delivery.withdrawal is not None and acceptance is not Acceptance.DUPLICATE:
            _insert_pending(connection, inbox_id, delivery.withdrawal)
        return acceptance, inbox_id

    # With an id of its sender's, a delivery meets its twin in the unique key, and the insert is all there is.
    is_single = len(marks) == 1 and marks[0].sender_id is not None and delivery.withdrawal is None
    return database.write_together(work, is_single=is_single)


def _store(
    connection: Connection, delivery: Delivery, marks: Sequence[Mark], box: bytes, now_ms: int
) -> tuple[Acceptance, int]:
    wait_for_twins(connection, marks)
    digests = [mark.digest for mark in marks]
    ids = [mark.sender_id for mark in marks if mark.sender_id is not None]
    same = None if ids else _same_content(connection, delivery, digests, now_ms)
    if same is None:
        # Without an id the key must only be new: the same content may count twice in one millisecond.
        keys = ids or [f"{digests[0].hex()}:{secrets.token_hex(8)}"]
        inbox_id, same = _insert_new(connection, delivery, keys, delivery.parked_reason, marks[0], box, now_ms)
        if same is None:
            return (Acceptance.PARKED if delivery.parked_reason else Acceptance.ACCEPTED), inbox_id
    if same.body_digest in digests:
        return Acceptance.DUPLICATE, same.id
    keys = [f"{mark.sender_id}#{mark.digest.hex()}" for mark in marks]
    inbox_id, same = _insert_new(connection, delivery, keys, CONFLICT, marks[0], box, now_ms)
    return (Acceptance.CONFLICT if same is None else Acceptance.DUPLICATE), inbox_id  # or the same conflict again


def _context(source: str, digest: bytes) -> bytes:
    return b"samtykke/inbox/v1\x00" + source.encode() + b"\x00" + digest


def _same_content(
    connection: Connection, delivery: Delivery, digests: Sequence[bytes], now_ms: int
) -> "Row[Any, Any, Any] | None":
    recent = select(inbox.c.id, inbox.c.body_digest, inbox.c.received_at_ms).where(
        inbox.c.source == delivery.source,
        inbox.c.body_digest.in_(digests),
        WITHOUT_SENDER_ID,
        inbox.c.received_at_ms > now_ms - SAME_CONTENT_WINDOW_MS,
    )
    row = connection.execute(recent.order_by(inbox.c.id.desc()).limit(1)).one_or_none()
    if row is not None and delivery.withdrawal and _changed_since(connection, delivery.withdrawal, row):
        return None
    return row


def _changed_since(connection: Connection, withdrawal: PendingWithdrawal, earlier: "Row[Any, Any, Any]") -> bool:
    """Whether the person said, or may have said, anything else since: then the same withdrawal again is a new one."""
    # A sealed sign-up that waits or is parked could be this person's, and would be newer than the first withdrawal.
    waiting = select(inbox.c.id).where(inbox.c.id > earlier.id, inbox.c.status != RECORDED, inbox.c.urgent == 0)
    if connection.execute(waiting.limit(1)).first() is not None:
        return True
    own = select(subject_address.c.wide).where(subject_address.c.subject == withdrawal.subject)
    wide = own if withdrawal.tags is None else withdrawal.tags.wides
    said = select(ledger_entry.c.position).where(
        ledger_entry.c.recorded_at_ms >= earlier.received_at_ms,
        ledger_entry.c.kind.in_((Kind.REQUESTED, Kind.GIVEN)),
        ledger_entry.c.subject.in_(select(subject_address.c.subject).where(subject_address.c.wide.in_(wide))),
    )
    return connection.execute(said.limit(1)).first() is not None


def _insert_new(
    connection: Connection,
    delivery: Delivery,
    keys: Sequence[str],
    reason: str | None,
    mark: Mark,
    box: bytes,
    now_ms: int,
) -> "tuple[int, Row[Any, Any, Any] | None]":
    """The id of the new row and None; or, if there is a row with one of the keys already, its id and that row."""
    for key in keys[1:]:
        known = row_of_key(connection, delivery.source, key)
        if known is not None:
            return known.id, known
    values: dict[str, object] = {
        "source": delivery.source,
        "delivery_key": keys[0],
        "body_digest": mark.digest,
        "status": PARKED if reason else NEW,
        "urgent": int(delivery.withdrawal is not None),
        "reason": reason,
        "key_id": delivery.key_id,
        "box": box,
        "attempts": 0,
        "key_version": mark.key_version,
        "skew_ms": None if delivery.signed_at_ms is None else delivery.signed_at_ms - now_ms,
    }
    inbox_id = insert_row(connection, values, now_ms)
    if inbox_id is not None:
        return inbox_id, None
    # PostgreSQL shows the row in the way to this statement: its transaction has been committed since.
    known = row_of_key(connection, delivery.source, keys[0])
    assert known is not None
    return known.id, known


def _insert_pending(connection: Connection, inbox_id: int, withdrawal: PendingWithdrawal) -> None:
    connection.execute(
        insert(pending_withdrawal).values(
            inbox_id=inbox_id,
            subject=withdrawal.subject,
            wide=_wide_of_rows(connection, withdrawal.tags) if withdrawal.tags else None,
            purposes=",".join(withdrawal.purposes),
        )
    )


def _wide_of_rows(connection: Connection, tags: AddressTags) -> bytes:
    """The tag by which relays, who cannot make one, compare: in a rotation it may be that of another version."""
    if not tags.older:
        return tags.wide
    found = connection.execute(select(subject_address.c.wide).where(subject_address.c.wide.in_(tags.wides)).limit(1))
    return found.scalar() or tags.wide


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
    return seal_for_inbox(public, payload, _context(row.source, row.body_digest), row.received_at_ms)


_MARK_RECORDED = (
    update(inbox)
    .where(inbox.c.id == bindparam("inbox_id"), inbox.c.status == NEW)
    .values(status=RECORDED, box=None, recorded_at_ms=bindparam("now_ms"))
)
_FORGET_PENDING = delete(pending_withdrawal).where(pending_withdrawal.c.inbox_id == bindparam("id"))


def mark_recorded(connection: Connection, inbox_id: int, now_ms: int) -> bool:
    """Whether this call did it: the same transaction that writes the entries claims and wipes the row."""
    done = connection.execute(_MARK_RECORDED, {"inbox_id": inbox_id, "now_ms": now_ms})
    connection.execute(_FORGET_PENDING, {"id": inbox_id})
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
