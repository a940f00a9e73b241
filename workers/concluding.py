"""Concluding: how attempts ended, written down, many in one transaction with the entries that say so."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from sqlalchemy import Connection

from ledger import aftermath, late_effects, outbox, processors
from ledger.carrying import GIVE
from ledger.late_effects import REASON
from ledger.log import NewEntry, append_many, lock_head, new_id
from ledger.outbox import Relay
from ledger.processors import ProcessorState
from ledger.recorder import MAIL
from ledger.sealing import seal_versioned
from schemas.entry import Entry, Kind
from schemas.log_line import log
from workers.attempt import carried_addresses, notes_context
from workers.context import Context
from workers.ending import Ending, Superseded
from workers.relays.action import Outcome, RelayError, RelayWait

HALT_WAIT_MS = 5 * 60 * 1000  # wrong credentials: an operator must act; do not lock the account meanwhile
WAIT_MAX_MS = 7 * 24 * 3600 * 1000  # a relay that takes months is looked at once a week all the same
# Failures of the processor rather than of one relay. So are 429 and every 5xx.
OUTAGES = frozenset({"connect", "dns", "deadline", "connection_lost", "tls", "tls_handshake", "redirect"})
CHANCE = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Attempted:
    """A claim, and how its attempt ended."""

    claimed: Relay
    end: Ending | Superseded | RelayError | RelayWait


def conclude(context: Context, connection: Connection, attempted: Sequence[Attempted], now_ms: int) -> None:
    """In the caller's write transaction, before it does anything else."""
    if not attempted:
        return
    lock_head(connection)
    states = processors.lock(connection, {one.claimed.processor for one in attempted})
    changed = dict(states)
    said: list[tuple[Relay, Entry]] = []
    for one in attempted:
        own = one.claimed.processor
        changed[own] = _counted(changed[own], one.end, now_ms)
        entry = _conclude_one(context, connection, one.claimed, one.end, now_ms)
        if entry is not None:
            said.append((one.claimed, entry))
    append_many(connection, [NewEntry(entry) for _, entry in said])  # together: the head is read and moved once
    for claimed, entry in said:
        if entry.kind is Kind.RELAY_COMPLETED and claimed.processor != MAIL:
            addresses = carried_addresses(context, claimed)
            aftermath.settle(connection, context.keyring, context.policy, claimed, addresses, now_ms)
    for processor, state in changed.items():
        if state != states[processor]:
            processors.store(connection, state)


def _counted(state: ProcessorState, end: Ending | Superseded | RelayError | RelayWait, now_ms: int) -> ProcessorState:
    """The breaker. Whoever has answered is there, whatever the answer; what was called off asked nobody."""
    if isinstance(end, Superseded):
        return state
    if not isinstance(end, RelayError):
        return state.answered()
    if not is_outage(end):
        return state.answered() if end.status is not None else state
    wait_ms = HALT_WAIT_MS if end.halt else None
    if end.retry_after_s is not None:
        wait_ms = int(end.retry_after_s * 1000)
    return state.failed(end.reason, now_ms, wait_ms, CHANCE)


def is_outage(error: RelayError) -> bool:
    """Whether the next relay to the same processor would fare no better."""
    busy = error.status is not None and (error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.status == 429)
    return error.halt or busy or error.reason in OUTAGES


def _conclude_one(
    context: Context,
    connection: Connection,
    claimed: Relay,
    end: Ending | Superseded | RelayError | RelayWait,
    now_ms: int,
) -> Entry | None:
    """The entry that says so, which the caller appends; None where none does."""
    match end:
        case Ending():
            return _ended(connection, claimed, end, now_ms)
        case Superseded():
            outbox.finish(connection, claimed, outbox.SUPERSEDED, None, end.reason, now_ms)
        case RelayWait():
            _waits(context, connection, claimed, end, now_ms)
        case RelayError():
            return _failed(connection, claimed, end, now_ms)
    return None


