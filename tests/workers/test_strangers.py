"""RQ calls what a job names: whoever can write to Redis could call anything. Not here."""

import json
import os
import pickle
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.webhook import Webhook

from tests.workers.queue_server import call, end_of, plant
from workers.queue import RECORD

CALLED: list[str] = []
CALLBACKS = {f"{when}_callback_name": f"{__name__}.note_a_call" for when in ("success", "failure", "stopped")}


def note_a_call(*_: object) -> None:
    """What a stranger would have called; the worker of these tests runs in this process."""
    CALLED.append("called")


@pytest.fixture(autouse=True)
def _nothing_was_called() -> None:
    CALLED.clear()


@contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    """A server that notes who connects, and the webhooks that would make RQ connect."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        webhooks = [Webhook(url, status, timeout=1).to_dict() for status in ("finished", "failed")]
        yield listener, json.dumps(webhooks)


def test_without_our_job_class_everything_that_is_planted_here_would_work(redis: Redis, tmp_path: Path) -> None:
    """The control of the tests below."""

    def work_as_rq_does() -> None:
        queue = Queue(RECORD, connection=redis, serializer=JSONSerializer)
        worker = SimpleWorker([queue], connection=redis, serializer=JSONSerializer, job_class=Job)
        worker.work(burst=True, logging_level="CRITICAL")

    with listening() as (listener, webhooks):
        plant(redis, call("os.mkdir", str(tmp_path / "planted")), webhooks=webhooks, **CALLBACKS)
        work_as_rq_does()
        listener.accept()[0].close()
    assert (tmp_path / "planted").is_dir()
    assert CALLED == ["called"]


STRANGE_CALLS: dict[str, Callable[[str], bytes]] = {
    "another function": lambda path: call("os.mkdir", path),
    "a shell": lambda path: call("os.system", f"mkdir {path}"),
    "ours with an argument": lambda path: call("workers.jobs.record", path),
    "ours with a keyword": lambda path: call("workers.jobs.record", path=path),
    "a neighbour of ours": lambda path: call("workers.jobs.set_up", path),
    "a method": lambda path: json.dumps(["mkdir", "os", [path], {}]).encode(),
    "a pickle": lambda path: pickle.dumps(Pickled(path)),
    "no function": lambda path: call(""),
    "garbage": lambda path: b"\x00",
}


class Pickled:
    """Unpickled, it makes a folder."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("case", STRANGE_CALLS)
def test_a_planted_call_fails_and_does_nothing(
    redis: Redis, work: Callable[[], None], tmp_path: Path, case: str
) -> None:
    path = tmp_path / "planted"
    job_id = plant(redis, STRANGE_CALLS[case](str(path)))
    work()
    assert not path.exists()
    status, reason = end_of(redis, job_id)
    assert status == "failed"
    assert "job_not_allowed" in reason or "DeserializationError" in reason


def test_planted_callbacks_are_not_called(redis: Redis, work: Callable[[], None], tmp_path: Path) -> None:
    for data in (call("workers.jobs.record"), call("os.mkdir", str(tmp_path / "planted"))):
        plant(redis, data, **CALLBACKS)
        work()
    assert CALLED == []


def test_a_planted_webhook_is_not_sent(redis: Redis, work: Callable[[], None]) -> None:
    with listening() as (listener, webhooks):
        for data in (call("workers.jobs.record"), call("os.getcwd")):
            plant(redis, data, webhooks=webhooks)
            work()
        with pytest.raises(BlockingIOError):
            listener.accept()
