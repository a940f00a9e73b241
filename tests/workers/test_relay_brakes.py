"""Brakes: a processor that is down is left alone, one that asks for time gets it, and what is uncertain is repeated."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from ledger import processors
from ledger.late_effects import REASON
from ledger.tables import processor_state, relay
from tests.ledger.desk import HOUR_MS, Desk, withdrawal
from tests.simulators.process import SimulatorProcess
from tests.world import World, settings_for
from workers.allowance import Allowance, call_ends_at_s, within
from workers.context import now_ms
from workers.pace import Pace

KARI = "kari@example.no"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("wordpress", tmp_path_factory.mktemp("wordpress")) as started:
        yield started


@pytest.fixture
def desk(tmp_path: Path, database_url: str | None, process: SimulatorProcess) -> Iterator[Desk]:
    """A world with one processor connected, on each database in turn."""
    process.seed(
        {"plugin": True, "adapters": ["mailpoet"], "subscribers": [{"email": KARI, "purposes": ["newsletter"]}]}
    )
    settings = replace(settings_for(tmp_path, database_url), wordpress_url=process.url, wordpress_secret=process.secret)
    made = World(settings)
    yield Desk(made)
    made.close()
    process.clear()


def test_a_processor_that_is_down_is_left_alone_and_then_tried_once(desk: Desk, process: SimulatorProcess) -> None:
    process.faults([{"status": 503, "count": None}])
    for number in range(40):
        desk.say(withdrawal(f"kari{number}@example.no"), now_ms())
    earlier = len(process.journal())
    desk.world.carry(urgent=True)
    calls = len(process.journal()) - earlier
    assert calls <= 24, "of 40 relays: what was under way when the fifth failed, and no more"
    with desk.database.write() as connection:
        assert processors.states(connection)["wordpress"].closed_until_ms > now_ms()
        connection.execute(update(relay).values(next_attempt_at_ms=0))
        connection.execute(update(processor_state).values(closed_until_ms=0))
    earlier = len(process.journal())
    desk.world.carry(urgent=True)
    assert len({one["path"] for one in process.journal()[earlier:]}) <= 2
    assert sum(row.attempts for row in desk.relays(processor="wordpress")) <= 26, (
        "one attempt to see whether it is back"
    )
    process.clear()
    with desk.database.write() as connection:
        connection.execute(update(relay).values(next_attempt_at_ms=0))
        connection.execute(update(processor_state).values(closed_until_ms=0))
    desk.world.carry(urgent=True)
    assert {row.status for row in desk.relays(processor="wordpress")} == {"confirmed"}


def test_what_one_relay_is_told_to_wait_all_wait(desk: Desk, process: SimulatorProcess) -> None:
    process.faults([{"status": 429, "headers": {"Retry-After": "600"}}])
    desk.say(withdrawal(KARI), now_ms())
    desk.world.carry(urgent=True)
    with desk.database.read() as connection:
        state = processors.states(connection)["wordpress"]
    assert (state.reason, state.failures) == ("rate_limited", 1)
    assert state.closed_until_ms > now_ms() + 500_000
    desk.say(withdrawal("ola@example.no"), now_ms())
    desk.world.carry(urgent=True)
    assert [row.attempts for row in desk.relays(processor="wordpress")] == [1, 0]


def test_a_withdrawal_after_an_uncertain_grant_is_done_once_more(desk: Desk, process: SimulatorProcess) -> None:
    process.faults([{"status": 504, "after_effect": True}])
    desk.give(KARI, now_ms() - HOUR_MS)
    desk.world.carry()
    (grant,) = desk.relays(processor="wordpress", action="give")
    assert (grant.status, grant.attempts) == ("pending", 1)
    desk.say(withdrawal(KARI, "newsletter"), now_ms())
    desk.world.carry(urgent=True)
    (stop,) = desk.relays(processor="wordpress", action="withdraw")
    assert (stop.status, stop.reason, stop.epoch) == ("pending", REASON, 2)
    with desk.database.write() as connection:  # as after more than ten minutes
        old = {"updated_at_ms": now_ms() - HOUR_MS, "claimed_until_ms": 0, "next_attempt_at_ms": 0}
        connection.execute(update(relay).values(old))
    desk.world.carry(urgent=True)
    (stop,) = desk.relays(processor="wordpress", action="withdraw")
    assert (stop.status, stop.outcome, stop.attempts) == ("confirmed", "removed", 2)
    desk.world.carry()
    (grant,) = desk.relays(processor="wordpress", action="give")
    assert (grant.status, grant.reason) == ("superseded", "withdrawn_since")


def test_no_call_begins_after_the_lease_nor_out_of_turn() -> None:
    with within(Allowance(ends_at_s=0.0)):
        assert call_ends_at_s(10.0) is None
    times = [100.0]
    pace = Pace(2.0, clock=lambda: times[0])
    waits = [pace.take(until_s=1_000.0) for _ in range(6)]
    assert waits == [0.0, 0.0, 0.0, 0.0, 0.5, 1.0], "two seconds' worth are saved up"
    assert pace.take(until_s=100.1) is None
    times[0] += 60
    assert pace.take(until_s=1_000.0) == 0.0
