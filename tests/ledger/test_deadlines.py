"""One month, as the law counts it and as the calendar on a wall in Norway shows it."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.deadlines import DAY, ZONE, days_left, due_at_ms, local_day


def at(text: str) -> int:
    """A time of the wall clock in Oslo -> unix milliseconds."""
    return int(datetime.datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1000)


@pytest.mark.parametrize(
    ("confirmed", "months", "last_day"),
    [
        ("2026-11-05T12:00", 1, "2026-12-07"),
        ("2026-12-15T12:00", 1, "2027-01-15"),
        ("2026-12-31T12:00", 2, "2027-03-01"),
        ("2027-01-31T12:00", 1, "2027-03-01"),
        ("2028-01-31T12:00", 1, "2028-02-29"),
        ("2027-02-28T12:00", 1, "2027-03-30"),
        ("2027-03-31T12:00", 1, "2027-04-30"),
        ("2027-03-01T00:00", 1, "2027-04-01"),  # still February in UTC
        ("2027-02-28T23:59", 1, "2027-03-30"),
        ("2027-03-10T12:00", 1, "2027-04-12"),  # summer time begins in between
        ("2026-10-01T12:00", 1, "2026-11-02"),  # and ends
        ("2027-05-31T12:00", 3, "2027-08-31"),
        ("2026-03-02T12:00", 1, "2026-04-07"),  # Maundy Thursday: the next is the Tuesday after Easter
        ("2027-04-01T12:00", 1, "2027-05-03"),  # 1 May, a Saturday
        ("2027-04-16T12:00", 1, "2027-05-18"),  # the Sunday of Pentecost; 17 May is the Monday of Pentecost too
        ("2028-04-17T12:00", 1, "2028-05-18"),
        ("2026-04-14T12:00", 1, "2026-05-15"),  # Ascension Day, and the Friday after it is a working day
        ("2026-11-25T12:00", 1, "2026-12-28"),  # Christmas, then a weekend
        ("2026-11-24T12:00", 1, "2026-12-24"),  # by law a working day
        ("2025-12-01T12:00", 1, "2026-01-02"),  # New Year's Day
        ("2023-11-30T12:00", 3, "2024-02-29"),
    ],
)
def test_it_ends_with_the_last_hour_of_the_same_day(confirmed: str, months: int, last_day: str) -> None:
    assert due_at_ms(at(confirmed), months) == at(f"{last_day}T23:59:59.999")


def test_the_last_day_has_no_days_left_and_the_day_after_is_too_late() -> None:
    due = due_at_ms(at("2027-03-10T12:00"), 1)
    days = [days_left(due, at(f"2027-04-{day}T{time}")) for day, time in ((11, "23:59"), (12, "00:00"), (13, "00:00"))]
    assert days == [1, 0, -1]


@given(st.integers(0, 4_000_000_000_000))
def test_a_month_is_never_shorter_than_the_shortest_and_ends_a_working_day(confirmed_at_ms: int) -> None:
    due = due_at_ms(confirmed_at_ms, 1)
    # At most from the Wednesday before Easter, or from Christmas on a Thursday: five days that do not count.
    assert 28 <= days_left(due, confirmed_at_ms) <= 31 + 5
    assert local_day(due + 1) == local_day(due) + DAY
    assert local_day(due).weekday() < 5
    assert local_day(due) not in public_holidays(local_day(due).year)


@given(st.integers(0, 4_000_000_000_000), st.integers(1, 3), st.integers(0, 40 * 24 * 3600 * 1000))
def test_who_confirms_later_is_never_due_earlier(confirmed_at_ms: int, months: int, later_ms: int) -> None:
    assert due_at_ms(confirmed_at_ms, months) <= due_at_ms(confirmed_at_ms + later_ms, months)
    assert due_at_ms(confirmed_at_ms, months) < due_at_ms(confirmed_at_ms, months + 1)


def easter(year: int) -> datetime.date:
    """Gauss's rule as completed by Lichtenberg (1997): counted otherwise than the library does."""
    century = year // 100
    moon = 15 + (3 * century + 3) // 4 - (8 * century + 13) // 25
    sun = 2 - (3 * century + 3) // 4
    golden = year % 19
    first_moon = (19 * golden + moon) % 30
    correction = (first_moon + golden // 11) // 29
    full_moon = 21 + first_moon - correction
    first_sunday = 7 - (year + year // 4 + sun) % 7
    distance = 7 - (full_moon - first_sunday) % 7
    return datetime.date(year, 3, 1) + (full_moon + distance - 1) * DAY


def public_holidays(year: int) -> set[datetime.date]:
    """Those of lov 1. mai / 17. mai and of lov om helligdager og helligdagsfred section 2, without the Sundays."""
    fixed = {datetime.date(year, month, day) for month, day in ((1, 1), (5, 1), (5, 17), (12, 25), (12, 26))}
    return fixed | {easter(year) + days * DAY for days in (-3, -2, 0, 1, 39, 49, 50)}


@pytest.mark.parametrize(
    "day", [(2024, 3, 31), (2025, 4, 20), (2026, 4, 5), (2027, 3, 28), (2038, 4, 25), (2076, 4, 19)]
)
def test_the_rule_of_easter_agrees_with_the_almanac(day: tuple[int, int, int]) -> None:
    assert easter(day[0]) == datetime.date(*day)


def test_no_day_from_2024_to_2100_is_a_holiday_that_is_none_or_the_other_way_round() -> None:
    day = datetime.date(2024, 1, 1)
    while day.year <= 2100:
        holiday = day.weekday() >= 5 or day in public_holidays(day.year)
        ends = local_day(due_at_ms(at(f"{day}T12:00"), 0))
        assert (ends > day) == holiday, day
        day += DAY
