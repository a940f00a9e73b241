"""The outbox: each relay is carried by one attempt at a time, in order, and remembers how it stands."""

import random
import secrets
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ledger import outbox, processors
from ledger.claiming import claim_due, is_due
from ledger.database import Database
from ledger.outbox import BACKOFF_FIRST_MS, BACKOFF_MAX_MS, LEASE_MS, NewRelay, Relay, backoff_ms
from tests.ledger.desk import HOUR_MS, NOW_MS, Desk, at_once
from tests.world import World

PROCESSORS = ("google", "stripe")
KARI, OLA = b"k" * 16, b"o" * 16


def new_relay(sequence: int, subject: bytes = KARI, **changes: Any) -> NewRelay:
    asked = NewRelay(
        subject=subject,
        processor="stripe",
        action="withdraw",
        purposes=("newsletter", "offers"),
        cause=secrets.token_hex(16),
        sequence=sequence,
        urgent=True,
        id=outbox.new_relay_id(),
    )
    return replace(asked, **changes)


def enqueue(database: Database, *relays: NewRelay) -> None:
    with database.write() as connection:
        outbox.enqueue(connection, relays, NOW_MS)


def claim(database: Database, at_ms: int = NOW_MS, limit: int = 100, urgent: bool = True) -> list[Relay]:
    with database.write() as connection:
        processors.lock(connection, PROCESSORS)
        return [one for name in PROCESSORS for one in claim_due(connection, name, urgent, at_ms, limit)]


def claim_all(database: Database) -> list[bytes]:
    claimed: list[bytes] = []
    while some_more := claim(database, limit=2):
        claimed += [one.id for one in some_more]
    return claimed


def finish(database: Database, claimed: Relay, at_ms: int = NOW_MS) -> bool:
    with database.write() as connection:
        return outbox.finish(connection, claimed, outbox.CONFIRMED, "removed", None, at_ms)


def park(database: Database, claimed: Relay) -> bool:
    with database.write() as connection:
        return outbox.park(connection, claimed, "rejected", NOW_MS)


def retry(database: Database, claimed: Relay, delay_ms: int, new_epoch: bool = False) -> bool:
    with database.write() as connection:
        return outbox.retry(connection, claimed, "server_error", NOW_MS, delay_ms, new_epoch)


def rearm(database: Database, relay_id: bytes, at_ms: int) -> bool:
    with database.write() as connection:
        return outbox.rearm(connection, relay_id, at_ms)


def test_a_claim_belongs_to_one_among_many(any_world: World) -> None:
    database = any_world.database
    enqueue(database, *(new_relay(number, bytes([number]) * 16) for number in range(30)))
    claims = at_once([partial(claim_all, database)] * 6)
    everything = [relay_id for own in claims for relay_id in own]
    assert (len(everything), len(set(everything))) == (30, 30)


def test_a_person_is_served_in_order_at_each_processor_whoever_claims(any_world: World) -> None:
    database = any_world.database
    enqueue(database, new_relay(1), new_relay(2), new_relay(3, processor="google"), new_relay(4, OLA))
    claims = at_once([partial(claim_all, database)] * 4)
    assert sum(map(len, claims)) == 3, "the second at the same processor waits for the first"
    desk = Desk(any_world)
    assert [row.attempts for row in desk.relays()] == [1, 0, 1, 1]


@pytest.mark.parametrize("ending", [finish, park])
def test_the_next_one_has_its_turn_when_the_first_has_ended(any_world: World, ending: Any) -> None:
    database = any_world.database
    enqueue(database, new_relay(1), new_relay(2, urgent=False))
    (first,) = claim(database)
    assert claim(database, urgent=False) == []
    assert ending(database, first)
    assert len(claim(database, urgent=False)) == 1


def test_the_next_one_waits_while_the_first_waits_for_its_retry(world: World) -> None:
    enqueue(world.database, new_relay(1, urgent=False), new_relay(2, urgent=False))
    (first,) = claim(world.database, urgent=False)
    assert retry(world.database, first, HOUR_MS)
    assert claim(world.database, NOW_MS + HOUR_MS - 1, urgent=False) == []
    assert [one.id for one in claim(world.database, NOW_MS + HOUR_MS, urgent=False)] == [first.id]


