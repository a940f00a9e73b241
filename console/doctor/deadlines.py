"""Whether what people have asked for is answered in time."""

from collections.abc import Iterator

from console.doctor.finding import FAULT, OK, WARNING, Finding
from console.operator import Operator
from ledger.deadlines import days_left, local_day
from ledger.requests import standing
from workers.context import now_ms

SOON_DAYS = 7


def requests(operator: Operator) -> Iterator[Finding]:
    now = now_ms()
    with operator.context.database.read() as connection:
        found = standing(connection, now)
    if found.next_due_at_ms is None:
        yield Finding(OK, "requests", "none confirmed and due")
        return
    is_soon = days_left(found.next_due_at_ms, now) <= SOON_DAYS
    level = FAULT if found.overdue else WARNING if is_soon else OK
    next_due = f"the next on {local_day(found.next_due_at_ms)}"
    yield Finding(level, "requests", f"{found.confirmed} confirmed and due, {next_due}, {found.overdue} overdue")


def reminders(operator: Operator) -> Iterator[Finding]:
    if operator.settings.operator_mail_to is None:
        yield Finding(WARNING, "requests", "nobody is reminded of deadlines: set OPERATOR_MAIL_TO")
