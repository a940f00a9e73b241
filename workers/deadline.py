"""Deadlines: one thread calls whatever has had its time. A timer thread for each request would cost more than it."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable

Entry = tuple[float, int, Callable[[], None]]


class Deadlines:
    """`add` returns a number for `cancel`. Threads may share one; what it calls must be quick and never raise."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._cancelled: set[int] = set()
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, at_s: float, call: Callable[[], None]) -> int:
        """`at_s`: by time.monotonic."""
        with self._changed:
            number = next(self._numbers)
            is_next = not self._entries or at_s < self._entries[0][0]
            heapq.heappush(self._entries, (at_s, number, call))
            if self._thread is None or not self._thread.is_alive():  # also after a fork
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            elif is_next:
                self._changed.notify()
            return number

    def cancel(self, number: int) -> None:
        """Also of one that was called: then nothing happens."""
        with self._changed:
            self._cancelled.add(number)
            while self._entries and self._entries[0][1] in self._cancelled:
                self._cancelled.discard(heapq.heappop(self._entries)[1])
            if not self._entries:
                self._cancelled.clear()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._entries or self._entries[0][0] > time.monotonic():
                    wait_s = self._entries[0][0] - time.monotonic() if self._entries else None
                    self._changed.wait(wait_s)
                _, number, call = heapq.heappop(self._entries)
                is_cancelled = number in self._cancelled
                self._cancelled.discard(number)
            if not is_cancelled:
                call()


DEADLINES = Deadlines()
