"""Parked deliveries keep their sender's id: a resend is a duplicate, and a replay has one effect."""

from tests.world import World, checkout_event

NO_ADDRESS = {"customer_details": {"email": None}}


def test_a_parked_event_sent_again_is_a_duplicate(world: World) -> None:
    first = world.post_stripe(checkout_event("evt_1", session=NO_ADDRESS, created=1_790_000_000, pending_webhooks=2))
    again = world.post_stripe(checkout_event("evt_1", session=NO_ADDRESS, created=1_790_000_000, pending_webhooks=1))
    assert [first.get_json()["status"], again.get_json()["status"]] == ["parked", "duplicate"]
    assert world.statuses() == [("parked", "email_missing")]


def test_what_was_parked_and_comes_again_understood_is_a_conflict_and_never_a_second_effect(world: World) -> None:
    world.post_stripe(checkout_event("evt_1", session=NO_ADDRESS))
    assert world.post_stripe(checkout_event("evt_1")).get_json()["status"] == "conflict"
    assert world.record() == 0
    assert [status for status, _ in world.statuses()] == ["parked", "parked"]
    assert world.leaves() == []
