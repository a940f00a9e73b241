"""Drift: every night the ledger is compared with what the processors say, a few seconds at a time beside the relays.

Whoever is erased, or only suppressed, cannot be compared: we no longer know, or never knew, by which address to ask.
"""

import secrets
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ledger import drift, drift_findings, quarantine, vault
from ledger.drift import Sweep
from ledger.drift_findings import Comparison
from ledger.errors import LedgerError, NotFoundError, SealError
from ledger.expectation import addresses_to_ask, expectations
from ledger.recorder import Recorder
from ledger.restriction import open_restricted
from schemas.log_line import error_fields, log
from workers.allowance import Allowance, within
from workers.context import Context, now_ms
from workers.pace import PACES
from workers.relays import OBSERVERS
from workers.relays.action import Presence, RelayAction, RelayError

BUDGET_S = 8.0  # what is not urgent waits so long at most
PACE_S = 0.25  # between two people: a processor answers our relays at the same time
COMPARISON_S = 20.0  # of one person with one processor: a slice must end within its job's time
REST_MS = 15 * 60_000  # for a processor that failed
BATCH_PEOPLE = 50
REASON = "drift_check"


def sweep(context: Context, *, begins: bool = False, budget_s: float = BUDGET_S, pace_s: float = PACE_S) -> int:
    """One slice of tonight's sweep, if it is due; returns how many people were compared.

    `begins`: begin a new sweep, whatever the hour.
    """
    with context.database.read() as connection:  # after every job of the relays: mostly there is nothing to do
        if quarantine.reason_of(connection) is not None or not (begins or drift.is_due(connection, now_ms())):
            return 0
    with context.database.write() as connection:
        claimed = drift.claim(connection, now_ms(), begins=begins)
    return 0 if claimed is None else _Slice(context, claimed, budget_s, pace_s).run()


