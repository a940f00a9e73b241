"""Whoever can write to Valkey can neither run anything of theirs nor stop the recorder for good."""

import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from schemas.settings import socket_path
from tests.faults.oracle import assert_ledger_verifies, breaches, database_of, wait_until_mailed, wait_until_recorded
from tests.faults.senders import Campaign, fresh_name
from tests.stack import Stack

COUNT = 8
PROCESSES = ("record", "relay", "relay-urgent")
TIME = "2026-11-23T00:00:00.000000Z"


@pytest.fixture
def queue(service: Stack) -> Iterator[Redis]:
    connection = Redis(unix_socket_path=str(socket_path(service.data_dir)))
    yield connection
    connection.flushall()
    connection.close()


def job(function: str, *arguments: str, **changes: str) -> dict[str, str | bytes]:
    """A job as RQ stores it: `data` is [function, instance, arguments, keywords], compressed."""
    data = zlib.compress(json.dumps([function, None, arguments, {}]).encode())
    return {"created_at": TIME, "origin": "record", "status": "queued", "timeout": "60", "data": data, **changes}


def poisons(planted: Path) -> dict[str, dict[str, str | bytes]]:
    """What a stranger, a bug or another version might leave in the queue."""
    return {
        "another-function": job("os.mkdir", str(planted)),
        "our-function-with-an-argument": job("workers.jobs.record", "x"),
        "a-callback": job("workers.jobs.record", success_callback_name="os.getcwd", failure_callback_name="os.getcwd"),
        "a-webhook": job("workers.jobs.record", webhooks='[{"url": "http://127.0.0.1:9/", "statuses": ["finished"]}]'),
        "data-that-is-no-JSON": {**job(""), "data": zlib.compress(b"garbage")},
        "data-that-is-a-pickle": {**job(""), "data": zlib.compress(b"\x80\x04\x95\x05\x00\x00\x00.")},
        "no-data": {"created_at": TIME, "origin": "record"},
        "a-time-that-is-none": job("workers.jobs.record", created_at="yesterday"),
        "a-status-of-another-version": job("workers.jobs.record", status="asleep"),
        "a-timeout-that-is-none": job("workers.jobs.record", timeout="soon"),
        "bytes-that-are-no-text": job("workers.jobs.record", origin=b"\xff\xfe"),  # type: ignore[arg-type]
    }


def test_a_poisoned_job_runs_nothing_and_holds_nothing_up(service: Stack, queue: Redis, tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    for name, fields in poisons(planted).items():
        queue.hset(f"rq:job:{name}", mapping=fields)  # type: ignore[arg-type]
        queue.rpush("rq:queue:record", name)
    queue.rpush("rq:queue:record", "not-there", "an id that is none", b"\xff\xfe")
    journal = Campaign(service, f"poison-{fresh_name()}", COUNT).start().finish()
    wait_until_recorded(service)
    assert breaches(database_of(service), journal.acknowledged) == []
    service.wait_for(lambda: queue.llen("rq:queue:record") == 0, "for the queue to be emptied")
    assert not planted.exists()
    assert_ledger_verifies(service)


def test_what_a_dead_worker_left_unreadable_kills_no_other(service: Stack, queue: Redis) -> None:
    """RQ looks after such jobs at every start; one that it cannot read must not end the worker every time."""
    for name in PROCESSES:
        queue.hset(f"rq:job:{name}", mapping=job("workers.jobs.record", created_at="yesterday"))  # type: ignore[arg-type]
        queue.rpush(f"rq:queue:{name}:intermediate", name, "an id that is none", b"\xff\xfe")
    old = {name: service.kill(name) for name in PROCESSES}
    new = {name: service.wait_restarted(name, pid) for name, pid in old.items()}
    journal = Campaign(service, f"left-{fresh_name()}", COUNT).start().finish()
    wait_until_recorded(service)
    assert breaches(database_of(service), journal.acknowledged) == []
    wait_until_mailed(service)
    assert {name: service.pids()[name] for name in PROCESSES} == new, "a worker died again"
