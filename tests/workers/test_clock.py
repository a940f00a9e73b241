"""The clock: rings for what waits in the database, and says that it is alive."""

import json

from ledger.heartbeat import beat, last_beat_ms
from tests.world import World
from workers.clock import due_queues
from workers.context import now_ms
from workers.queue import RECORD, RELAY, RELAY_URGENT


def test_it_rings_for_exactly_what_is_due(world: World) -> None:
    assert due_queues(world.database, now_ms()) == []
    world.post_signed("newsletter", {"email": "kari@example.no", "newsletter": "yes"})
    assert due_queues(world.database, now_ms()) == [RECORD]
    world.record()
    assert due_queues(world.database, now_ms()) == [RELAY]
    world.post_signed("withdrawal", {"email": "ola@example.no"})
    world.carry()
    world.record()
    assert due_queues(world.database, now_ms()) == [RELAY_URGENT]


def test_a_heartbeat_replaces_the_one_before(any_world: World) -> None:
    beat(any_world.database, "clock", 1_000)
    beat(any_world.database, "clock", 2_000)
    with any_world.database.read() as connection:
        assert last_beat_ms(connection, "clock") == 2_000
        assert last_beat_ms(connection, "record") is None


def test_the_doctor_misses_a_clock_that_has_stopped(world: World) -> None:
    def finding() -> tuple[str, str]:
        rows = json.loads(world.command("doctor", "--json").stdout)
        return next((row["level"], row["finding"]) for row in rows if row["check"] == "clock")

    assert finding()[0] == "warning"
    beat(world.database, "clock", now_ms())
    assert finding()[0] == "ok"
    beat(world.database, "clock", now_ms() - 3_600_000)
    assert finding() == ("fault", "seen 3600 s ago")
