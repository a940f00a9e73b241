"""Restricted: stored and not used; every opening is an entry; withdrawals still apply and grants wait."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from ledger import restriction, vault
from ledger.errors import RefusedError
from ledger.log import lock_head
from ledger.retention import expire
from ledger.state import read_states
from ledger.tables import inbox
from tests.ledger.desk import DAY_MS, HOUR_MS, KARI, NOW_MS, Desk, confirmation, sign_up
from tests.world import World


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


def restrict_kari(desk: Desk, reason: str = "claims", at_ms: int = NOW_MS + HOUR_MS) -> None:
    handle = desk.handle()
    with desk.database.write() as connection:
        lock_head(connection)
        restriction.restrict(connection, handle, reason, at_ms, "operator")


def lift_kari(desk: Desk) -> None:
    handle = desk.handle()
    with desk.database.write() as connection:
        lock_head(connection)
        restriction.lift(connection, handle, "lifted", NOW_MS + DAY_MS, "operator")


def openings(desk: Desk) -> list[tuple[str, str]]:
    return [(leaf["kind"], leaf["reason"]) for leaf in desk.world.leaves() if leaf["kind"].startswith("payload.")]


def test_nothing_is_sent_to_a_restricted_person_and_the_ledger_says_since_when(any_world: World) -> None:
    desk = Desk(any_world)
    desk.give(KARI, NOW_MS)
    restrict_kari(desk)
    assert desk.check() == "restricted"
    leaf = any_world.leaves()[-1]
    assert (leaf["kind"], leaf["reason"], leaf["source"]) == ("subject.restricted", "claims", "operator")
    lift_kari(desk)
    assert desk.check() == "given"


def test_no_box_opens_before_an_entry_says_so(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    restrict_kari(desk)
    handle = desk.handle()
    with desk.database.read() as connection:
        person = vault.load_subject(connection, desk.keyring["kek"], handle)
        with pytest.raises(RefusedError, match="subject_restricted"):
            vault.open_payloads(connection, person)
        with pytest.raises(RefusedError, match="subject_restricted"):
            vault.emails(connection, person)
    with desk.database.write() as connection:
        opened = restriction.open_restricted(connection, person, "for_a_test", NOW_MS + DAY_MS)
        assert vault.emails(connection, opened) == (KARI,)
    assert openings(desk) == [("payload.opened", "for_a_test")]


def test_who_is_not_restricted_is_opened_without_an_entry(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    handle = desk.handle()
    with desk.database.write() as connection:
        person = vault.load_subject(connection, desk.keyring["kek"], handle)
        assert restriction.open_restricted(connection, person, "for_a_test", NOW_MS) is person
    assert openings(desk) == []


def test_a_sign_up_waits_and_is_recorded_when_the_restriction_is_lifted(any_world: World) -> None:
    world, desk = any_world, Desk(any_world)
    world.give(KARI)
    restrict_kari(desk, at_ms=1)
    assert world.post_signed("newsletter", {"email": KARI, "offers": "yes"}).status_code == 200
    world.record()
    assert world.statuses()[-1] == ("parked", "subject_restricted")
    assert ("consent.requested", "offers") not in world.kinds()
    lift_kari(desk)
    world.record()
    assert world.statuses()[-1] == ("recorded", None)
    assert ("consent.requested", "offers") in world.kinds()


def test_a_confirmation_waits_too(desk: Desk) -> None:
    desk.say(sign_up(), NOW_MS)
    restrict_kari(desk)
    with pytest.raises(RefusedError, match="subject_restricted"):
        desk.say(confirmation(desk.asked()[-1]), NOW_MS + 2 * HOUR_MS)
    lift_kari(desk)
    desk.say(confirmation(desk.asked()[-1]), NOW_MS + 3 * HOUR_MS)
    assert desk.check() == "given"


def test_what_waits_for_a_person_is_not_wiped_after_thirty_days(desk: Desk) -> None:
    world = desk.world
    world.give(KARI)
    restrict_kari(desk, at_ms=1)
    world.post_signed("newsletter", {"email": KARI, "offers": "yes"})
    world.record()
    expire(desk.database, world.policy, NOW_MS + 400 * DAY_MS)
    with desk.database.read() as connection:
        boxes = connection.execute(select(inbox.c.box).where(inbox.c.status == "parked")).scalars().all()
    assert len(boxes) == 1
    assert boxes[0] is not None


def test_a_withdrawal_applies_and_each_relay_says_that_it_opened_a_box(desk: Desk) -> None:
    world = desk.world
    world.give(KARI)
    restrict_kari(desk, at_ms=1)
    assert world.post_signed("withdrawal", {"email": KARI}).status_code == 200
    world.record()
    with desk.database.read() as connection:
        states = read_states(connection, desk.handle())
    assert {state.state for state in states.values()} == {"withdrawn"}
    world.carry(urgent=True)
    assert ("payload.opened", "relay_withdraw") in openings(desk)


def test_the_operator_sees_no_address_of_a_restricted_person_unless_it_is_recorded(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    restrict_kari(desk)

    def shown(*options: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(
            desk.world.command("subjects", "show", "--email", KARI, "--json", *options).stdout
        )
        return document

    assert (shown()["restricted"], shown()["addresses"]) == ("claims", [])
    assert openings(desk) == []
    assert shown("--reveal")["addresses"] == [KARI]
    assert [leaf["kind"] for leaf in desk.world.leaves()][-1] == "payload.revealed"
