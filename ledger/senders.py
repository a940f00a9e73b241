"""Senders: when each was last heard of, whether its clock is right, which of its secrets it uses, and whether it still
sends anything but noes.

Everything is asked of the newest deliveries of one source, up to a limit: how old the inbox is must not matter.
"""

import hashlib
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from ledger.inbox import CONFLICT, PARKED
from ledger.tables import inbox, ledger_entry
from schemas.entry import Kind
from schemas.policy import Policy
from schemas.stripe.shape import SOURCE as STRIPE
from schemas.understanding import FORM_PREFIX

HOUR_MS = 60 * 60 * 1000
DAY_MS = 24 * HOUR_MS
RECENT = 100  # deliveries that say how a sender is doing
# A source is silent for unusually long after four times its longest silence in the 30 days before it fell silent, and
# never before a day has passed. With fewer than five deliveries in them nobody knows what is usual.
USUAL_WINDOW_MS = 30 * DAY_MS
USUAL_DELIVERIES_MIN = 5
SILENCE_MIN_MS = DAY_MS
SILENCE_FACTOR = 4
LOOKED_AT_MAX = 10_000  # deliveries; with more in 30 days no silence of a source is longer than minutes
KEYS_LOOKED_AT_MAX = 50_000
NOES_MAX = 50  # answers in a row without a yes, of a form that had them before
ANSWERS_LOOKED_AT_MAX = 1_000
YES = (Kind.REQUESTED, Kind.GIVEN)


@dataclass(frozen=True, slots=True)
class Standing:
    """The newest deliveries of a source: `recent` of them, of which `parked` wait.

    `skew_ms`: the median of its time minus ours, where it signs one; positive: its clock is ahead.
    """

    source: str
    received_at_ms: int
    skew_ms: int | None
    recent: int
    parked: int


@dataclass(frozen=True, slots=True)
class Silence:
    """How long a source has been silent, and the longest that it was in the 30 days before."""

    silent_ms: int
    usual_ms: int

    @property
    def is_unusual(self) -> bool:
        return self.silent_ms > max(SILENCE_MIN_MS, SILENCE_FACTOR * self.usual_ms)


@dataclass(frozen=True, slots=True)
class KeyUses:
    """When each secret of a source was last used, by its fingerprint; back to `since_ms` and no further."""

    used_at_ms: Mapping[str, int]
    since_ms: int | None


def sources_of(policy: Policy) -> tuple[str, ...]:
    """Every source that may send."""
    return STRIPE, *(FORM_PREFIX + form for form in policy.forms)


def fingerprint(secret: str) -> str:
    """Names a secret in records without revealing it; secrets are long and random."""
    return hashlib.sha256(b"samtykke/key-id\x00" + secret.encode()).hexdigest()[:8]


def standing_of(connection: Connection, source: str) -> Standing | None:
    """None for a source that never delivered anything."""
    newest = select(inbox.c.received_at_ms, inbox.c.skew_ms, inbox.c.status).where(inbox.c.source == source)
    rows = connection.execute(newest.order_by(inbox.c.received_at_ms.desc()).limit(RECENT)).all()
    if not rows:
        return None
    skews = [row.skew_ms for row in rows if row.skew_ms is not None]
    return Standing(
        source,
        rows[0].received_at_ms,
        int(statistics.median(skews)) if skews else None,
        len(rows),
        sum(row.status == PARKED for row in rows),
    )


def standings_of(connection: Connection, sources: Sequence[str]) -> list[Standing]:
    """Of those that ever delivered anything."""
    found = (standing_of(connection, source) for source in sources)
    return [standing for standing in found if standing is not None]


def conflicts(connection: Connection) -> dict[str, int]:
    """Source -> how many of its deliveries wait because their id was used before for something else."""
    waiting = (inbox.c.status == PARKED) & (inbox.c.reason == CONFLICT)
    counted = (
        select(inbox.c.source, func.count().label("waiting"))
        .where(waiting)
        .group_by(inbox.c.source)
        .order_by(inbox.c.source)
    )
    return {row.source: row.waiting for row in connection.execute(counted)}


def silence_of(connection: Connection, source: str, now_ms: int) -> Silence | None:
    """None where too little is known to say what is usual. Asked about the days before the source fell silent: of the
    last 30 days nothing would be known when it matters most."""
    received = select(inbox.c.received_at_ms).where(inbox.c.source == source)
    newest = connection.execute(received.order_by(inbox.c.received_at_ms.desc()).limit(LOOKED_AT_MAX)).scalars().all()
    known = [at_ms for at_ms in newest if at_ms >= newest[0] - USUAL_WINDOW_MS]
    if len(known) < USUAL_DELIVERIES_MIN:
        return None
    longest_ms = max(later - earlier for later, earlier in zip(known, known[1:], strict=False))
    return Silence(now_ms - known[0], longest_ms)


def key_uses(connection: Connection, source: str) -> KeyUses:
    """Of the newest deliveries of a source, which were proved with which secret."""
    looked_at = (
        select(inbox.c.key_id, inbox.c.received_at_ms)
        .where(inbox.c.source == source)
        .order_by(inbox.c.received_at_ms.desc())
        .limit(KEYS_LOOKED_AT_MAX)
        .subquery()
    )
    at_ms = looked_at.c.received_at_ms
    rows = connection.execute(select(looked_at.c.key_id, func.max(at_ms), func.min(at_ms)).group_by(looked_at.c.key_id))
    found = rows.all()
    used = {key_id: last_ms for key_id, last_ms, _ in found if key_id is not None}
    return KeyUses(used, min((first_ms for _, _, first_ms in found), default=None))


def noes_in_a_row(connection: Connection, source: str) -> int | None:
    """How many of its newest forms said yes to nothing, if they are suspiciously many and an earlier one did say yes.

    A form whose plugin leaves out what is not ticked says the same when its field was renamed as when nobody ticks it.
    """
    newest = (
        select(inbox.c.id)
        .where(inbox.c.source == source)
        .order_by(inbox.c.received_at_ms.desc(), inbox.c.id.desc())
        .limit(ANSWERS_LOOKED_AT_MAX)
        .subquery()
    )
    answered = select(ledger_entry.c.inbox_id, ledger_entry.c.kind).join(newest, newest.c.id == ledger_entry.c.inbox_id)
    said: dict[int, bool] = {}
    for inbox_id, kind in connection.execute(answered.where(ledger_entry.c.kind.in_((*YES, Kind.REFUSED)))):
        said[inbox_id] = said.get(inbox_id, False) or kind in YES
    newest_first = [said[inbox_id] for inbox_id in sorted(said, reverse=True)]
    if True not in newest_first:
        return None
    noes = newest_first.index(True)
    return noes if noes >= NOES_MAX else None
