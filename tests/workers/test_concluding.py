"""Attempts that end together are written down together, and the ledger reads as if they had ended one by one."""

from dataclasses import replace

import pytest

from ledger.claiming import claim_due
from ledger.outbox import Relay
from ledger.processors import lock
from tests.ledger.desk import MINUTE_MS, NOW_MS, Desk
from tests.ledger.test_carrying import allow
from tests.ledger.test_erasure_work import ERASED_MS, erase
from tests.world import World
from workers.concluding import Attempted, conclude
from workers.ending import Ending, Superseded
from workers.relays.action import RelayError

LATER_MS = ERASED_MS + MINUTE_MS
REMOVED = Ending("removed")


@pytest.fixture
def desk(any_world: World) -> Desk:
    allow(any_world)
    made = Desk(any_world)
    made.give("kari@example.no", NOW_MS)
    erase(made)
    return made


def claim(desk: Desk) -> list[Relay]:
    with desk.database.write() as connection:
        names = sorted(lock(connection, ("google", "stripe", "wordpress")))
        return [one for name in names for one in claim_due(connection, name, True, LATER_MS, 8)]


def end(desk: Desk, *attempted: Attempted) -> list[tuple[str, str | None]]:
    """The kind and the processor of each entry that they added."""
    before = len(desk.world.leaves())
    with desk.database.write() as connection:
        conclude(desk.world.context("relay"), connection, attempted, LATER_MS)
    return [(leaf["kind"], leaf.get("processor")) for leaf in desk.world.leaves()[before:]]


def test_the_last_answers_of_an_erasure_end_together_and_complete_it_once(desk: Desk) -> None:
    added = end(desk, *(Attempted(one, REMOVED) for one in claim(desk)))
    completed = [("relay.completed", name) for name in ("google", "stripe", "wordpress")]
    assert added == [*completed, ("erasure.completed", None)]
    assert desk.problems() == []


def test_only_what_has_ended_by_this_attempt_is_said(desk: Desk) -> None:
    google, stripe, wordpress = claim(desk)
    overtaken = replace(google, attempts=google.attempts - 1)
    refused = RelayError("rejected", permanent=True)
    added = end(desk, Attempted(overtaken, REMOVED), Attempted(stripe, refused), Attempted(wordpress, REMOVED))
    assert added == [("relay.parked", "stripe"), ("relay.completed", "wordpress")]
    assert end(desk, Attempted(google, Superseded("given_since"))) == []
    assert desk.problems() == []
