"""Senders: their clocks, their silence, their secrets, and whether they still say anything but no."""

from collections.abc import Sequence

import pytest

from ledger.senders import (
    ANSWERS_LOOKED_AT_MAX,
    DAY_MS,
    HOUR_MS,
    NOES_MAX,
    RECENT,
    Silence,
    conflicts,
    fingerprint,
    key_uses,
    noes_in_a_row,
    silence_of,
    standing_of,
)
from schemas.entry import Kind
from tests.ledger import deliveries
from tests.world import World

NOW_MS = 1_800_000_000_000
SOURCE = "form:newsletter"


def deliver(world: World, *ages_ms: int, source: str = SOURCE, **values: object) -> list[int]:
    return deliveries.deliver(world, NOW_MS, *ages_ms, source=source, **values)


def answer(world: World, *forms: Sequence[Kind]) -> None:
    deliveries.answer(world, NOW_MS, SOURCE, *forms)


def silence(world: World, now_ms: int = NOW_MS) -> Silence | None:
    with world.database.read() as connection:
        return silence_of(connection, SOURCE, now_ms)


def noes(world: World) -> int | None:
    with world.database.read() as connection:
        return noes_in_a_row(connection, SOURCE)


# Standing


def test_of_a_source_that_never_delivered_there_is_nothing_to_say(world: World) -> None:
    deliver(world, 1000, source="stripe")
    with world.database.read() as connection:
        assert standing_of(connection, SOURCE) is None
        assert key_uses(connection, SOURCE).used_at_ms == {}
    assert silence(world) is None
    assert noes(world) is None


def test_a_standing_is_of_the_newest_hundred_of_one_source(any_world: World) -> None:
    deliver(any_world, *range(RECENT * 1000, 0, -1000), skew_ms=-7_000)
    deliver(any_world, *range(10_000_000, 10_050_000, 1000), skew_ms=900_000, status="parked")  # older
    deliver(any_world, 5, source="stripe", skew_ms=900_000, status="parked")
    with any_world.database.read() as connection:
        found = standing_of(connection, SOURCE)
    assert found is not None
    assert (found.received_at_ms, found.skew_ms, found.recent, found.parked) == (NOW_MS - 1000, -7_000, RECENT, 0)


def test_one_bad_clock_reading_is_not_a_bad_clock(world: World) -> None:
    deliver(world, 5000, 4000, 3000, skew_ms=120)
    deliver(world, 2000, skew_ms=-250_000, status="parked")
    deliver(world, 1000)  # without a time of its own
    with world.database.read() as connection:
        found = standing_of(connection, SOURCE)
    assert found is not None
    assert (found.skew_ms, found.recent, found.parked) == (120, 5, 1)


def test_only_conflicts_that_wait_are_counted(any_world: World) -> None:
    deliver(any_world, 1, 2, status="parked", reason="conflict")
    deliver(any_world, 3, source="stripe", status="parked", reason="conflict")
    deliver(any_world, 4, status="parked", reason="email_missing")
    deliver(any_world, 5, status="recorded", reason="conflict")
    with any_world.database.read() as connection:
        assert conflicts(connection) == {SOURCE: 2, "stripe": 1}


# Silence


def test_four_deliveries_say_nothing_about_what_is_usual_and_five_do(world: World) -> None:
    deliver(world, *(9 * DAY_MS + hours * HOUR_MS for hours in (3, 2, 1, 0)))
    assert silence(world) is None
    deliver(world, 9 * DAY_MS)
    assert silence(world) == Silence(9 * DAY_MS, HOUR_MS)


@pytest.mark.parametrize(
    ("silent_ms", "gap_ms", "is_unusual"),
    [
        (24 * HOUR_MS, 60_000, False),  # never before a day has passed
        (24 * HOUR_MS + 1, 60_000, True),
        (48 * HOUR_MS, 12 * HOUR_MS, False),  # four times the longest
        (48 * HOUR_MS + 1, 12 * HOUR_MS, True),
    ],
)
def test_a_silence_is_unusual_beyond_a_day_and_beyond_four_times_the_longest(
    world: World, silent_ms: int, gap_ms: int, is_unusual: bool
) -> None:
    deliver(world, *(silent_ms + gap_ms + minute * 1000 for minute in (3, 2, 1, 0)), silent_ms)
    found = silence(world)
    assert found == Silence(silent_ms, gap_ms)
    assert found.is_unusual is is_unusual


def test_a_silence_that_goes_on_for_months_is_still_one(world: World) -> None:
    """What is usual is read from the days before it: in the last 30 there is nothing."""
    deliver(world, *(100 * DAY_MS + hours * HOUR_MS for hours in range(10, -1, -1)))
    found = silence(world)
    assert found == Silence(100 * DAY_MS, HOUR_MS)
    assert found.is_unusual


def test_a_long_silence_of_last_year_is_not_usual_today(world: World) -> None:
    deliver(world, 200 * DAY_MS, 150 * DAY_MS, *(hours * HOUR_MS for hours in (30, 29, 28, 27, 26, 25)))
    assert silence(world) == Silence(25 * HOUR_MS, HOUR_MS)


# Secrets


def test_each_secret_was_last_used_by_its_newest_delivery(any_world: World) -> None:
    old, new = fingerprint("old"), fingerprint("new")
    deliver(any_world, 9000, 8000, 3000, key_id=old)
    deliver(any_world, 2000, 1000, key_id=new)
    deliver(any_world, 10_000)  # that nobody signed
    deliver(any_world, 1, source="stripe", key_id=old)
    with any_world.database.read() as connection:
        uses = key_uses(connection, SOURCE)
    assert uses.used_at_ms == {old: NOW_MS - 3000, new: NOW_MS - 1000}
    assert uses.since_ms == NOW_MS - 10_000


# Noes


def test_a_form_that_stopped_saying_yes_is_noticed(any_world: World) -> None:
    answer(any_world, [Kind.REQUESTED], *[[Kind.REFUSED]] * NOES_MAX)
    assert noes(any_world) == NOES_MAX


def test_fewer_noes_are_chance(world: World) -> None:
    answer(world, [Kind.GIVEN], *[[Kind.REFUSED]] * (NOES_MAX - 1))
    assert noes(world) is None


def test_a_form_to_which_nobody_ever_said_yes_did_not_stop(world: World) -> None:
    answer(world, *[[Kind.REFUSED]] * (NOES_MAX + 5))
    assert noes(world) is None


def test_one_yes_among_the_boxes_of_a_form_is_a_yes(world: World) -> None:
    answer(world, *[[Kind.REFUSED, Kind.REQUESTED, Kind.REFUSED]] * (NOES_MAX + 5))
    assert noes(world) is None


def test_deliveries_that_say_neither_do_not_count(world: World) -> None:
    """What is parked, a test, a duplicate, or a purchase."""
    answer(world, [Kind.GIVEN], *[[Kind.REFUSED], []] * (NOES_MAX - 1), [Kind.PURCHASE])
    assert noes(world) is None


@pytest.mark.parametrize(
    ("between", "found"), [(ANSWERS_LOOKED_AT_MAX - NOES_MAX - 1, NOES_MAX), (ANSWERS_LOOKED_AT_MAX, None)]
)
def test_the_last_yes_is_not_looked_for_without_end(world: World, between: int, found: int | None) -> None:
    (first,) = deliver(world, DAY_MS)
    deliver(world, *range(DAY_MS - between, DAY_MS))
    answer(world, *[[Kind.REFUSED]] * NOES_MAX)
    deliveries.cause(world, first, Kind.GIVEN)
    assert noes(world) == found