def test_what_is_urgent_waits_for_nothing_but_an_attempt_under_way(any_world: World) -> None:
    database = any_world.database
    enqueue(database, new_relay(1, urgent=False))
    (grant,) = claim(database, urgent=False)
    enqueue(database, new_relay(2), new_relay(3, action="erase"))
    assert claim(database) == [], "the grant may be on its way"
    assert retry(database, grant, 0)
    assert claim(database, urgent=False) == [], "and now the withdrawals go first"
    (first,) = claim(database)
    assert first.id != grant.id
    assert retry(database, first, HOUR_MS)
    (second,) = claim(database)
    assert second.id not in (grant.id, first.id), "an erasure does not wait for the retry of a withdrawal"
    assert finish(database, second)
    assert claim(database, urgent=False) == []
    (again,) = claim(database, NOW_MS + HOUR_MS)
    assert again.id == first.id
    assert finish(database, again)
    assert [one.id for one in claim(database, urgent=False)] == [grant.id]


def test_a_slow_earlier_attempt_can_no_longer_end_anything(any_world: World) -> None:
    database = any_world.database
    enqueue(database, new_relay(1))
    (slow,) = claim(database)
    assert claim(database, NOW_MS + LEASE_MS - 1) == []
    (second,) = claim(database, NOW_MS + LEASE_MS)
    assert (slow.attempts, second.attempts) == (1, 2)
    assert [finish(database, slow), park(database, slow), retry(database, slow, 0)] == [False, False, False]
    assert finish(database, second)
    assert [finish(database, second), retry(database, second, 0)] == [False, False]


def test_a_claim_carries_what_was_asked(world: World) -> None:
    asked = new_relay(7, box=b"sealed")
    enqueue(world.database, asked)
    (claimed,) = claim(world.database)
    assert (claimed.id, claimed.subject, claimed.purposes, claimed.box) == (
        asked.id,
        asked.subject,
        asked.purposes,
        b"sealed",
    )
    assert (claimed.cause.hex(), claimed.epoch, claimed.created_at_ms) == (asked.cause, 1, NOW_MS)


def test_what_is_due_later_is_not_claimed_before(world: World) -> None:
    enqueue(world.database, new_relay(1, due_at_ms=NOW_MS + HOUR_MS))
    assert claim(world.database) == []
    with world.database.read() as connection:
        assert not is_due(connection, True, NOW_MS)
        assert is_due(connection, True, NOW_MS + HOUR_MS)
        assert not is_due(connection, True, NOW_MS + HOUR_MS, ["stripe"])
        assert not is_due(connection, False, NOW_MS + HOUR_MS)
    assert len(claim(world.database, NOW_MS + HOUR_MS)) == 1


def test_the_address_is_wiped_at_the_end_and_kept_while_parked(world: World) -> None:
    desk = Desk(world)
    enqueue(world.database, new_relay(1, box=b"sealed"), new_relay(2, OLA, box=b"sealed"))
    first, second = claim(world.database)
    finish(world.database, first)
    park(world.database, second)
    assert [(row.status, row.box) for row in desk.relays()] == [("confirmed", None), ("parked", b"sealed")]


def test_a_replay_is_due_at_once_under_a_new_epoch_and_only_for_what_is_parked(world: World) -> None:
    desk = Desk(world)
    enqueue(world.database, new_relay(1))
    (claimed,) = claim(world.database)
    later = NOW_MS + 40 * 24 * HOUR_MS
    assert not rearm(world.database, claimed.id, later)
    park(world.database, claimed)
    assert rearm(world.database, claimed.id, later)
    assert not rearm(world.database, claimed.id, later)
    (row,) = desk.relays()
    assert (row.status, row.epoch, row.created_at_ms, row.reason) == ("pending", 2, later, None)
    (again,) = claim(world.database, later)
    assert (again.epoch, again.attempts) == (2, 2)


def test_a_retry_asks_for_a_new_epoch_only_when_it_must(world: World) -> None:
    enqueue(world.database, new_relay(1))
    for new_epoch, expected in ((False, 1), (True, 2)):
        (claimed,) = claim(world.database)
        retry(world.database, claimed, 0, new_epoch)
        assert [row.epoch for row in Desk(world).relays()] == [expected]


def test_one_cause_is_carried_once_to_each_processor(world: World) -> None:
    twice = new_relay(1)
    enqueue(world.database, twice)
    with pytest.raises(Exception, match="UNIQUE"):
        enqueue(world.database, new_relay(1, cause=twice.cause))


@settings(max_examples=200, deadline=None)
@given(some.integers(1, 10_000), some.integers())
def test_a_pause_doubles_up_to_six_hours(attempts: int, seed: int) -> None:
    pause_ms = backoff_ms(attempts, random.Random(seed))
    longest_ms = min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** min(attempts, 30))
    assert BACKOFF_FIRST_MS <= longest_ms // 2 <= pause_ms <= longest_ms


def test_pauses_are_not_in_step() -> None:
    chance = random.Random(1)
    assert len({backoff_ms(10, chance) for _ in range(50)}) > 40
