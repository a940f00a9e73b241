"""Deadlines of rights requests: months and days as a person in Norway counts them, whatever UTC says."""

import calendar
import datetime
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Oslo")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MILLISECOND = datetime.timedelta(milliseconds=1)


def due_at_ms(confirmed_at_ms: int, months: int) -> int:
    """The last millisecond of the same day so many months later, or of that month's last day if it is shorter.

    GDPR Article 12(3) gives months; Regulation (EEC, Euratom) No 1182/71, Article 3(1) and (2)(c) counts them.
    """
    day = local_day(confirmed_at_ms)
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    due = datetime.date(year, month + 1, min(day.day, last)) + datetime.timedelta(days=1)
    midnight = datetime.datetime(due.year, due.month, due.day, tzinfo=ZONE)
    return (midnight - EPOCH) // MILLISECOND - 1


def days_left(due_at_ms: int, now_ms: int) -> int:
    """Whole days after today: 0 on the last day, and less than that afterwards."""
    return (local_day(due_at_ms) - local_day(now_ms)).days


def local_day(at_ms: int) -> datetime.date:
    return (EPOCH + at_ms * MILLISECOND).astimezone(ZONE).date()
