"""The fault plan: which of the next requests go wrong, and how."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import unquote

from tests.simulators.exchange import Request

TRICKLE_INTERVAL_S = 0.2
# Stripe saves and replays a 500 because its endpoint had begun to work; 429, 502, 503 and 504 come from in
# front of it and are never saved (https://docs.stripe.com/api/idempotent_requests).
APPLICATION_FAULT_STATUS = 500


class FaultError(ValueError):
    """A fault plan that cannot be understood."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One planned fault. With no status, hang, redirect or body it only slows the true answer down.

    count: how many requests it hits, None = until cleared. after_effect: do the deed, then answer the fault.
    hang: no answer at all; the connection is closed once the plan is cleared. redirect: the Location of a
    302 (or of `status`). body: text goes out as text/html, anything else as JSON. trickle: the answer leaves
    byte by byte, one each 0.2 s, or each that many seconds.
    """

    method: str | None = None
    path_prefix: str = "/"
    status: int | None = None
    count: int | None = 1
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0
    after_effect: bool = False
    hang: bool = False
    redirect: str | None = None
    body: Any = None
    trickle: bool | float = False

    @property
    def interval_s(self) -> float:
        return TRICKLE_INTERVAL_S if self.trickle is True else float(self.trickle)

    @property
    def keeps_the_true_answer(self) -> bool:
        return not self.hang and self.status is None and self.redirect is None and self.body is None

    @property
    def label(self) -> str:
        """For the journal."""
        if self.hang:
            return "hang"
        if self.redirect is not None:
            return "redirect"
        if self.status is not None:
            return f"status {self.status}"
        if self.body is not None:
            return "body"
        return "trickle" if self.trickle else "delay"

    def hits(self, request: Request) -> bool:
        if self.method not in (None, "*", request.method):
            return False
        return request.path.startswith(self.path_prefix) or unquote(request.path).startswith(self.path_prefix)


def parse_faults(document: Any) -> list[Fault]:
    """Read `{"faults": [{...}]}`. Raises FaultError, naming the field."""
    listed = document.get("faults") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise FaultError("expected an object with the list 'faults'")
    known = {each.name for each in fields(Fault)}
    for each in listed:
        if not isinstance(each, dict):
            raise FaultError("a fault is an object")
        unknown = sorted(set(each) - known)
        if unknown:
            raise FaultError(f"unknown in a fault: {', '.join(unknown)}")
    return [Fault(**{**each, "headers": each.get("headers") or {}}) for each in listed]


class FaultPlan:
    """Faults in the order given; the first that fits a request is used up by it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[tuple[Fault, int | None]] = []
        self._released = threading.Event()

    def add(self, faults: list[Fault]) -> None:
        with self._lock:
            self._planned.extend((fault, fault.count) for fault in faults if fault.count != 0)

    def clear(self) -> None:
        """Forget every fault and let go of every request that is being held."""
        with self._lock:
            self._planned.clear()
            self._released.set()
            self._released = threading.Event()

    def next_for(self, request: Request) -> Fault | None:
        """The fault that would hit this request, not yet used up."""
        with self._lock:
            return next((fault for fault, _ in self._planned if fault.hits(request)), None)

    def use(self, request: Request) -> tuple[Fault | None, threading.Event]:
        """Take the fault for this request, and the event that ends its waiting."""
        with self._lock:
            for position, (fault, left) in enumerate(self._planned):
                if fault.hits(request):
                    if left == 1:
                        del self._planned[position]
                    elif left is not None:
                        self._planned[position] = (fault, left - 1)
                    return fault, self._released
            return None, self._released
