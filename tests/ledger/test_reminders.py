"""Reminders: once, where policy.toml asks for it, and never the end of anything."""

from dataclasses import replace
from types import MappingProxyType

import pytest
from sqlalchemy import update

from ledger.reminders import remind
from ledger.tables import consent_state
from tests.ledger.desk import DAY_MS, KARI, NOW_MS, Desk, withdrawal
from tests.world import World, body_of
from workers.context import now_ms

YEAR_MS = 365 * DAY_MS


@pytest.fixture
def desk(any_world: World) -> Desk:
    """The newsletter is reminded of after a year; offers never are."""
    purposes = dict(any_world.policy.purposes)
    purposes["newsletter"] = replace(purposes["newsletter"], reminder_months=12)
    any_world.policy = replace(any_world.policy, purposes=MappingProxyType(purposes))
    return Desk(any_world)


def run(desk: Desk, at_ms: int) -> int:
    with desk.database.write() as connection:
        return remind(connection, desk.recorder(at_ms))


def test_a_reminder_is_sent_once_and_ends_nothing(desk: Desk) -> None:
    desk.give(KARI, NOW_MS, "newsletter", "offers")
    assert run(desk, NOW_MS + YEAR_MS - 2 * DAY_MS) == 0
    assert run(desk, NOW_MS + YEAR_MS + 2 * DAY_MS) == 1
    assert run(desk, NOW_MS + 3 * YEAR_MS) == 0
    (told,) = [leaf for leaf in desk.world.leaves() if leaf["kind"] == "subject.told"]
    assert (told["reason"], told["purpose"]) == ("consent_reminder", "newsletter")
    assert desk.check(KARI, "newsletter") == "given"


def test_a_new_yes_is_reminded_of_anew(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    assert run(desk, NOW_MS + 2 * YEAR_MS) == 1
    desk.say(withdrawal(), NOW_MS + 2 * YEAR_MS + DAY_MS)
    desk.give(KARI, NOW_MS + 2 * YEAR_MS + 3 * DAY_MS)
    assert run(desk, NOW_MS + 2 * YEAR_MS + 4 * DAY_MS) == 0
    assert run(desk, NOW_MS + 4 * YEAR_MS) == 1


def test_whoever_has_stopped_is_not_written_to(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    desk.say(withdrawal(), NOW_MS + DAY_MS)
    assert run(desk, NOW_MS + 2 * YEAR_MS) == 0


def test_the_letter_says_since_when_and_how_to_stop(desk: Desk) -> None:
    world = desk.world
    world.give(KARI)
    world.sign()
    world.carry()
    world.carry()
    with desk.database.write() as connection:
        connection.execute(update(consent_state).values(effective_at_ms=consent_state.c.effective_at_ms - 2 * YEAR_MS))
    assert run(desk, now_ms()) == 1
    world.carry()
    mail = world.mails()[-1]
    assert str(mail["Subject"]) == "Det du får fra Vizpro AS"
    assert "Nyhetsbrev" in body_of(mail)
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
