"""The outbox: one row per action carried to one processor. The database remembers; the queue only rings.

A row is claimed for a while (ledger.claiming), with its attempt number as the fence: a slow earlier attempt can no
longer end it.
"""

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import ColumnElement, Connection, Update, bindparam, case, insert, update

from ledger.tables import relay

PENDING, CONFIRMED, SUPERSEDED, PARKED = "pending", "confirmed", "superseded", "parked"
BY_HAND = "done_by_hand"
RELAY_ID_SIZE_BYTES = 16
LEASE_MS = 60_000  # longer than the longest attempt: three calls of 10 s each, and their read-backs
BACKOFF_FIRST_MS = 1_000
BACKOFF_MAX_MS = 6 * 3600 * 1000
GIVE_UP_AFTER_MS = 30 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Relay:
    """A claimed row. `attempts` is its fence. `outcome`: of an attempt that succeeded and is to be repeated."""

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
    outcome: str | None
    retained_until_ms: int | None


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


def finish(
    connection: Connection,
    claimed: Relay,
    status: str,
    outcome: str | None,
    reason: str | None,
    now_ms: int,
    retained_until_ms: int | None = None,
) -> bool:
    """End a relay; False when another attempt has taken it over meanwhile."""
    ended = {"status": status, "outcome": outcome, "reason": reason, "retained_until_ms": retained_until_ms}
    return _update(connection, claimed, now_ms, **ended, box=None, notes=None)


def park(connection: Connection, claimed: Relay, reason: str, now_ms: int) -> bool:
    """Give up until an operator replays it; the sealed address is kept, or a replay could not act."""
    return _update(connection, claimed, now_ms, status=PARKED, reason=reason)


def retry(
    connection: Connection, claimed: Relay, reason: str, now_ms: int, delay_ms: int, new_epoch: bool = False
) -> bool:
    due = {"claimed_until_ms": 0, "next_attempt_at_ms": now_ms + delay_ms}
    return _update(connection, claimed, now_ms, reason=reason, epoch=claimed.epoch + int(new_epoch), **due)


def wait(
    connection: Connection,
    claimed: Relay,
    reason: str,
    now_ms: int,
    delay_ms: int,
    *,
    notes: bytes,
    keeps_box: bool = True,
) -> bool:
    """The processor has begun and needs time: no failure, so the days until it is given up begin anew."""
    due = {"claimed_until_ms": 0, "next_attempt_at_ms": now_ms + delay_ms, "created_at_ms": now_ms}
    box = claimed.box if keeps_box else None
    return _update(connection, claimed, now_ms, reason=reason, notes=notes, box=box, **due)


def repeat(
    connection: Connection, claimed: Relay, reason: str, now_ms: int, due_at_ms: int, outcome: str, until_ms: int | None
) -> bool:
    """Done, and to be done once more: under a fresh idempotency key, or the processor would answer from memory."""
    due = {"claimed_until_ms": 0, "next_attempt_at_ms": due_at_ms, "epoch": claimed.epoch + 1}
    return _update(connection, claimed, now_ms, reason=reason, outcome=outcome, retained_until_ms=until_ms, **due)


# Prepared for each set of columns once: SQLAlchemy takes longer to put a statement together than to run it.
@lru_cache(maxsize=16)
def _ending(names: tuple[str, ...]) -> Update:
    fenced = (relay.c.id == bindparam("own")) & (relay.c.status == PENDING) & (relay.c.attempts == bindparam("fence"))
    return update(relay).where(fenced).values({name: bindparam(f"new_{name}") for name in names})


def _update(connection: Connection, claimed: Relay, now_ms: int, **values: object) -> bool:
    values["updated_at_ms"] = now_ms
    bound = {f"new_{name}": value for name, value in values.items()}
    statement = _ending(tuple(values))
    return connection.execute(statement, bound | {"own": claimed.id, "fence": claimed.attempts}).rowcount == 1


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


def do_again(connection: Connection, relay_id: bytes, purposes: Sequence[str], now_ms: int) -> None:
    """What was done may have been undone by another relay. An attempt that is under way can no longer end it."""
    again = {
        "status": PENDING,
        "purposes": ",".join(purposes),
        "outcome": None,
        "reason": None,
        "epoch": relay.c.epoch + 1,
        "attempts": relay.c.attempts + 1,
        "claimed_until_ms": case((relay.c.status == PENDING, relay.c.claimed_until_ms), else_=0),
        "next_attempt_at_ms": now_ms,
        "created_at_ms": now_ms,
        "updated_at_ms": now_ms,
    }
    connection.execute(update(relay).where(relay.c.id == relay_id).values(**again))


def resolve(
    connection: Connection, relay_id: bytes, outcome: str, now_ms: int, retained_until_ms: int | None = None
) -> bool:
    """An operator did by hand what is parked; False when it is not, or no longer."""
    ended = {"status": CONFIRMED, "outcome": outcome, "reason": BY_HAND, "retained_until_ms": retained_until_ms}
    condition = (relay.c.id == relay_id) & (relay.c.status == PARKED)
    values = {**ended, "box": None, "notes": None, "updated_at_ms": now_ms}
    return connection.execute(update(relay).where(condition).values(values)).rowcount == 1


def backoff_ms(attempts: int, chance: random.Random) -> int:
    """Doubling with full jitter: nobody comes back in step (1 s … 6 h)."""
    ceiling = min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** min(attempts, 20))
    return int(ceiling * (0.5 + chance.random() / 2))
