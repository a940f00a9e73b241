"""The outbox: one row per action carried to one processor. The database remembers; the queue only rings.

A row is claimed for a while, with its attempt number as the fence: a slow earlier attempt can no longer finish it.
"""

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from ledger.tables import relay

PENDING, CONFIRMED, SUPERSEDED, PARKED = "pending", "confirmed", "superseded", "parked"
RELAY_ID_SIZE_BYTES = 16
LEASE_MS = 60_000  # longer than the longest attempt: three calls of 10 s each, and their read-backs
BACKOFF_FIRST_MS = 1_000
BACKOFF_MAX_MS = 6 * 3600 * 1000
GIVE_UP_AFTER_MS = 30 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Relay:
    """A claimed row. `attempts` is its fence."""

    id: bytes
    subject: bytes
    processor: str
    action: str
    purposes: tuple[str, ...]
    cause: bytes
    attempts: int
    epoch: int
    created_at_ms: int
    box: bytes | None
    notes: bytes | None
    product: str | None


@dataclass(frozen=True, slots=True)
class NewRelay:
    """What to carry where. `box`: the sealed address of somebody who has no vault."""

    subject: bytes
    processor: str
    action: str
    purposes: tuple[str, ...]
    cause: str
    sequence: int
    urgent: bool
    id: bytes
    box: bytes | None = None
    due_at_ms: int | None = None
    product: str | None = None


_INSERT = insert(relay)


def new_relay_id() -> bytes:
    return secrets.token_bytes(RELAY_ID_SIZE_BYTES)


def enqueue(connection: Connection, relays: Sequence[NewRelay], now_ms: int) -> None:
    rows = [
        {
            "id": new.id,
            "sequence": new.sequence,
            "subject": new.subject,
            "processor": new.processor,
            "action": new.action,
            "purposes": ",".join(new.purposes),
            "cause": bytes.fromhex(new.cause),
            "urgent": int(new.urgent),
            "status": PENDING,
            "attempts": 0,
            "epoch": 1,
            "claimed_until_ms": 0,
            "next_attempt_at_ms": new.due_at_ms or now_ms,
            "created_at_ms": now_ms,
            "updated_at_ms": now_ms,
            "box": new.box,
            "product": new.product,
        }
        for new in relays
    ]
    if rows:
        connection.execute(_INSERT, rows)


def claim_due(
    connection: Connection, urgent: bool, now_ms: int, limit: int, without: Sequence[str] = ()
) -> list[Relay]:
    """Claim due rows, oldest first; of one (subject, processor) only the oldest unfinished, to keep its order.

    `without`: processors that have enough to do.
    """
    earlier = relay.alias("earlier")
    blocked = (
        select(earlier.c.id)
        .where(
            earlier.c.subject == relay.c.subject,
            earlier.c.processor == relay.c.processor,
            earlier.c.status == PENDING,
            earlier.c.sequence < relay.c.sequence,
        )
        .exists()
    )
    due = (
        select(relay)
        .where(
            relay.c.status == PENDING,
            relay.c.urgent == int(urgent),
            relay.c.next_attempt_at_ms <= now_ms,
            relay.c.claimed_until_ms <= now_ms,
            relay.c.processor.not_in(without),
            ~blocked,
        )
        .order_by(relay.c.sequence)
        .limit(limit)
        .with_for_update(skip_locked=True, of=relay)
    )
    rows = connection.execute(due).all()
    for row in rows:
        connection.execute(
            update(relay)
            .where(relay.c.id == row.id)
            .values(attempts=row.attempts + 1, claimed_until_ms=now_ms + LEASE_MS)
        )
    return [_claimed(row._mapping) for row in rows]


def _claimed(row: object) -> Relay:
    values: dict[str, object] = dict(row)  # type: ignore[call-overload]
    values["purposes"] = tuple(part for part in str(values["purposes"]).split(",") if part)
    values["attempts"] = int(str(values["attempts"])) + 1
    return Relay(**{name: values[name] for name in Relay.__slots__})  # type: ignore[arg-type]


def due_count(connection: Connection, urgent: bool, now_ms: int) -> int:
    condition = (
        (relay.c.status == PENDING)
        & (relay.c.urgent == int(urgent))
        & (relay.c.next_attempt_at_ms <= now_ms)
        & (relay.c.claimed_until_ms <= now_ms)
    )
    return int(connection.execute(select(func.count()).select_from(relay).where(condition)).scalar_one())


def finish(
    connection: Connection, claimed: Relay, status: str, outcome: str | None, reason: str | None, now_ms: int
) -> bool:
    """End a relay; False when another attempt has taken it over meanwhile."""
    return _update(connection, claimed, now_ms, status=status, outcome=outcome, reason=reason, box=None)


def park(connection: Connection, claimed: Relay, reason: str, now_ms: int) -> bool:
    """Give up until an operator replays it; the sealed address is kept, or a replay could not act."""
    return _update(connection, claimed, now_ms, status=PARKED, reason=reason)


def retry(
    connection: Connection, claimed: Relay, reason: str, now_ms: int, delay_ms: int, new_epoch: bool = False
) -> bool:
    epoch = claimed.epoch + int(new_epoch)
    return _update(
        connection,
        claimed,
        now_ms,
        reason=reason,
        claimed_until_ms=0,
        next_attempt_at_ms=now_ms + delay_ms,
        epoch=epoch,
    )


def _update(connection: Connection, claimed: Relay, now_ms: int, **values: object) -> bool:
    fenced = (relay.c.id == claimed.id) & (relay.c.status == PENDING) & (relay.c.attempts == claimed.attempts)
    return connection.execute(update(relay).where(fenced).values(updated_at_ms=now_ms, **values)).rowcount == 1


def can_rearm(now_ms: int) -> ColumnElement[bool]:
    """Parked, or waiting for its next attempt after one that failed; not while an attempt is under way."""
    waits = (relay.c.status == PENDING) & relay.c.reason.is_not(None) & (relay.c.claimed_until_ms <= now_ms)
    return (relay.c.status == PARKED) | waits


def rearm(connection: Connection, relay_id: bytes, now_ms: int) -> bool:
    """An operator's replay: pending again at once, under a fresh idempotency key."""
    again = {
        "status": PENDING,
        "reason": None,
        "epoch": relay.c.epoch + 1,
        "claimed_until_ms": 0,
        "next_attempt_at_ms": now_ms,
        "created_at_ms": now_ms,
        "updated_at_ms": now_ms,
    }
    condition = (relay.c.id == relay_id) & can_rearm(now_ms)
    return connection.execute(update(relay).where(condition).values(**again)).rowcount == 1


def backoff_ms(attempts: int, chance: random.Random) -> int:
    """Doubling with full jitter: nobody comes back in step (1 s … 6 h)."""
    ceiling = min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** min(attempts, 20))
    return int(ceiling * (0.5 + chance.random() / 2))
