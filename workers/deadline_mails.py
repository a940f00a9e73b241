"""Reminders to the operator: requests that must be answered soon, by number and right, never by name."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select, update

from ledger.deadlines import days_left
from ledger.requests import CONFIRMED
from ledger.tables import rights_request
from schemas.log_line import log
from schemas.texts import day
from workers.context import Context
from workers.mail import compose, deliver, render
from workers.relays.action import RelayError

AT_DAYS = (14, 7, 3, 1, -1)  # days left; the last: it is overdue


def remind_operator(context: Context, now_ms: int) -> int:
    """One mail about every request that has come nearer to its day. Returns how many it names."""
    recipient = context.settings.operator_mail_to
    if recipient is None:
        return 0
    with context.database.read() as connection:
        rows = connection.execute(
            select(rights_request)
            .where(rights_request.c.status == CONFIRMED, rights_request.c.due_at_ms.is_not(None))
            .order_by(rights_request.c.due_at_ms)
        ).all()
    due = [(row, step) for row in rows if (step := _step(row, now_ms)) is not None]
    if not due:
        return 0
    named = [row for row, _ in due]
    name = f"deadlines-{named[0].id.hex()}-{now_ms // 60_000}"
    text = render("deadlines", "en", context, {"requests": _lines(named, now_ms)})
    try:
        deliver(context, name, compose(context.settings.mail_from, recipient, name, text))
    except RelayError as error:  # tried again with the next round of the clock
        log.warning("deadlines_not_mailed", reason=error.reason)
        return 0
    with context.database.write() as connection:
        for row, step in due:
            own = rights_request.c.id == row.id
            connection.execute(update(rights_request).where(own).values(reminded_days=step))
    return len(due)


def _step(row: Row[Any], now_ms: int) -> int | None:
    """The nearest of AT_DAYS that is reached, if nobody was told of it yet."""
    left = days_left(row.due_at_ms, now_ms)
    reached = [days for days in AT_DAYS if left <= days]
    if not reached or (row.reminded_days is not None and row.reminded_days <= reached[-1]):
        return None
    return reached[-1]


def _lines(rows: Sequence[Row[Any]], now_ms: int) -> list[dict[str, Any]]:
    return [
        {
            "id": row.id.hex(),
            "right": row.right,
            "due": {language: day(row.due_at_ms, language) for language in ("nb", "en")},
            "left": days_left(row.due_at_ms, now_ms),
        }
        for row in rows
    ]
