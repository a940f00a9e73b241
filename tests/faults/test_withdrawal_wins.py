"""P3 where clocks are coarse or wrong: the last thing that a person said to us must not lose to an earlier yes."""

import pytest

from tests.faults.oracle import query
from tests.world import World

EMAIL = "kari@example.org"


def given_at_ms(world: World) -> int:
    statement = "SELECT effective_at_ms FROM consent_state WHERE purpose = 'newsletter' AND state = 'given'"
    ((moment_ms,),) = query(world.settings.data_dir / "samtykke.db", statement)
    return int(moment_ms)


@pytest.mark.xfail(strict=True, reason="a signature's time is cut to the second, or behind, and min() dates it back")
@pytest.mark.parametrize("behind_s", [1, 120])
def test_a_withdrawal_that_came_after_the_confirmation_wins(world: World, behind_s: int) -> None:
    """The signature says when a sender sent by its own clock, which may be five minutes wrong either way."""
    world.give(EMAIL)
    signed_at_s = given_at_ms(world) // 1000 - behind_s
    assert world.post_signed("withdrawal", {"email": EMAIL}, at_s=signed_at_s).status_code == 200
    assert world.check(EMAIL)["reason"] == "withdrawal_pending"
    world.record()
    assert world.check(EMAIL)["reason"] == "withdrawn"
