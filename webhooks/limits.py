"""Limits in memory, of this process alone, before any database work: how often each may ask, and how much is logged.

A sender that proves itself is limited by its source, so that a loop in one site cannot starve the others. Whoever does
not is limited by the address of its connection and with all others together, which never touches who proves itself.
No header says who asks: behind a proxy there is one address, the proxy's, and the proxy has limits of its own
(docs/guides/reverse-proxy.md). Addresses are forgotten with the process, and written down nowhere.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from schemas.refusal import Refused

KEYS_MAX = 4_096
SOURCE_BURST_S = 10  # a source may send at once what it may send in so many seconds
ADDRESS_PER_S, ADDRESS_BURST = 10.0, 600
STRANGERS_PER_S, STRANGERS_BURST = 100.0, 3_000
LINES_PER_MINUTE = 10
Clock = Callable[[], float]


class RateLimit:
    """`per_s` on average and `burst` at once, for each key. Of more than `keys_max` keys the longest idle is forgotten.

    The "virtual scheduling" form of the token bucket (ITU-T I.371, annex A): of each key only one time is kept.
    """

    def __init__(self, per_s: float, burst: float, keys_max: int = KEYS_MAX) -> None:
        self._interval_s = 1 / per_s
        self._ahead_max_s = (burst - 1) / per_s
        self._keys_max = keys_max
        self._due_s: OrderedDict[str, float] = OrderedDict()  # when the next one would be in time
        self._lock = threading.Lock()

    def take(self, key: str, now_s: float) -> float:
        """0, and it is counted; or the seconds to wait until it would be."""
        with self._lock:
            due_s = max(self._due_s.get(key, now_s), now_s)
            if (early_s := due_s - now_s - self._ahead_max_s) > 0:
                return early_s
            self._due_s[key] = due_s + self._interval_s
            self._due_s.move_to_end(key)
            if len(self._due_s) > self._keys_max:
                self._due_s.popitem(last=False)
            return 0.0

    def __len__(self) -> int:
        return len(self._due_s)


class SourceLimit:
    """What each source may deliver. `per_s` 0: as much as it likes."""

    def __init__(self, per_s: int = 0, clock: Clock = time.monotonic) -> None:
        self._limit = RateLimit(per_s, per_s * SOURCE_BURST_S) if per_s else None
        self._clock = clock

    def admit(self, source: str) -> None:
        """Raises Refused 429: too_many_deliveries."""
        if self._limit is not None and (wait_s := self._limit.take(source, self._clock())):
            raise Refused(429, "too_many_deliveries", math.ceil(wait_s))


class FailureLimit:
    """How many may fail to prove themselves, from one address and in all, before they are told to wait."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._of_address = RateLimit(ADDRESS_PER_S, ADDRESS_BURST)
        self._of_all = RateLimit(STRANGERS_PER_S, STRANGERS_BURST, keys_max=1)
        self._clock = clock

    def told_to(self, address: str, refused: Refused) -> Refused:
        """The refusal itself; too_many_failures, if there were too many."""
        now_s = self._clock()
        wait_s = self._of_address.take(address, now_s) or self._of_all.take("", now_s)
        return Refused(429, "too_many_failures", math.ceil(wait_s)) if wait_s else refused


class LogSample:
    """At most so many lines a minute about the same, and how many more there would have been."""

    def __init__(self, per_minute: int = LINES_PER_MINUTE, clock: Clock = time.monotonic) -> None:
        self._limit = RateLimit(per_minute / 60, per_minute)
        self._suppressed: dict[str, int] = {}
        self._clock = clock
        self._lock = threading.Lock()

    def take(self, reason: str) -> int | None:
        """How many were suppressed since the last line, which this one says; None: this one is, too."""
        with self._lock:
            if self._limit.take(reason, self._clock()):
                self._suppressed[reason] = self._suppressed.get(reason, 0) + 1
                return None
            return self._suppressed.pop(reason, 0)
