"""The queue on a real Valkey: one job however often it rings, no server that forgets, and no person in it."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from tests.workers.queue_server import Server, everything_in, wait_until
from tests.world import World, settings_for
from workers import jobs
from workers.__main__ import require_noeviction
from workers.queue import JOB_OF_QUEUE, RECORD, RELAY, open_queue, ring, wake_key


def test_a_queue_holds_one_job_however_often_it_is_rung(redis: Redis) -> None:
    threads = [threading.Thread(target=ring, args=(redis, RECORD)) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert open_queue(RECORD, redis).count == 1
    assert ring(redis, RECORD) is False
    assert ring(redis, RELAY) is True
    assert open_queue(RELAY, redis).count == 1


def test_a_ring_that_was_lost_is_forgotten_soon(redis: Redis) -> None:
    ring(redis, RECORD)
    assert 0 < int(redis.pttl(wake_key(RECORD))) <= 5_000


def test_a_job_says_nothing_but_its_name(redis: Redis) -> None:
    ring(redis, RECORD)
    (job,) = open_queue(RECORD, redis).jobs
    assert (job.func_name, list(job.args), job.kwargs, job.description, job.meta) == (
        "workers.jobs.record",
        [],
        {},
        "record",
        {},
    )


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_server_that_may_forget_is_refused(redis: Redis, policy: str) -> None:
    require_noeviction(redis)
    redis.config_set("maxmemory-policy", policy)
    try:
        with pytest.raises(SystemExit):
            require_noeviction(redis)
    finally:
        redis.config_set("maxmemory-policy", "noeviction")


@pytest.fixture
def world(tmp_path: Path, valkey: Server) -> Iterator[World]:
    made = World(replace(settings_for(tmp_path), redis_url=valkey[0]))
    yield made
    made.close()


def test_an_accepted_delivery_is_recorded_by_a_worker_and_redis_never_learns_of_whom(
    world: World, redis: Redis, work: Callable[[], None]
) -> None:
    jobs.set_up(world.context("record"))
    queue = open_queue(RECORD, redis)
    assert world.post_signed("newsletter", {"email": "kanari7f3a@example.test", "newsletter": "yes"}).status_code == 200
    wait_until(lambda: queue.count == 1)
    before = everything_in(redis)
    work()
    assert world.kinds() == [("consent.requested", "newsletter")]
    assert queue.count == 0
    assert redis.exists(wake_key(RECORD)) == 0
    assert JOB_OF_QUEUE[RECORD].encode() in before
    for told in (before, everything_in(redis)):
        assert b"kanari7f3a" not in told
        assert b"example.test" not in told


def test_a_job_that_cannot_do_its_deed_leaves_no_traceback_in_redis(
    world: World, redis: Redis, work: Callable[[], None]
) -> None:
    context = world.context("record")
    world.post_signed("newsletter", {"email": "kanari7f3a@example.test", "newsletter": "yes"})
    jobs.set_up(replace(context, keyring=world.context("clock").keyring))  # it holds none of the keys
    ring(redis, RECORD)
    work()
    told = everything_in(redis)
    assert b"Traceback" not in told
    assert b"kanari7f3a" not in told
