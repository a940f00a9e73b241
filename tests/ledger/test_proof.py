"""After the last withdrawal only the proof is left, restricted, for its years; and then nothing."""

import datetime
from dataclasses import replace

import pytest

from ledger import proof, restriction
from ledger import vault as vault_room
from ledger.log import lock_head
from ledger.tables import consent_state, link, relay, subject, subject_address, vault
from tests.ledger.desk import DAY_MS, HOUR_MS, KARI, NOW_MS, Desk, confirmation, sign_up, withdrawal
from tests.world import World

PROFILE = {"first_name": "Kari", "last_name": "Nordmann", "company": "Eksempel AS"}


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


def settle(desk: Desk, at_ms: int) -> tuple[int, int]:
    with desk.database.write() as connection:
        lock_head(connection)
        recorder = desk.recorder(at_ms)
        return proof.keep_proof(connection, recorder), proof.end_proof(connection, recorder)


def carried(desk: Desk) -> None:
    with desk.database.write() as connection:
        connection.execute(relay.update().values(status="confirmed", box=None))


def give_with_profile(desk: Desk, *purposes: str) -> None:
    desk.say(sign_up(KARI, *purposes, profile=PROFILE), NOW_MS)
    desk.say(confirmation(desk.asked()[-1]), NOW_MS + 1_000)


def withdrawn(desk: Desk) -> None:
    give_with_profile(desk, "newsletter", "offers")
    desk.say(withdrawal(KARI), NOW_MS + DAY_MS)
    carried(desk)


def reason(desk: Desk) -> str | None:
    with desk.database.read() as connection:
        return restriction.reason_of(connection, desk.handle())


def test_the_profile_goes_and_the_proof_is_restricted(any_world: World) -> None:
    desk = Desk(any_world)
    withdrawn(desk)
    assert settle(desk, NOW_MS + 2 * DAY_MS) == (1, 0)
    assert reason(desk) == "withdrawn"
    kinds = desk.kinds()
    assert kinds[-1] == "subject.restricted"
    assert "payload.redacted" in kinds
    assert desk.problems() == []
    assert settle(desk, NOW_MS + 3 * DAY_MS) == (0, 0)
    assert desk.check() == "withdrawn"


def test_nothing_of_the_profile_is_in_any_box(desk: Desk) -> None:
    withdrawn(desk)
    settle(desk, NOW_MS + 2 * DAY_MS)
    with desk.database.read() as connection:
        person = replace(vault_room.load_subject(connection, desk.keyring["kek"], desk.handle()), restricted=False)
        payloads = vault_room.open_payloads(connection, person)
    assert payloads
    assert {frozenset(payload) for payload in payloads} <= {frozenset({"email"}), frozenset({"spelling"})}
    assert payloads[-1]["email"] == KARI


def test_it_waits_until_everything_is_carried_and_nothing_is_asked(desk: Desk) -> None:
    give_with_profile(desk)
    desk.say(withdrawal(KARI), NOW_MS + DAY_MS)
    assert settle(desk, NOW_MS + 2 * DAY_MS) == (0, 0), "the processors have not been told yet"
    carried(desk)
    desk.say(sign_up(KARI, "offers"), NOW_MS + 3 * DAY_MS)
    carried(desk)
    assert settle(desk, NOW_MS + 3 * DAY_MS + HOUR_MS) == (0, 0), "a question is open"
    assert settle(desk, NOW_MS + 12 * DAY_MS) == (1, 0)


def test_who_still_gives_something_is_left_alone(desk: Desk) -> None:
    give_with_profile(desk, "newsletter", "offers")
    desk.say(withdrawal(KARI, "offers"), NOW_MS + DAY_MS)
    carried(desk)
    assert settle(desk, NOW_MS + 30 * DAY_MS) == (0, 0)


def test_a_new_confirmed_yes_ends_the_restriction(desk: Desk) -> None:
    withdrawn(desk)
    settle(desk, NOW_MS + 2 * DAY_MS)
    desk.say(sign_up(), NOW_MS + 3 * DAY_MS)
    assert reason(desk) == "withdrawn", "a request alone changes nothing"
    desk.say(confirmation(desk.asked()[-1]), NOW_MS + 3 * DAY_MS + HOUR_MS)
    assert (reason(desk), desk.check()) == (None, "given")
    assert "subject.unrestricted" in desk.kinds()


def test_after_its_years_the_proof_is_shredded(any_world: World) -> None:
    desk = Desk(any_world)
    withdrawn(desk)
    settle(desk, NOW_MS + 2 * DAY_MS)
    years = any_world.policy.retention.proof_years
    assert settle(desk, NOW_MS + years * 365 * DAY_MS) == (0, 0), "a day early"
    assert settle(desk, NOW_MS + DAY_MS + (years * 365 + 2) * DAY_MS) == (0, 1)
    assert [desk.count(table) for table in (vault, link, subject, subject_address, consent_state)] == [0] * 5
    assert desk.kinds()[-1] == "subject.expired"
    assert desk.check() == "never_asked"
    assert desk.problems() == []


def test_a_restriction_that_the_person_asked_for_outlasts_the_years(desk: Desk) -> None:
    withdrawn(desk)
    settle(desk, NOW_MS + 2 * DAY_MS)
    handle = desk.handle()
    with desk.database.write() as connection:
        restriction.restrict(connection, handle, "claims", NOW_MS + 3 * DAY_MS, "operator")
    assert settle(desk, NOW_MS + 4_000 * DAY_MS) == (0, 0)
    with desk.database.write() as connection:
        restriction.lift(connection, handle, "lifted", NOW_MS + 4_000 * DAY_MS, "operator")
    assert settle(desk, NOW_MS + 4_001 * DAY_MS) == (1, 1)


@pytest.mark.parametrize(
    ("day", "years", "later"),
    [("2026-11-25", 3, "2029-11-25"), ("2028-02-29", 3, "2031-03-01"), ("2028-02-29", 4, "2032-02-29")],
)
def test_years_are_those_of_the_calendar(day: str, years: int, later: str) -> None:
    def at_ms(text: str) -> int:
        return int(datetime.datetime.fromisoformat(f"{text}T12:00:00+00:00").timestamp() * 1000)

    assert proof._years_later(at_ms(day), years) == at_ms(later)


def test_it_happens_by_itself(world: World) -> None:
    """The recorder's own round, as the clock rings it once a minute."""
    world.give(KARI)
    assert world.client.post(world.link("w"), data={"List-Unsubscribe": "One-Click"}).status_code == 200
    world.record()
    world.carry(urgent=True)
    world.sign()
    world.carry()
    world.record()
    assert world.kinds()[-1][0] == "subject.restricted"
    assert world.check(KARI)["reason"] == "withdrawn"
