"""The doorbell rings when it can, and whoever presses it never waits to find out."""

import signal
import socket
import time
from pathlib import Path

import pytest
from redis import Redis

from tests.workers.queue_server import Server, wait_until
from workers.doorbell import Doorbell
from workers.queue import RECORD, RELAY, open_queue


def test_the_doorbell_rings(valkey: Server, redis: Redis) -> None:
    doorbell = Doorbell(valkey[0])
    assert doorbell.heard is None
    doorbell.press(RECORD)
    doorbell.press(RELAY)
    wait_until(lambda: open_queue(RECORD, redis).count == open_queue(RELAY, redis).count == 1)
    wait_until(lambda: doorbell.heard is True)


@pytest.mark.parametrize("away", ["no such socket", "refused"])
def test_pressing_does_not_wait_for_a_redis_that_is_away(tmp_path: Path, away: str) -> None:
    with socket.socket() as closed:  # bound and not listening: every connection is refused
        closed.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{closed.getsockname()[1]}/0" if away == "refused" else f"unix://{tmp_path}/none.sock"
        press_often_and_in_vain(url)


def test_pressing_does_not_wait_for_a_redis_that_hangs(valkey: Server, redis: Redis) -> None:
    url, server = valkey
    server.send_signal(signal.SIGSTOP)
    try:
        doorbell = press_often_and_in_vain(url)
    finally:
        server.send_signal(signal.SIGCONT)
    doorbell.press(RECORD)
    wait_until(lambda: doorbell.heard is True)


def press_often_and_in_vain(url: str) -> Doorbell:
    doorbell = Doorbell(url)
    started_s = time.monotonic()
    for _ in range(1000):
        doorbell.press(RECORD)
    # Waiting for the time limit of a connection each time would take over four minutes.
    assert time.monotonic() - started_s < 25
    wait_until(lambda: doorbell.heard is False)
    return doorbell
