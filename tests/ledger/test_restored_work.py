"""What a restore brings back of work: erasures and access to products, carried again and known again."""

import pytest

from tests.ledger.desk import DAY_MS, HOUR_MS, KARI, NOW_MS
from tests.ledger.test_carrying import ALL, allow
from tests.ledger.test_erasure_work import answer, erase, standing
from tests.ledger.test_product_access import COURSE, MEMBERSHIP, ended, paid, sell
from tests.ledger.test_restoration import OLA, Day
from tests.world import World


@pytest.fixture
def day(world: World) -> Day:
    return Day(world)


def test_an_erasure_that_comes_back_is_carried_to_every_processor_again(day: Day) -> None:
    """Whether it was complete or not: what was put back here may have been put back there too."""
    allow(day.world)
    for email in (KARI, OLA):
        day.desk.give(email, NOW_MS)
    day.back_up()
    first, second = erase(day.desk, KARI), erase(day.desk, OLA)
    assert [answer(day.desk, second, processor, "removed") for processor in ALL] == [False, False, True]
    day.mirror_now()
    day.put_back()
    assert day.restore()["erased"] == 2
    for erasure_id in (first, second):
        rows = day.desk.relays(cause=erasure_id, action="erase")
        assert [(row.processor, row.status) for row in rows] == [(processor, "pending") for processor in ALL]
    assert standing(day.desk, first).completed_at_ms is None
    assert standing(day.desk, second).completed_at_ms is not None
    assert day.problems() == []
    assert [answer(day.desk, first, processor, "not_found") for processor in ALL] == [False, False, True]
    assert not any(answer(day.desk, second, processor, "not_found") for processor in ALL), "said already"
    assert day.problems() == []


def test_the_erasure_of_somebody_of_whom_no_backup_knows_is_left_to_people(day: Day) -> None:
    allow(day.world)
    day.back_up()
    day.desk.give(KARI, NOW_MS)
    erasure_id = erase(day.desk, KARI)
    day.mirror_now()
    day.put_back()
    day.restore()
    rows = day.desk.relays(cause=erasure_id, action="erase")
    assert [(row.processor, row.status, row.reason) for row in rows] == [(key, "parked", "no_address") for key in ALL]
    assert day.problems() == []


def test_an_erasure_that_was_under_way_in_the_backup_is_as_complete_as_the_ledger_says(day: Day) -> None:
    allow(day.world)
    day.desk.give(KARI, NOW_MS)
    erasure_id = erase(day.desk, KARI)
    day.back_up()
    for processor in ALL:
        answer(day.desk, erasure_id, processor, "removed")
    day.mirror_now()
    day.put_back()
    day.restore()
    assert standing(day.desk, erasure_id).completed_at_ms is not None
    assert day.problems() == []


def test_access_that_comes_back_is_carried_again_and_known_by_its_payment_once_that_is_told_again(day: Day) -> None:
    allow(day.world)
    sell(day.world, COURSE, MEMBERSHIP)
    day.desk.give(KARI, NOW_MS)
    day.back_up()
    day.desk.say(paid("cs_1", "pi_1"), NOW_MS + HOUR_MS)
    day.desk.say(paid("cs_2", "pi_2", products=(MEMBERSHIP,)), NOW_MS + HOUR_MS)
    day.desk.say(ended("pi_2"), NOW_MS + 2 * HOUR_MS)
    day.mirror_now()
    day.put_back()
    assert day.restore()["access"] == 3
    carried_again = {(row.action, row.product) for row in day.desk.relays() if row.product}
    assert carried_again == {("grant_access", COURSE), ("revoke_access", MEMBERSHIP)}
    assert day.problems() == []
    # Stripe is asked for the lost days, and tells of both payments and the refund once more.
    granted = day.desk.kinds().count("access.granted")
    day.desk.say(paid("cs_1", "pi_1"), NOW_MS + DAY_MS)
    assert day.desk.kinds().count("access.granted") == granted, "the same grant"
    day.desk.say(ended("pi_1"), NOW_MS + 2 * DAY_MS)
    assert day.desk.kinds()[-1] == "access.revoked"
    assert ("revoke_access", COURSE) in {(row.action, row.product) for row in day.desk.relays()}
    assert day.problems() == []
