"""One month, as the law counts it and as the calendar on a wall in Norway shows it."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.deadlines import ZONE, days_left, due_at_ms, local_day


def at(text: str) -> int:
    """A time of the wall clock in Oslo -> unix milliseconds."""
    return int(datetime.datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1000)


@pytest.mark.parametrize(
    ("confirmed", "months", "last_day"),
    [
        ("2026-11-05T12:00", 1, "2026-12-05"),
        ("2026-12-15T12:00", 1, "2027-01-15"),
        ("2026-12-31T12:00", 2, "2027-02-28"),
        ("2027-01-31T12:00", 1, "2027-02-28"),
        ("2028-01-31T12:00", 1, "2028-02-29"),
        ("2027-02-28T12:00", 1, "2027-03-28"),
        ("2027-03-31T12:00", 1, "2027-04-30"),
        ("2027-03-01T00:00", 1, "2027-04-01"),  # still February in UTC
        ("2027-02-28T23:59", 1, "2027-03-28"),
        ("2027-03-10T12:00", 1, "2027-04-10"),  # summer time begins in between
        ("2026-10-01T12:00", 1, "2026-11-01"),  # and ends
        ("2027-05-31T12:00", 3, "2027-08-31"),
    ],
)
def test_it_ends_with_the_last_hour_of_the_same_day(confirmed: str, months: int, last_day: str) -> None:
    assert due_at_ms(at(confirmed), months) == at(f"{last_day}T23:59:59.999")


def test_the_last_day_has_no_days_left_and_the_day_after_is_too_late() -> None:
    due = due_at_ms(at("2027-03-10T12:00"), 1)
    days = [
        days_left(due, at(f"2027-04-{day:02d}T{time}")) for day, time in ((9, "23:59"), (10, "00:00"), (11, "00:00"))
    ]
    assert days == [1, 0, -1]


@given(st.integers(0, 4_000_000_000_000))
def test_a_month_is_never_shorter_than_the_shortest_and_ends_a_day(confirmed_at_ms: int) -> None:
    due = due_at_ms(confirmed_at_ms, 1)
    assert 28 <= days_left(due, confirmed_at_ms) <= 31
    assert local_day(due + 1) == local_day(due) + datetime.timedelta(days=1)
