"""The pace: how fast each processor is called at most, by each process that carries to it.

Below what the vendors allow, even with both relay processes at it and the site's own traffic beside them:
Stripe 25 requests a second in a sandbox and 100 live (https://docs.stripe.com/rate-limits), Google's Directory API
2,400 a minute for each user (https://developers.google.com/workspace/admin/directory/v1/limits). WordPress has no
published limit: a small site's PHP workers are few, and its visitors need them.
"""

import threading
import time
from collections.abc import Callable, Mapping

CALLS_PER_S: Mapping[str, float] = {"stripe": 10.0, "google": 10.0, "wordpress": 5.0, "mail": 2.0}
BURST_S = 2.0  # so much may be saved up

# Attempts at one processor at a time: one that hangs until its deadline does not hold up the others. Google is asked
# twice for each group of a withdrawal, one call after another; a small site's PHP workers are few.
AT_ONCE: Mapping[str, int] = {"google": 16}
AT_ONCE_OTHERWISE = 8


def at_once(processor: str) -> int:
    return AT_ONCE.get(processor, AT_ONCE_OTHERWISE)


class Pace:
    """A token bucket: `take` waits for its turn. Threads may share one."""

    def __init__(self, calls_per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._calls_per_s = calls_per_s
        self._clock = clock
        self._next_at_s = 0.0  # when the bucket would be empty of debts
        self._lock = threading.Lock()

    def take(self, until_s: float) -> float | None:
        """Seconds to wait for this call; None where its turn would come after `until_s`, and nothing is taken."""
        with self._lock:
            now_s = self._clock()
            turn_s = max(self._next_at_s, now_s - BURST_S) + 1 / self._calls_per_s
            wait_s = max(turn_s - now_s, 0.0)
            if now_s + wait_s > until_s:
                return None
            self._next_at_s = turn_s
            return wait_s


PACES: Mapping[str, Pace] = {processor: Pace(calls_per_s) for processor, calls_per_s in CALLS_PER_S.items()}
