"""The relayer: carries due relays to their processors and records how each ended.

A relay ends confirmed, superseded (no longer true when its turn came), or parked with a reason and a ledger entry.
"""

import json
import random
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from sqlalchemy import Connection

from ledger import outbox, quarantine, vault
from ledger.check import withdrawn_purposes
from ledger.errors import LedgerError, NotFoundError
from ledger.log import NewEntry, append_many, entry_by_id, new_id
from ledger.outbox import Relay
from ledger.recorder import MAIL
from ledger.restriction import open_restricted
from ledger.sealing import unseal_versioned
from schemas.entry import Entry, Kind, parse_time
from schemas.log_line import error_fields, log
from workers import mail
from workers.context import Context, now_ms
from workers.ending import Ending, Superseded
from workers.relays import RELAYS
from workers.relays.action import Outcome, RelayAction, RelayError

THREADS = 6
SHARE = 2  # claims of one processor at a time, about
BUDGET_S = 15.0
HALT_DELAY_MS = 5 * 60 * 1000  # wrong credentials: an operator must act; do not lock the account meanwhile


def carry_due(context: Context, *, urgent: bool) -> int:
    """Carry every due relay of one urgency, within the budget; returns how many were tried.

    A thread that is free takes the next; no processor gets more than its share, so one that hangs until its
    deadline does not hold up the others.
    """
    with context.database.read() as connection:
        if quarantine.reason_of(connection) is not None:
            return 0
    stop_at = time.monotonic() + BUDGET_S
    total = 0
    running: dict[Future[None], str] = {}
    with ThreadPoolExecutor(THREADS, thread_name_prefix="relay") as pool:
        while True:
            if time.monotonic() < stop_at:
                for claimed in _claim(context, urgent, list(running.values())):
                    running[pool.submit(carry, context, claimed)] = claimed.processor
            if not running:
                return total
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                del running[future]
                total += 1


def _claim(context: Context, urgent: bool, running: Sequence[str]) -> list[Relay]:
    """No more than can start at once, or a lease could end before its attempt begins."""
    full = [processor for processor in set(running) if running.count(processor) >= SHARE]
    limit = min(SHARE, THREADS - len(running))
    if limit <= 0:
        return []
    with context.database.write() as connection:
        return outbox.claim_due(connection, urgent, now_ms(), limit, full)


def carry(context: Context, claimed: Relay) -> None:
    """One attempt. Never raises: what goes wrong here is retried or parked in the database."""
    try:
        _end(context, claimed, _attempt(context, claimed))
    except Superseded as ended:
        with context.database.write() as connection:
            outbox.finish(connection, claimed, outbox.SUPERSEDED, None, ended.reason, now_ms())
    except RelayError as error:
        _failed(context, claimed, error)
    except Exception as error:
        log.error("relay_failed", relay=claimed.id.hex(), processor=claimed.processor, **error_fields(error))
        reason = error.reason if isinstance(error, LedgerError) else "relay_failed"
        _failed(context, claimed, RelayError(reason))


def _attempt(context: Context, claimed: Relay) -> Ending:
    if claimed.processor == MAIL:
        return mail.send(context, claimed)
    # Re-checked at send time: a withdrawal that a newer confirmed consent has overtaken must not be carried out.
    with context.database.read() as connection:
        purposes = withdrawn_purposes(connection, claimed.subject, claimed.purposes)
        cause = json.loads(entry_by_id(connection, claimed.cause).leaf)
    if not purposes:
        raise Superseded("given_since")
    emails = _emails(context, claimed)
    if not emails:
        raise Superseded("no_address")
    connection_to = context.connections.to(claimed.processor)
    if connection_to is None:
        raise RelayError("processor_not_connected", permanent=True)
    act = RELAYS[claimed.processor].get(claimed.action)
    if act is None:
        return Ending(Outcome.NOT_COVERED.value, "action_not_supported", confirmed=False)
    # What the processor is told is when the person said it, not when we wrote it down.
    occurred_at_ms = parse_time(cause["occurred_at"])
    action = RelayAction(claimed.id.hex(), emails, purposes, occurred_at_ms, claimed.epoch)
    return Ending.of(act(action, connection_to))


def _emails(context: Context, claimed: Relay) -> tuple[str, ...]:
    kek = context.keyring["kek"]
    if claimed.box is not None:
        return tuple(unseal_versioned(kek, claimed.box, claimed.id).decode().splitlines())
    try:
        with context.database.read() as connection:
            person = vault.load_subject(connection, kek, claimed.subject)
            if not person.restricted:
                return vault.emails_to_stop(connection, person)
        with context.database.write() as connection:
            person = vault.load_subject(connection, kek, claimed.subject)
            person = open_restricted(connection, person, f"relay_{claimed.action}", now_ms())
            return vault.emails_to_stop(connection, person)
    except NotFoundError:
        raise Superseded("subject_gone") from None


def _end(context: Context, claimed: Relay, ending: Ending) -> None:
    now = now_ms()
    with context.database.write() as connection:
        if ending.confirmed:
            ended = outbox.finish(connection, claimed, outbox.CONFIRMED, ending.outcome, ending.reason, now)
        else:
            ended = outbox.park(connection, claimed, ending.reason or ending.outcome, now)
        if ended:
            kind = Kind.RELAY_COMPLETED if ending.confirmed else Kind.RELAY_PARKED
            _record(connection, claimed, kind, ending.outcome, ending.reason, now)
    log.info("relay_ended", relay=claimed.id.hex(), processor=claimed.processor, outcome=ending.outcome)


def _failed(context: Context, claimed: Relay, error: RelayError) -> None:
    now = now_ms()
    too_old = now - claimed.created_at_ms > outbox.GIVE_UP_AFTER_MS
    with context.database.write() as connection:
        if error.permanent or too_old:
            if outbox.park(connection, claimed, error.reason, now):
                _record(connection, claimed, Kind.RELAY_PARKED, None, error.reason, now)
        else:
            outbox.retry(connection, claimed, error.reason, now, _delay_ms(claimed, error), error.new_epoch)
    level = log.error if error.permanent or too_old or error.halt else log.warning
    level("relay_not_done", relay=claimed.id.hex(), processor=claimed.processor, reason=error.reason)


def _delay_ms(claimed: Relay, error: RelayError) -> int:
    if error.halt:
        return HALT_DELAY_MS
    if error.retry_after_s is not None:
        return max(int(error.retry_after_s * 1000), outbox.BACKOFF_FIRST_MS)  # "Retry-After: 0" is not taken literally
    return outbox.backoff_ms(claimed.attempts, random.SystemRandom())


def _record(
    connection: Connection, claimed: Relay, kind: Kind, outcome: str | None, reason: str | None, now: int
) -> None:
    """Append how it ended, in the transaction that ends it."""
    entry = Entry(
        id=new_id(now),
        kind=kind,
        recorded_at_ms=now,
        subject=claimed.subject,
        processor=claimed.processor,
        action=claimed.action,
        outcome=outcome,
        reason=reason,
        ref=claimed.cause.hex(),
    )
    append_many(connection, [NewEntry(entry)])
