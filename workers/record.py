"""The recorder: drains the inbox in order, withdrawals first, many deliveries in one transaction."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Row
from sqlalchemy.exc import OperationalError

from ledger import (
    chosen,
    consent,
    erasure_work,
    fulfilment,
    inbox,
    product_access,
    profile,
    proof,
    purchases,
    quarantine,
    reminders,
    reports,
    requests,
    withdrawal,
)
from ledger.errors import DatabaseAwayError, LedgerError, RefusedError
from ledger.log import lock_head
from ledger.recorder import Recorder
from ledger.unread import count_unread
from schemas.log_line import error_fields, log
from schemas.message import Message, MessageType, parse_message
from workers.context import Context, now_ms
from workers.queue import RELAY, RELAY_URGENT

BATCH_ROWS = 50  # one transaction: long enough to share its fsync, short enough that the door never waits for it
BUDGET_S = 15.0  # of one job: well below the 30 s a platform allows between SIGTERM and SIGKILL


def _confirm(connection: Connection, recorder: Recorder, message: Message) -> list[int]:
    """A link confirms a sign-up or a request: of the two deeds one has nothing to do."""
    return consent.confirm(connection, recorder, message) or fulfilment.confirm(connection, recorder, message)


DEEDS: Mapping[MessageType, Callable[[Connection, Recorder, Message], list[int]]] = {
    MessageType.SIGN_UP: consent.sign_up,
    MessageType.LINK_SIGN_UP: chosen.sign_up_by_link,
    MessageType.CONFIRMATION: _confirm,
    MessageType.PURCHASE: purchases.purchase,
    MessageType.ACCESS: product_access.grant,
    MessageType.ACCESS_ENDED: product_access.end,
    MessageType.REQUEST: requests.ask,
    MessageType.REPORTED: reports.report,
    MessageType.WITHDRAWAL: withdrawal.withdraw_address,
    MessageType.LINK_WITHDRAWAL: withdrawal.withdraw_by_link,
    MessageType.IGNORED: lambda _connection, _recorder, _message: [],
}


def drain(context: Context) -> int:
    """Record everything that waits, within the budget; returns the number of deliveries."""
    stop_at = time.monotonic() + BUDGET_S
    total = 0
    while time.monotonic() < stop_at:
        rows, entries = record_batch(context)
        total += rows
        if entries:
            context.doorbell.press(RELAY_URGENT)
            context.doorbell.press(RELAY)
        if rows < BATCH_ROWS:
            break
    if total == 0:  # nothing waits, as at the clock's ring once a minute
        settle(context)
    return total


def settle(context: Context) -> int:
    """What is due by the calendar and needs the keys: proofs that are kept, and proofs that have had their time."""
    now = now_ms()
    recorder = Recorder(context.keyring, context.policy, now, now)
    with context.database.write() as connection:
        if quarantine.reason_of(connection) is not None:
            return 0
        lock_head(connection)
        profile.sweep(connection, recorder)
        reminders.remind(connection, recorder)
        kept, ended = proof.keep_proof(connection, recorder), proof.end_proof(connection, recorder)
    if kept or ended:
        context.database.forget_deleted()
        log.info("proofs_settled", rows=kept, entries=ended)
    return kept + ended


def record_batch(context: Context) -> tuple[int, int]:
    """(deliveries, entries) of one transaction."""
    with context.database.read() as connection:
        waits = quarantine.reason_of(connection) is not None
        rows = [] if waits else inbox.next_batch(connection, BATCH_ROWS)
    if not rows:
        return 0, 0
    # Opened before the transaction: nothing slow happens under the write lock.
    opened = [(row, _open(context, row)) for row in rows]
    entries, begun_ms = 0, now_ms()
    unread: defaultdict[str, Counter[str]] = defaultdict(Counter)
    with context.database.write() as connection:
        lock_head(connection)  # one recorder at a time, on as many hosts as there are
        for row, message in opened:
            recorded = _record_one(context, connection, row._mapping["id"], row._mapping["received_at_ms"], message)
            if recorded is not None and message is not None:
                entries += recorded
                unread[message.source].update(message.unread)
        count_unread(connection, unread, now_ms())
        profile.sweep(connection, Recorder(context.keyring, context.policy, now_ms(), now_ms()))
        erased = erasure_work.begun_since(connection, begun_ms)
    if erased:  # by a person's own request: what was deleted is overwritten too
        context.database.forget_deleted(thoroughly=True)
    log.info("recorded", rows=len(rows), entries=entries)
    return len(rows), entries


def _open(context: Context, row: Row[Any]) -> Message | None:
    try:
        return parse_message(inbox.open_box(context.keyring, row))
    except Exception as error:
        log.error("delivery_unreadable", inbox_id=row.id, **error_fields(error))
        return None


def _record_one(
    context: Context, connection: Connection, inbox_id: int, received_at_ms: int, message: Message | None
) -> int | None:
    """Record one delivery in a savepoint; returns the number of its entries.

    None: it was not recorded here. What cannot be recorded is parked and does not hold up the others.
    """
    if message is None:
        inbox.park(connection, inbox_id, "unreadable")
        return None
    now = now_ms()
    recorder = Recorder(context.keyring, context.policy, now, received_at_ms, inbox_id)
    try:
        with connection.begin_nested():
            if not inbox.mark_recorded(connection, inbox_id, now):
                return None  # another recorder was here first
            return len(DEEDS[message.type](connection, recorder, message))
    except (DatabaseAwayError, OperationalError):
        raise
    except RefusedError as refused:  # it waits for somebody's decision
        log.info("delivery_parked", inbox_id=inbox_id, reason=refused.reason)
        inbox.park(connection, inbox_id, refused.reason)
        return None
    except Exception as error:
        reason = error.reason if isinstance(error, LedgerError) else "record_failed"
        log.error("delivery_parked", inbox_id=inbox_id, reason=reason, **error_fields(error))
        inbox.park(connection, inbox_id, reason)
        return None