def _ended(connection: Connection, claimed: Relay, ending: Ending, now_ms: int) -> Entry | None:
    if not ending.confirmed:
        return _not_covered(connection, claimed, ending, now_ms)
    ending = _as_first_done(claimed, ending)
    repeat_at_ms = late_effects.repeat_at_ms(connection, claimed, now_ms)
    if repeat_at_ms is not None:
        until_ms = ending.retained_until_ms
        outbox.repeat(connection, claimed, REASON, now_ms, repeat_at_ms, ending.outcome, until_ms)
        log.info("relay_repeats", relay=claimed.id.hex(), processor=claimed.processor)
        return None
    ended = outbox.finish(
        connection, claimed, outbox.CONFIRMED, ending.outcome, ending.reason, now_ms, ending.retained_until_ms
    )
    log.info("relay_ended", relay=claimed.id.hex(), processor=claimed.processor, outcome=ending.outcome)
    return _entry(claimed, Kind.RELAY_COMPLETED, ending, now_ms) if ended else None


def _as_first_done(claimed: Relay, ending: Ending) -> Ending:
    """Done once more, there is nothing left to be found: what counts is what the first time did."""
    if claimed.outcome is None or ending.outcome != Outcome.NOT_FOUND:
        return ending
    return Ending(claimed.outcome, ending.reason, retained_until_ms=claimed.retained_until_ms)


def _not_covered(connection: Connection, claimed: Relay, ending: Ending, now_ms: int) -> Entry | None:
    """A person must do it; but nobody must give by hand what the processor has no place for."""
    if claimed.action == GIVE:
        outbox.finish(connection, claimed, outbox.SUPERSEDED, ending.outcome, ending.reason or ending.outcome, now_ms)
    elif outbox.park(connection, claimed, ending.reason or ending.outcome, now_ms):
        log.warning("relay_parked", relay=claimed.id.hex(), processor=claimed.processor, reason=ending.reason)
        return _entry(claimed, Kind.RELAY_PARKED, ending, now_ms)
    return None


def _waits(context: Context, connection: Connection, claimed: Relay, end: RelayWait, now_ms: int) -> None:
    text = json.dumps(dict(end.notes), sort_keys=True, separators=(",", ":")).encode()
    notes = seal_versioned(context.keyring["kek"], text, notes_context(claimed))
    delay_ms = min(max(int(end.wait_s * 1000), outbox.BACKOFF_FIRST_MS), WAIT_MAX_MS)
    outbox.wait(connection, claimed, end.reason, now_ms, delay_ms, notes=notes, keeps_box=end.keeps_addresses)
    log.info("relay_waits", relay=claimed.id.hex(), processor=claimed.processor, reason=end.reason)


def _failed(connection: Connection, claimed: Relay, error: RelayError, now_ms: int) -> Entry | None:
    entry = None
    too_old = now_ms - claimed.created_at_ms > outbox.GIVE_UP_AFTER_MS
    if error.permanent or too_old:
        if outbox.park(connection, claimed, error.reason, now_ms):
            entry = _entry(claimed, Kind.RELAY_PARKED, Ending("", error.reason), now_ms)
    else:
        outbox.retry(connection, claimed, error.reason, now_ms, _delay_ms(claimed, error), error.new_epoch)
    if too_old:
        log.error("relay_given_up", relay=claimed.id.hex(), processor=claimed.processor, reason=error.reason)
        return entry
    level = log.error if error.permanent or error.halt else log.warning
    level("relay_not_done", relay=claimed.id.hex(), processor=claimed.processor, reason=error.reason)
    return entry


def _delay_ms(claimed: Relay, error: RelayError) -> int:
    if error.halt:
        return HALT_WAIT_MS
    if error.retry_after_s is not None:
        return max(int(error.retry_after_s * 1000), outbox.BACKOFF_FIRST_MS)  # "Retry-After: 0" is not taken literally
    return outbox.backoff_ms(claimed.attempts, CHANCE)


def _entry(claimed: Relay, kind: Kind, ending: Ending, now_ms: int) -> Entry:
    """How it ended; appended in the transaction that ends it."""
    return Entry(
        id=new_id(now_ms),
        kind=kind,
        recorded_at_ms=now_ms,
        subject=claimed.subject,
        processor=claimed.processor,
        action=claimed.action,
        outcome=ending.outcome or None,
        reason=ending.reason,
        product=claimed.product,
        retained_until_ms=ending.retained_until_ms,
        ref=claimed.cause.hex(),
    )
