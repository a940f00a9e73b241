"""`flask processors` and `flask relays done`: the kill switch, and what an operator did by hand."""

import json
from typing import Any

from sqlalchemy import update

from ledger.tables import processor_state, relay
from tests.ledger.desk import HOUR_MS, Desk, withdrawal
from tests.world import World
from workers.context import now_ms

KARI = "kari@example.no"


def told(world: World, *arguments: str) -> Any:
    result = world.command(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def state_of(world: World, processor: str) -> dict[str, Any]:
    return next(row for row in told(world, "processors", "list") if row["processor"] == processor)


def test_a_paused_processor_is_called_no_more_and_nothing_is_lost(any_world: World) -> None:
    desk = Desk(any_world)
    assert state_of(any_world, "stripe")["state"] == "open"
    told(any_world, "processors", "pause", "stripe")
    desk.say(withdrawal(KARI), now_ms())
    desk.say(withdrawal("ola@example.no"), now_ms())
    any_world.carry(urgent=True)
    row = state_of(any_world, "stripe")
    assert (row["state"], row["waiting"], row["parked"]) == ("paused", 2, 0)
    assert [one.attempts for one in desk.relays(processor="stripe")] == [0, 0]
    told(any_world, "processors", "resume", "stripe")
    any_world.carry(urgent=True)
    assert (state_of(any_world, "stripe")["state"], state_of(any_world, "stripe")["parked"]) == ("open", 2)
    kinds = [leaf["kind"] for leaf in any_world.leaves() if leaf["kind"].startswith("processor.")]
    assert kinds == ["processor.paused", "processor.resumed"]


def test_pausing_twice_and_resuming_what_runs_are_refused(world: World) -> None:
    told(world, "processors", "pause", "google")
    assert "already_paused" in world.command("processors", "pause", "google").output
    told(world, "processors", "resume", "google")
    assert "not_paused" in world.command("processors", "resume", "google").output
    assert "processor_not_found" in world.command("processors", "pause", "elsewhere").output


def test_resuming_ends_the_rest_after_failures(world: World) -> None:
    told(world, "processors", "pause", "google")
    told(world, "processors", "resume", "google")
    with world.database.write() as connection:
        connection.execute(update(processor_state).values(failures=9, closed_until_ms=now_ms() + HOUR_MS, reason="dns"))
    row = state_of(world, "google")
    assert (row["state"], row["reason"], row["failures"]) == ("resting", "dns", 9)
    told(world, "processors", "resume", "google")
    assert state_of(world, "google")["state"] == "open"


def test_what_was_done_by_hand_is_confirmed_and_said(any_world: World) -> None:
    desk = Desk(any_world)
    desk.say(withdrawal(KARI), now_ms())
    any_world.carry(urgent=True)
    (parked,) = desk.relays(processor="google")
    vague = any_world.command("relays", "done", parked.id.hex(), "--outcome", "done")
    assert "say_what_happened" in vague.output, "an answer to a person is removed, not_found or retained"
    answer = told(any_world, "relays", "done", parked.id.hex(), "--outcome", "retained", "--until", "2031-01-31")
    assert (answer["status"], answer["outcome"], answer["erasure_completed"]) == ("confirmed", "retained", False)
    (row,) = desk.relays(processor="google")
    assert (row.status, row.outcome, row.reason, row.box) == ("confirmed", "retained", "done_by_hand", None)
    leaf = any_world.leaves()[-1]
    assert (leaf["kind"], leaf["retained_until"]) == ("relay.resolved", "2031-01-31T00:00:00.000Z")
    again = any_world.command("relays", "done", parked.id.hex(), "--outcome", "removed")
    assert "not_parked_confirmed" in again.output
    assert desk.problems() == []


def test_what_is_under_way_is_not_done_by_hand(world: World) -> None:
    desk = Desk(world)
    desk.say(withdrawal(KARI), now_ms())
    (waits,) = desk.relays(processor="google")
    result = world.command("relays", "done", waits.id.hex(), "--outcome", "removed", "--until", "2031-01-31")
    assert "until_is_for_retained" in result.output
    assert "not_parked_pending" in world.command("relays", "done", waits.id.hex(), "--outcome", "removed").output
    with world.database.read() as connection:
        assert connection.execute(relay.select().where(relay.c.status == "confirmed")).first() is None
