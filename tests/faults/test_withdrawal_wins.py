"""P3 where clocks are coarse or wrong: the last thing that a person said to us must not lose to an earlier yes."""

import time

import pytest

from tests.faults.oracle import query
from tests.world import World

EMAIL = "kari@example.org"


def given_at_ms(world: World) -> int:
    statement = "SELECT effective_at_ms FROM consent_state WHERE purpose = 'newsletter' AND state = 'given'"
    ((moment_ms,),) = query(world.settings.data_dir / "samtykke.db", statement)
    return int(moment_ms)


@pytest.mark.parametrize("behind_s", [1, 120])
def test_a_withdrawal_that_came_after_the_confirmation_wins(world: World, behind_s: int) -> None:
    """The signature says when a sender sent by its own clock, which may be five minutes wrong either way."""
    world.give(EMAIL)
    signed_at_s = given_at_ms(world) // 1000 - behind_s
    assert world.post_signed("withdrawal", {"email": EMAIL}, at_s=signed_at_s).status_code == 200
    assert world.check(EMAIL)["reason"] == "withdrawal_pending"
    world.record()
    assert world.check(EMAIL)["reason"] == "withdrawn"


def test_a_withdrawal_that_is_not_recorded_yet_wins_at_once(world: World) -> None:
    world.give(EMAIL)
    withdraw(world)
    assert world.check(EMAIL)["reason"] == "withdrawal_pending"
    world.record()
    assert world.check(EMAIL)["reason"] == "withdrawn"


@pytest.mark.parametrize("recorded_between", [True, False])
def test_nobody_is_asked_to_confirm_what_they_have_stopped_since(world: World, recorded_between: bool) -> None:
    """A sign-up and then a stop, both waiting for the recorder, which takes withdrawals first."""
    assert world.post_signed("newsletter", {"email": EMAIL, "newsletter": "yes"}).status_code == 200
    if recorded_between:
        world.record()
    withdraw(world)
    world.record()
    world.carry()
    assert [mail["Subject"] for mail in world.mails() if "Bekreft" in mail["Subject"]] == []


def withdraw(world: World) -> None:
    """Signed for the second after next, so that our own moment of receipt is the one that counts."""
    in_two_seconds = int(time.time()) + 2
    assert world.post_signed("withdrawal", {"email": EMAIL}, at_s=in_two_seconds).status_code == 200
