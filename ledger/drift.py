"""The nightly comparison's memory: who is to be compared with the processors, and how far tonight's sweep has come.

Its row of `heartbeat` holds a lease in its time and the counts in its detail, so that one sweep runs at a time and a
killed one is taken up where it stopped. Every night: all who changed in a week, and a thirtieth of the others.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, delete, func, insert, or_, select, update

from ledger import restriction
from ledger.log import lock_head
from ledger.state import DECISIVE
from ledger.tables import (
    consent_state,
    drift_check,
    heartbeat,
    ledger_entry,
    processor_state,
    subject,
    suppression,
)
from schemas.entry import Kind

SWEEP = "drift"
DAY_MS = 24 * 3600 * 1000
NIGHT_MS = 3600 * 1000  # after midnight UTC: two or three o'clock in Norway
RECENT_DAYS = 7
NIGHTS = 30  # in so many, everybody is compared once
PEOPLE_MAX = 5_000  # in one night
LEASE_MS = 5 * 60_000  # longer than a slice and the slowest comparison that it may end with
CHANGES = (
    *(Kind.GIVEN, Kind.WITHDRAWN, Kind.REVOKED, Kind.RESTRICTED, Kind.UNRESTRICTED),
    *(Kind.RECTIFIED, Kind.RELAY_RESOLVED, Kind.DRIFT_FOUND),
)


@dataclass(frozen=True, slots=True)
class Sweep:
    """One night's. `share`: how many of those who did not change; `rotated`: how many of them are done.

    `counts`: what was found, by word. `rests`: processors that failed, and until when they are left alone.
    """

    begun_at_ms: int
    share: int = 0
    rotated: int = 0
    people: int = 0
    finished_at_ms: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    rests: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """The sweep that runs or ran last, and the last that finished."""

    current: Sweep | None = None
    finished: Sweep | None = None
    leased_until_ms: int = 0


def standing(connection: Connection) -> Standing:
    row = connection.execute(select(heartbeat).where(heartbeat.c.process == SWEEP)).one_or_none()
    if row is None:
        return Standing()
    current, finished = (document and Sweep(**document) for document in json.loads(row.detail))
    return Standing(current, finished, row.at_ms)


def is_due(connection: Connection, now_ms: int) -> bool:
    """Whether a sweep is to begin or to go on."""
    found = standing(connection)
    if found.leased_until_ms > now_ms:
        return False
    if found.current is None:  # the first is that of the first night after somebody came
        older = select(subject.c.handle).where(subject.c.created_at_ms < _night_ms(now_ms))
        return connection.execute(older.limit(1)).first() is not None
    return found.current.finished_at_ms is None or found.current.begun_at_ms < _night_ms(now_ms)


def _night_ms(now_ms: int) -> int:
    """When the last night's sweep was due; one that is older is over, finished or not."""
    return now_ms - (now_ms - NIGHT_MS) % DAY_MS


