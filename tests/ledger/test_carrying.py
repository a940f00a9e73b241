"""What each entry asks of the processors: one row for each that policy.toml lets do it, in the entry's transaction."""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import pytest

from ledger.errors import RefusedError
from ledger.log import lock_head
from ledger.rectification import Correction, rectify
from ledger.restriction import lift_as_asked, restrict_as_asked
from ledger.sealing import unseal_versioned
from schemas.address import parse_address
from schemas.policy_schema import ACTIONS
from tests.ledger.desk import DAY_MS, HOUR_MS, KARI, NOW_MS, Desk, confirmation, sign_up, unconfirmed, withdrawal
from tests.world import World

ALL = ["google", "stripe", "wordpress"]


def allow(world: World, actions: Sequence[str] = ACTIONS, *processors: str) -> None:
    """Every processor may do these, or those that are named; the others nothing."""
    changed = {
        key: replace(one, actions=tuple(actions) if not processors or key in processors else ())
        for key, one in world.policy.processors.items()
    }
    world.policy = replace(world.policy, processors=MappingProxyType(changed))


@pytest.fixture
def desk(any_world: World) -> Desk:
    allow(any_world)
    return Desk(any_world)


def carried(desk: Desk, action: str) -> list[str]:
    return [row.processor for row in desk.relays(action=action)]


def restrict(desk: Desk, reason: str = "claims", at_ms: int = NOW_MS + HOUR_MS) -> None:
    handle = desk.handle()
    with desk.database.write() as connection:
        lock_head(connection)
        restrict_as_asked(connection, desk.recorder(at_ms), handle, reason, "operator")


def lift(desk: Desk, at_ms: int = NOW_MS + DAY_MS) -> None:
    handle = desk.handle()
    with desk.database.write() as connection:
        lock_head(connection)
        lift_as_asked(connection, desk.recorder(at_ms), handle, "operator")


def test_a_question_is_carried_nowhere_and_its_yes_everywhere(desk: Desk) -> None:
    desk.say(sign_up(KARI, "newsletter", "offers"), NOW_MS)
    assert carried(desk, "give") == []
    desk.say(confirmation(desk.asked()[-1]), NOW_MS + HOUR_MS)
    rows = desk.relays(action="give")
    assert [row.processor for row in rows] == ALL
    assert {(row.purposes, row.urgent, row.box) for row in rows} == {("newsletter,offers", 0, None)}
    assert desk.world.leaves()[rows[0].sequence]["kind"] == "consent.given"


def test_a_yes_by_a_form_alone_is_carried_too(desk: Desk) -> None:
    unconfirmed(desk.world)
    desk.say(sign_up(), NOW_MS)
    assert carried(desk, "give") == ALL


def test_a_yes_that_is_older_than_a_withdrawal_is_carried_nowhere(desk: Desk) -> None:
    unconfirmed(desk.world)
    desk.say(withdrawal(KARI, "newsletter"), NOW_MS + HOUR_MS)
    desk.say(sign_up(KARI, "newsletter", "offers", sent_at_ms=NOW_MS), NOW_MS + DAY_MS)
    assert {row.purposes for row in desk.relays(action="give")} == {"offers"}


def test_only_processors_that_may_are_told(desk: Desk) -> None:
    allow(desk.world, ACTIONS, "google")
    desk.give(KARI, NOW_MS)
    assert carried(desk, "give") == ["google"]


def test_a_rectification_carries_every_address_of_before(desk: Desk) -> None:
    """Or a processor could not be searched by the one that was wrong."""
    desk.give(KARI, NOW_MS)
    right = parse_address("kari.nordmann@example.no")
    correction = Correction({"first_name": "Kari"}, right, parse_address(KARI))
    handle = desk.handle()
    with desk.database.write() as connection:
        lock_head(connection)
        rectify(connection, desk.recorder(NOW_MS + HOUR_MS), handle, correction)
    rows = desk.relays(action="rectify")
    assert [row.processor for row in rows] == ALL
    for row in rows:
        assert unseal_versioned(desk.keyring["kek"], row.box, row.id) == KARI.encode()


def test_a_restriction_is_carried_and_its_end_with_what_is_still_given(desk: Desk) -> None:
    desk.give(KARI, NOW_MS, "newsletter", "offers")
    restrict(desk)
    assert carried(desk, "restrict") == ALL
    desk.say(withdrawal(KARI, "offers"), NOW_MS + 2 * HOUR_MS)
    lift(desk)
    assert carried(desk, "unrestrict") == ALL
    again = [row for row in desk.relays(action="give") if desk.world.leaves()[row.sequence]["kind"] != "consent.given"]
    assert [(row.processor, row.purposes) for row in again] == [(key, "newsletter") for key in ALL]


def test_where_nothing_is_given_lifting_gives_nothing(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    desk.say(withdrawal(KARI), NOW_MS + HOUR_MS)
    restrict(desk)
    lift(desk)
    assert len(carried(desk, "give")) == len(ALL), "those of the sign-up"


def test_a_restriction_is_asked_for_once(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    with pytest.raises(RefusedError, match="not_restricted"):
        lift(desk)
    restrict(desk)
    with pytest.raises(RefusedError, match="already_restricted"):
        restrict(desk, "unlawful")
