"""What an attempt may do on the way out: until when its calls may begin and last, and at which pace they go.

It belongs to the thread of the attempt, so that every session and every vendor's library is held to it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from workers.pace import Pace


@dataclass(frozen=True, slots=True)
class Allowance:
    """`ends_at_s`: by time.monotonic, when the lease is over; a call after it could undo what is newer."""

    ends_at_s: float
    pace: Pace | None = None


_ALLOWANCE: ContextVar[Allowance | None] = ContextVar("allowance", default=None)


@contextmanager
def within(allowance: Allowance) -> Iterator[None]:
    token = _ALLOWANCE.set(allowance)
    try:
        yield
    finally:
        _ALLOWANCE.reset(token)


def call_ends_at_s(deadline_s: float) -> float | None:
    """Waits for the turn of one call; then by when it must be over. None: the lease ends before its turn comes."""
    allowance = _ALLOWANCE.get()
    if allowance is None:
        return time.monotonic() + deadline_s
    if allowance.pace is not None:
        wait_s = allowance.pace.take(allowance.ends_at_s)
        if wait_s is None:
            return None
        if wait_s:
            time.sleep(wait_s)
    now_s = time.monotonic()
    return min(now_s + deadline_s, allowance.ends_at_s) if now_s < allowance.ends_at_s else None
