"""The state of each processor, shared by everybody who carries to it: the kill switch and the circuit breaker.

An operator pauses and resumes. Failures in a row open the breaker: nobody calls for a while, then one attempt is made
to see whether the processor is back, and its success opens the way for all. No relay is lost or counted meanwhile.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from ledger.errors import RefusedError
from ledger.log import NewEntry, append_many, lock_head, new_id
from ledger.outbox import LEASE_MS
from ledger.tables import processor_state
from schemas.entry import Entry, Kind

FAILURES_MAX = 5  # in a row; from here on one attempt at a time, with rests in between
REST_FIRST_MS = 2_000
REST_MAX_MS = 5 * 60_000


@dataclass(frozen=True, slots=True)
class ProcessorState:
    """`failures`: in a row. Nobody calls before `closed_until_ms`."""

    processor: str
    paused_at_ms: int | None = None
    failures: int = 0
    closed_until_ms: int = 0
    reason: str | None = None

    def can_claim(self, wanted: int, now_ms: int) -> int:
        """How many of `wanted` attempts may begin now: after failures in a row, one."""
        if self.paused_at_ms is not None or self.closed_until_ms > now_ms:
            return 0
        return min(wanted, 1) if self.failures >= FAILURES_MAX else wanted

    def probing(self, now_ms: int) -> "ProcessorState":
        """One attempt has begun: nobody else begins one before it has ended, or its lease has."""
        return replace(self, closed_until_ms=now_ms + LEASE_MS) if self.failures >= FAILURES_MAX else self

    def answered(self) -> "ProcessorState":
        return replace(self, failures=0, closed_until_ms=0, reason=None)

    def failed(self, reason: str, now_ms: int, wait_ms: int | None, chance: random.Random) -> "ProcessorState":
        """`wait_ms`: what the processor asked for, or what the failure calls for."""
        failures = self.failures + 1
        if wait_ms is None and failures > FAILURES_MAX:  # the one attempt: its place is free again
            until_ms = now_ms + rest_ms(failures, chance)
        else:
            rest = rest_ms(failures, chance) if wait_ms is None else wait_ms
            until_ms = max(self.closed_until_ms, now_ms + rest)
        return replace(self, failures=failures, closed_until_ms=until_ms, reason=reason)


def rest_ms(failures: int, chance: random.Random) -> int:
    """None before FAILURES_MAX in a row, then doubling from 2 s to 5 min, with jitter: nobody comes back in step."""
    if failures < FAILURES_MAX:
        return 0
    ceiling = min(REST_MAX_MS, REST_FIRST_MS * 2 ** min(failures - FAILURES_MAX, 20))
    return int(ceiling * (0.5 + chance.random() / 2))


_LOCK = select(processor_state).order_by(processor_state.c.processor).with_for_update()


def lock(connection: Connection, processors: Iterable[str]) -> dict[str, ProcessorState]:
    """The states as they are, and nobody else's until this transaction ends."""
    found = _read(connection)
    missing = [name for name in processors if name not in found]
    for name in missing:
        try:
            with connection.begin_nested():
                connection.execute(insert(processor_state).values(processor=name))
        except IntegrityError:  # somebody else was here first
            continue
    return _read(connection) if missing else found


def _read(connection: Connection) -> dict[str, ProcessorState]:
    return {row.processor: _state(row) for row in connection.execute(_LOCK)}


def _state(row: Row[Any]) -> ProcessorState:
    return ProcessorState(**row._mapping)


def store(connection: Connection, state: ProcessorState) -> None:
    values = {"failures": state.failures, "closed_until_ms": state.closed_until_ms, "reason": state.reason}
    own = processor_state.c.processor == state.processor
    connection.execute(update(processor_state).where(own).values(values))


def states(connection: Connection) -> dict[str, ProcessorState]:
    """Of every processor that was ever carried to."""
    return {row.processor: _state(row) for row in connection.execute(select(processor_state))}


def pause(connection: Connection, processor: str, now_ms: int) -> None:
    """The kill switch: attempts under way end, no other begins. RefusedError if it is so already."""
    _switch(connection, processor, now_ms, is_paused=True)


def resume(connection: Connection, processor: str, now_ms: int) -> None:
    """All that waited goes on in its order. It also ends the rest after failures. RefusedError if there is neither."""
    _switch(connection, processor, now_ms, is_paused=False)


def end_rest(connection: Connection, processor: str) -> None:
    """After failures: an operator says that it is mended. One that is paused stays so."""
    values = {"failures": 0, "closed_until_ms": 0, "reason": None}
    connection.execute(update(processor_state).where(processor_state.c.processor == processor).values(values))


def _switch(connection: Connection, processor: str, now_ms: int, *, is_paused: bool) -> None:
    lock_head(connection)
    state = lock(connection, [processor])[processor]
    if is_paused and state.paused_at_ms is not None:
        raise RefusedError("already_paused")
    if not is_paused and state == ProcessorState(processor):
        raise RefusedError("not_paused")
    values = {"paused_at_ms": now_ms} if is_paused else {"paused_at_ms": None, "failures": 0, "closed_until_ms": 0}
    own = processor_state.c.processor == processor
    connection.execute(update(processor_state).where(own).values(values | ({} if is_paused else {"reason": None})))
    kind = Kind.PROCESSOR_PAUSED if is_paused else Kind.PROCESSOR_RESUMED
    entry = Entry(
        id=new_id(now_ms), kind=kind, recorded_at_ms=now_ms, processor=processor, source="operator", method="operator"
    )
    append_many(connection, [NewEntry(entry)])