class _Slice:
    """As much of a sweep as fits into the budget."""

    def __init__(self, context: Context, claimed: Sweep, budget_s: float, pace_s: float) -> None:
        self._context = context
        self._sweep = claimed
        self._pace_s = pace_s
        self._stop_at = time.monotonic() + budget_s
        self._counts = Counter(claimed.counts)
        self._rests = dict(claimed.rests)
        self._reached = dict(self._connected())
        self._not_before_ms = 0

    def run(self) -> int:
        compared = 0
        try:
            for handle in self._people():
                self._compare_everywhere(handle)
                compared += 1
                if time.monotonic() >= self._stop_at:
                    break
                time.sleep(self._pace_s)
            else:
                self._pause_or_finish()
        finally:
            self._release()
        return compared

    def _connected(self) -> Iterator[tuple[str, object]]:
        for processor in self._context.policy.processors:
            if processor not in OBSERVERS:
                continue
            try:
                connection = self._context.connections.to(processor)
            except RelayError:  # the doctor says what is wrong with it
                continue
            if connection is not None:
                yield processor, connection

    def _awake(self) -> list[str]:
        """Whom we may ask now."""
        now = now_ms()
        with self._context.database.read() as connection:
            stopped = drift.stopped_processors(connection, now)
        self._rests |= {processor: until for processor, until in stopped.items() if until is not None}
        paused = {processor for processor, until in stopped.items() if until is None}
        return [one for one in self._reached if one not in paused and self._rests.get(one, 0) <= now]

    def _people(self) -> Iterator[bytes]:
        while processors := self._awake():
            with self._context.database.read() as connection:
                handles, rotates = drift.next_people(connection, self._sweep, processors, BATCH_PEOPLE)
            if not handles:
                return
            for handle in handles:
                people, rotated = self._sweep.people + 1, self._sweep.rotated + rotates
                self._sweep = replace(self._sweep, people=people, rotated=rotated)
                yield handle
                if self._awake() != processors:
                    break

    def _pause_or_finish(self) -> None:
        """Nobody is left to ask about: for tonight, or until the first processor has rested or is resumed."""
        now = now_ms()
        resting = [until for processor, until in self._rests.items() if processor in self._reached and until > now]
        if resting or (self._reached and not self._awake()):
            self._not_before_ms = min(resting, default=now + REST_MS)
        else:
            self._sweep = replace(self._sweep, finished_at_ms=now)

    def _release(self) -> None:
        rests = {processor: until for processor, until in self._rests.items() if until > now_ms()}
        self._sweep = replace(self._sweep, counts=dict(self._counts), rests=rests)
        with self._context.database.write() as connection:
            drift.release(connection, self._sweep, now_ms(), self._not_before_ms)
        if self._sweep.finished_at_ms is not None:
            log.info("drift_swept", outcome="people", count=self._sweep.people)
            for outcome, count in sorted(self._counts.items()):
                log.info("drift_swept", outcome=outcome, count=count)

    def _compare_everywhere(self, handle: bytes) -> None:
        """One person, opened once, at every processor that is awake."""
        with self._context.database.read() as connection:
            processors = drift.left_to_compare(connection, self._sweep, handle, self._awake())
        try:
            addresses = self._addresses(handle) if processors else ()
        except NotFoundError:  # erased meanwhile
            self._counts[drift_findings.GONE] += 1
            return
        except SealError:  # `flask ledger audit` says which box; it may not hold up the others
            self._counts[drift_findings.FAILED] += 1
            addresses = ()
        for processor in processors:
            if addresses:
                self._compare(handle, processor, addresses)
            else:
                self._mark(handle, processor)

    def _mark(self, handle: bytes, processor: str) -> None:
        with self._context.database.write() as connection:
            drift.mark_compared(connection, handle, processor, now_ms())

    def _addresses(self, handle: bytes) -> tuple[str, ...]:
        context = self._context
        with context.database.write() as connection:
            person = vault.load_subject(connection, context.keyring["kek"], handle)
            person = open_restricted(connection, person, REASON, now_ms())
            return addresses_to_ask(connection, person)

    def _compare(self, handle: bytes, processor: str, addresses: tuple[str, ...]) -> None:
        context = self._context
        with context.database.read() as connection:
            expected = expectations(connection, handle, context.policy.purposes)
        try:
            seen = self._observe(processor, addresses, tuple(expected))
        except RelayError as error:
            self._failed(handle, processor, error)
            return
        found = Comparison(handle, processor, expected, _where(seen, Presence.GIVEN), _where(seen, Presence.WITHDRAWN))
        now = now_ms()
        with context.database.write() as connection:
            found = replace(found, addresses=addresses)
            counts = drift_findings.record(connection, Recorder(context.keyring, context.policy, now, now), found)
        self._counts += counts
        for outcome in sorted(set(counts) - {drift_findings.SAME, drift_findings.BUSY}):
            log.warning("drift_found", processor=processor, outcome=outcome, count=counts[outcome])

    def _observe(self, processor: str, addresses: tuple[str, ...], purposes: tuple[str, ...]) -> Mapping[str, Presence]:
        action = RelayAction(secrets.token_hex(16), addresses, purposes, now_ms(), 1)
        allowance = Allowance(time.monotonic() + COMPARISON_S, PACES.get(processor))
        try:
            with within(allowance):
                seen: Mapping[str, Presence] = OBSERVERS[processor](action, self._reached[processor])
        except RelayError:
            raise
        except Exception as error:
            log.error("drift_failed", processor=processor, **error_fields(error))
            raise RelayError(error.reason if isinstance(error, LedgerError) else "observer_failed") from None
        return seen

    def _failed(self, handle: bytes, processor: str, error: RelayError) -> None:
        """One person's trouble must not stop the others': they come later, and whoever changed comes tomorrow."""
        self._counts[drift_findings.FAILED] += 1
        log.warning("drift_not_compared", processor=processor, reason=error.reason)
        if not error.halt:
            self._mark(handle, processor)
        if not error.permanent or error.halt:
            self._rests[processor] = now_ms() + max(REST_MS, int((error.retry_after_s or 0) * 1000))


def _where(seen: Mapping[str, Any], presence: Presence) -> frozenset[str]:
    return frozenset(purpose for purpose, told in seen.items() if told is presence)
