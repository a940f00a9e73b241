"""The queue's tests share one Valkey per module, emptied before each test."""

import signal
from collections.abc import Callable, Iterator

import pytest
from redis import Redis
from rq.serializers import JSONSerializer

from tests.workers.queue_server import Server, serving_valkey
from workers.__main__ import PatientWorker
from workers.queue import RECORD, AllowlistedJob, connect, open_queue


@pytest.fixture(scope="module")
def valkey() -> Iterator[Server]:
    with serving_valkey() as server:
        yield server


@pytest.fixture
def redis(valkey: Server) -> Iterator[Redis]:
    connection = connect(valkey[0], timeout_s=5.0)
    connection.flushall()
    yield connection
    connection.close()


@pytest.fixture
def work(redis: Redis) -> Iterator[Callable[[], None]]:
    """Run everything that waits on the record queue, as `python -m workers record` does, and return."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run() -> None:
        worker = PatientWorker(
            [open_queue(RECORD, redis)], connection=redis, serializer=JSONSerializer, job_class=AllowlistedJob
        )
        worker.work(burst=True, logging_level="CRITICAL", with_scheduler=False)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)