def claim(connection: Connection, now_ms: int, *, begins: bool = False) -> Sweep | None:
    """Take the sweep over, for LEASE_MS at most; None if it is not due, or somebody has it.

    `begins`: begin a new one, whatever the hour.
    """
    lock_head(connection)
    found = standing(connection)
    if found.leased_until_ms > now_ms or not (begins or is_due(connection, now_ms)):
        return None
    sweep = found.current
    if begins or sweep is None or sweep.begun_at_ms < _night_ms(now_ms):
        people = connection.execute(select(func.count()).select_from(subject).where(_is_comparable())).scalar_one()
        # Of whoever is erased meanwhile: handles that lead nowhere.
        connection.execute(delete(drift_check).where(drift_check.c.subject.not_in(select(subject.c.handle))))
        sweep = Sweep(now_ms, share=-(-people // NIGHTS))
    _store(connection, Standing(sweep, found.finished, now_ms + LEASE_MS))
    return sweep


def release(connection: Connection, sweep: Sweep, now_ms: int, not_before_ms: int = 0) -> None:
    """Give the sweep back; `not_before_ms`: when it is worth going on."""
    finished = sweep if sweep.finished_at_ms is not None else standing(connection).finished
    _store(connection, Standing(sweep, finished, max(not_before_ms, now_ms)))


def _store(connection: Connection, found: Standing) -> None:
    detail = json.dumps([one and asdict(one) for one in (found.current, found.finished)])
    values: dict[str, Any] = {"at_ms": found.leased_until_ms, "detail": detail}
    if connection.execute(update(heartbeat).where(heartbeat.c.process == SWEEP).values(values)).rowcount == 0:
        connection.execute(insert(heartbeat), {"process": SWEEP, **values})


def _is_comparable() -> ColumnElement[bool]:
    """Somebody who has decided something; of anybody else the ledger expects nothing."""
    decided = select(consent_state.c.subject).where(consent_state.c.state.in_(DECISIVE))
    return or_(subject.c.handle.in_(decided), subject.c.restricted_reason.in_(restriction.REASONS))


def next_people(
    connection: Connection, sweep: Sweep, processors: Sequence[str], limit: int
) -> tuple[list[bytes], bool]:
    """Whom to compare next with these processors, and whether they are of the share; nobody at the sweep's end."""
    limit = min(limit, PEOPLE_MAX - sweep.people)
    if limit <= 0:
        return [], False
    is_open = _is_comparable() & subject.c.handle.not_in(_compared(sweep, processors))
    changed = select(subject.c.handle).where(is_open, subject.c.handle.in_(_changed(connection, sweep)))
    handles = list(connection.execute(changed.order_by(subject.c.handle).limit(limit)).scalars())
    if handles or sweep.rotated >= sweep.share:
        return handles, False
    others = _oldest_first(is_open, processors).limit(min(limit, sweep.share - sweep.rotated))
    return list(connection.execute(others).scalars()), True


def _compared(sweep: Sweep, processors: Sequence[str]) -> Select[Any]:
    """Who was compared with every one of them since the sweep began."""
    since = (drift_check.c.processor.in_(processors)) & (drift_check.c.checked_at_ms >= sweep.begun_at_ms)
    counted = select(drift_check.c.subject).where(since).group_by(drift_check.c.subject)
    return counted.having(func.count() == len(processors))


def _changed(connection: Connection, sweep: Sweep) -> Select[Any]:
    before = ledger_entry.c.recorded_at_ms < sweep.begun_at_ms - RECENT_DAYS * DAY_MS
    # From the end backwards: no index finds a time, and a week is at the end.
    last = select(ledger_entry.c.position).where(before).order_by(ledger_entry.c.position.desc()).limit(1)
    position = connection.execute(last).scalar()
    recent = ledger_entry.c.position > (-1 if position is None else position)
    return select(ledger_entry.c.subject).where(
        recent, ledger_entry.c.kind.in_(CHANGES), ledger_entry.c.subject.is_not(None)
    )


def _oldest_first(is_open: ColumnElement[bool], processors: Sequence[str]) -> Select[Any]:
    """By when they were last compared with all of them; whoever never was comes first."""
    checks = (
        select(drift_check.c.subject, func.count().label("count"), func.min(drift_check.c.checked_at_ms).label("at_ms"))
        .where(drift_check.c.processor.in_(processors))
        .group_by(drift_check.c.subject)
        .subquery()
    )
    at_ms = case((checks.c.count == len(processors), checks.c.at_ms), else_=0)
    joined = select(subject.c.handle).outerjoin(checks, checks.c.subject == subject.c.handle)
    return joined.where(is_open).order_by(at_ms, subject.c.handle)


def left_to_compare(connection: Connection, sweep: Sweep, handle: bytes, processors: Sequence[str]) -> list[str]:
    """Which of the processors a person was not compared with since the sweep began."""
    done = select(drift_check.c.processor).where(
        drift_check.c.subject == handle, drift_check.c.checked_at_ms >= sweep.begun_at_ms
    )
    compared = set(connection.execute(done).scalars())
    return [processor for processor in processors if processor not in compared]


def mark_compared(connection: Connection, handle: bytes, processor: str, now_ms: int) -> None:
    same = (drift_check.c.subject == handle) & (drift_check.c.processor == processor)
    if connection.execute(update(drift_check).where(same).values(checked_at_ms=now_ms)).rowcount == 0:
        row = {"subject": handle, "processor": processor, "checked_at_ms": now_ms}
        connection.execute(insert(drift_check), row)


def suppressed_addresses(connection: Connection) -> int:
    """Of how many mailboxes only a keyed tag is left, so that nobody can be asked about them."""
    return int(connection.execute(select(func.count(suppression.c.tag.distinct()))).scalar_one())


def stopped_processors(connection: Connection, now_ms: int) -> dict[str, int | None]:
    """Those that nobody may call now: None where an operator paused it, or until when its breaker is open."""
    paused = processor_state.c.paused_at_ms.is_not(None)
    rows = connection.execute(select(processor_state).where(paused | (processor_state.c.closed_until_ms > now_ms)))
    return {row.processor: None if row.paused_at_ms is not None else row.closed_until_ms for row in rows}
