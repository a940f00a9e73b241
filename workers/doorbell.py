"""The doorbell: tells the queue that there is work, from a thread of its own; the request never waits for Redis.

Nothing depends on a ring. The clock's sweep rings for everything that is due, so a lost one costs a second.
"""

import threading
from collections.abc import Callable

from redis import RedisError

from workers.queue import INTAKE, RECORD, connect, ring

__all__ = ["INTAKE", "RECORD", "Doorbell"]  # all that the door knows of this room

REST_S = 0.05  # at most one ring per queue in this time


class Doorbell:
    """`press(queue)` returns at once. `heard`: whether the last ring reached Redis; None before the first."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._pressed: set[str] = set()
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.heard: bool | None = None

    def press(self, queue: str) -> None:
        with self._lock:
            self._pressed.add(queue)
            if self._thread is None or not self._thread.is_alive():  # also after a fork
                self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)
                self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        connection = connect(self._redis_url)
        rest: Callable[[float], bool] = threading.Event().wait
        while True:
            self._wake.wait()
            self._wake.clear()
            with self._lock:
                pressed, self._pressed = self._pressed, set()
            for queue in sorted(pressed):
                try:
                    ring(connection, queue)
                    self.heard = True
                except RedisError:
                    self.heard = False
            rest(REST_S)
