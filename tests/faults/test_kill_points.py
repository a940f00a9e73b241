"""kill -9 at every named point of a transaction, and at random ones: the next attempt ends it, with one effect."""

import os
import random
from collections.abc import Iterator

import pytest

from tests.faults.conftest import Note
from tests.faults.mortal import Mortal, mortal
from tests.faults.oracle import breaches, change, query
from tests.faults.senders import fresh_name
from tests.faults.victim import POINTS
from tests.simulators.process import SimulatorProcess

KILLED = 9
KILLS, DELIVERIES = 20, 300
SLOWEST_KILL_S = 0.4


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("wordpress", tmp_path_factory.mktemp("site")) as wordpress:
        yield wordpress


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, site: SimulatorProcess) -> Iterator[Mortal]:
    """One for all of these tests: each uses people and ids of its own."""
    folder = tmp_path_factory.mktemp("mortal")
    with mortal(folder, wordpress_url=site.url, wordpress_secret=site.secret) as made:
        yield made


def test_the_door_dies_at_each_point_and_a_retry_makes_it_one(installation: Mortal) -> None:
    acknowledged = []
    for point in POINTS:
        message_id, fields = f"msg_{point}", {"email": f"{point}@example.org", "newsletter": "yes"}
        death = installation.deliver(message_id, fields, point=point)
        assert death.signal == KILLED, point
        assert death.said == (("200",) if point == "answered" else ()), "whoever dies before the end has not answered"
        if not death.said:
            assert installation.deliver(message_id, fields).said == ("200",)
        acknowledged.append(message_id)
    assert installation.do("record").signal == 0
    assert breaches(installation.database, acknowledged) == []


@pytest.mark.parametrize("point", [point for point in POINTS if point != "answered"])
def test_the_recorder_dies_at_each_point_and_the_next_one_ends_it(installation: Mortal, point: str) -> None:
    acknowledged = sign_up(installation, 120)  # three batches: it dies in the first, and then in the one after next
    for number in (1, 2):
        assert installation.do("record", point=point, number=number).signal == KILLED
    assert installation.do("record").signal == 0
    assert breaches(installation.database, acknowledged) == []
    assert verifies(installation)


def sign_up(installation: Mortal, count: int) -> list[str]:
    name = fresh_name()
    ids = [f"msg_{name}_{number}" for number in range(count)]
    for number, message_id in enumerate(ids):
        body = {"email": f"{name}-{number}@example.org", "newsletter": "yes"}
        assert installation.world.post_signed("newsletter", body, message_id).status_code == 200
    return ids


def verifies(installation: Mortal) -> bool:
    installation.world.sign()
    return installation.world.command("ledger", "audit").exit_code == 0


def test_a_recorder_killed_again_and_again_leaves_one_effect_each(installation: Mortal, note: Note) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    note("seed", seed)
    kill_while_draining(installation, random.Random(seed), note)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
def test_it_leaves_one_effect_each_in_every_round(installation: Mortal, seed: int, note: Note) -> None:
    kill_while_draining(installation, random.Random(seed), note)


def kill_while_draining(installation: Mortal, chance: random.Random, note: Note) -> None:
    """A few deliveries at a time, so that there is always something to be killed at."""
    acknowledged: list[str] = []
    killed, left_over = 0, 0
    while killed < KILLS:
        acknowledged += sign_up(installation, DELIVERIES // KILLS)
        killed += installation.do("record", after_s=chance.uniform(0.0, SLOWEST_KILL_S)).signal == KILLED
        left_over += query(installation.database, "SELECT count(*) FROM inbox WHERE status = 'new'")[0][0] > 0
    note("deliveries", len(acknowledged))
    note("killed_before_the_end", left_over)
    assert installation.do("record").signal == 0
    assert len(acknowledged) >= DELIVERIES
    assert breaches(installation.database, acknowledged) == []
    assert verifies(installation)


def test_the_relayer_dies_at_each_point_and_the_person_is_withdrawn_once(
    installation: Mortal, site: SimulatorProcess
) -> None:
    """Its transactions are two: the claim, and the end after the processor has done its part."""
    for point, number in (("written", 1), ("committed", 1), ("begun", 2), ("written", 2), ("committed", 2)):
        email = f"{point}-{number}@example.org"
        site.seed({"subscribers": [{"email": email, "purposes": ["newsletter"]}]})
        relay_id = leave_one_relay(installation, email)
        assert installation.do("relay", point=point, number=number).signal == KILLED, (point, number)
        change(installation.database, "UPDATE relay SET claimed_until_ms = 0")  # as if the lease had run out
        assert installation.do("relay").signal == 0
        assert site.state()["subscribers"][email]["purposes"] == {"newsletter": "unsubscribed"}
        assert ending(installation, relay_id) == ("confirmed", "removed", 1), (point, number)
    assert verifies(installation)
    assert site.violations() == []


def leave_one_relay(installation: Mortal, email: str) -> bytes:
    """The relay to WordPress of a known person's withdrawal, and no other."""
    assert installation.world.post_signed("newsletter", {"email": email, "newsletter": "yes"}).status_code == 200
    assert installation.do("record").signal == 0
    assert installation.world.post_signed("withdrawal", {"email": email}).status_code == 200
    assert installation.do("record").signal == 0
    change(installation.database, "DELETE FROM relay WHERE processor != 'wordpress' OR status != 'pending'")
    ((relay_id,),) = query(installation.database, "SELECT id FROM relay")
    return bytes(relay_id)


def ending(installation: Mortal, relay_id: bytes) -> tuple[str, str, int]:
    """Status, outcome, and how many entries say so."""
    ((status, outcome, cause),) = query(
        installation.database, "SELECT status, outcome, lower(hex(cause)) FROM relay WHERE id = ?", [relay_id]
    )
    leaves = query(installation.database, "SELECT leaf FROM ledger_entry WHERE kind = 'relay.completed'")
    return status, outcome, sum(cause in bytes(leaf).decode() for (leaf,) in leaves)
