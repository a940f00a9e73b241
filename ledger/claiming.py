"""Claiming: which rows of the outbox may be attempted now, and by whom.

Of one (subject, processor) one attempt is under way at most, until it ends or its lease does. Among themselves rows go
in the order of their causes, and what is urgent goes before all that is not: a grant never delays a withdrawal, and
when the grant's turn comes, it is asked again whether it is still true (ledger.relevance).

Claims of one processor are made one after another, under the lock of its row (ledger.processors).
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, Select, Text, and_, bindparam, or_, select, tuple_, update

from ledger.outbox import LEASE_MS, PENDING, Relay
from ledger.recorder import MAIL
from ledger.tables import relay

_NOW = bindparam("now_ms", type_=BigInteger)
_PROCESSOR = bindparam("processor", type_=Text)
_IS_DUE = and_(relay.c.status == PENDING, relay.c.next_attempt_at_ms <= _NOW, relay.c.claimed_until_ms <= _NOW)


def _due(*, urgent: bool) -> "Select[Any]":
    other = relay.alias("other")
    is_earlier = tuple_(other.c.sequence, other.c.id) < tuple_(relay.c.sequence, relay.c.id)
    under_way = other.c.claimed_until_ms > _NOW
    is_undone = other.c.outcome.is_(None)
    if urgent:  # another deed's wait for its next attempt holds up none, nor does a deed that is only repeated
        comes_first = or_(other.c.next_attempt_at_ms <= _NOW, and_(other.c.action == relay.c.action, is_undone))
        before = or_(under_way, and_(other.c.urgent == 1, is_earlier, comes_first))
    else:
        # A letter that waits for its answers holds up no other letter to the same person.
        holds_up = or_(other.c.processor != MAIL, other.c.next_attempt_at_ms <= _NOW)
        before = or_(under_way, other.c.urgent == 1, and_(is_earlier, holds_up))
    blocked = (
        select(other.c.id)
        .where(
            other.c.subject == relay.c.subject,
            other.c.processor == relay.c.processor,
            other.c.status == PENDING,
            other.c.id != relay.c.id,
            before,
        )
        .exists()
    )
    return (
        select(*(relay.c[name] for name in Relay.__slots__))
        .where(_IS_DUE, relay.c.urgent == int(urgent), relay.c.processor == _PROCESSOR, ~blocked)
        # Not by sequence: by the index, so that a claim costs the same however many rows wait.
        .order_by(relay.c.next_attempt_at_ms)
        .limit(bindparam("rows"))
        .with_for_update(skip_locked=True, of=relay)
    )


# Prepared once: SQLAlchemy takes longer to put a statement together than the database to run it.
_DUE = {urgent: _due(urgent=urgent) for urgent in (True, False)}
_CLAIM = (
    update(relay)
    .where(relay.c.id.in_(bindparam("ids", expanding=True)))
    .values(attempts=relay.c.attempts + 1, claimed_until_ms=bindparam("until_ms"))
)
_ANY_DUE = (
    select(relay.c.id)
    .where(
        _IS_DUE,
        relay.c.urgent == bindparam("urgency"),
        relay.c.processor.not_in(bindparam("closed", expanding=True)),
    )
    .limit(1)
)


def claim_due(connection: Connection, processor: str, urgent: bool, now_ms: int, limit: int) -> list[Relay]:
    """Claim due rows of one processor until their lease ends, the longest due first."""
    rows = connection.execute(_DUE[urgent], {"now_ms": now_ms, "processor": processor, "rows": limit}).all()
    if rows:
        ids = [row.id for row in rows]
        connection.execute(_CLAIM, {"ids": ids, "until_ms": now_ms + LEASE_MS})
    return [_claimed(row) for row in rows]


def _claimed(row: Row[Any]) -> Relay:
    values: dict[str, Any] = dict(row._mapping)
    values["purposes"] = tuple(part for part in values["purposes"].split(",") if part)
    values["attempts"] += 1
    return Relay(**values)


def is_due(connection: Connection, urgent: bool, now_ms: int, closed: Sequence[str] = ()) -> bool:
    """Whether anything waits to be claimed, for another processor than those that are `closed`."""
    values = {"now_ms": now_ms, "closed": list(closed), "urgency": int(urgent)}
    return connection.execute(_ANY_DUE, values).first() is not None
