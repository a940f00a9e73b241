"""Deadlines of rights requests: months and days as a person in Norway counts them, whatever UTC says."""

import calendar
import datetime
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Oslo")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MILLISECOND = datetime.timedelta(milliseconds=1)
DAY = datetime.timedelta(days=1)
SATURDAY = 5  # as date.weekday() counts


def due_at_ms(confirmed_at_ms: int, months: int) -> int:
    """The last millisecond of the same day so many months later, or of that month's last day if it is shorter.

    Where that is no working day, of the next one. GDPR Article 12(3) gives months; Regulation (EEC, Euratom) No
    1182/71, Article 3(1), (2)(c) and (4), counts them (https://eur-lex.europa.eu/eli/reg/1971/1182/oj).
    """
    day = local_day(confirmed_at_ms)
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    after = _working_day(datetime.date(year, month + 1, min(day.day, last))) + DAY
    midnight = datetime.datetime(after.year, after.month, after.day, tzinfo=ZONE)
    return (midnight - EPOCH) // MILLISECOND - 1


def _working_day(day: datetime.date) -> datetime.date:
    """The day itself, or the first after it that is no Saturday, Sunday or public holiday in Norway."""
    from holidays.countries.norway import Norway  # at first use: a tenth of a second, and few commands count a month

    public = Norway()
    while day.weekday() >= SATURDAY or day in public:
        day += DAY
    return day


def days_left(due_at_ms: int, now_ms: int) -> int:
    """Whole days after today: 0 on the last day, and less than that afterwards."""
    return (local_day(due_at_ms) - local_day(now_ms)).days


def local_day(at_ms: int) -> datetime.date:
    return (EPOCH + at_ms * MILLISECOND).astimezone(ZONE).date()


def months_before_ms(now_ms: int, months: int) -> int:
    """The first millisecond of the same day so many months ago, or of that month's last day if it is shorter."""
    day = local_day(now_ms)
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    begun = datetime.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
    midnight = datetime.datetime(begun.year, begun.month, begun.day, tzinfo=ZONE)
    return (midnight - EPOCH) // MILLISECOND
