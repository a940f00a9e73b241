"""A simulated Stripe with one person in it, the way there, and every action carried through its waits."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from tests.simulators.process import SimulatorProcess
from workers.outgoing import OutgoingSession
from workers.relays import RELAYS
from workers.relays.action import RelayAction, RelayError, RelayResult, RelayWait
from workers.relays.stripe import RESPONSE_SIZE_MAX_BYTES, StripeConnection

ACTION = RelayAction("", ("Kari@Example.no",), ("newsletter", "offers"), 1_790_000_000_123, 1)
LOOPBACK = frozenset({"127.0.0.1"})
STEPS_MAX = 12


@dataclass
class Scene:
    """`waits`: why and for how long an action has waited, and whether it kept the addresses.

    `earlier`: how many bytes of the journal are of other tests.
    """

    stripe: SimulatorProcess
    connection: StripeConnection
    action: RelayAction
    earlier: int
    waits: list[tuple[str, float, bool]] = field(default_factory=list)
    notes: Mapping[str, Any] = field(default_factory=dict)

    def step(self, name: str, connection: StripeConnection | None = None, **changes: Any) -> RelayResult | None:
        """One attempt, with the notes of the last one; None if it waits. Raises RelayError."""
        action = replace(self.action, notes=self.notes, **changes)
        try:
            return RELAYS["stripe"][name](action, connection or self.connection)
        except RelayWait as wait:
            self.waits.append((wait.reason, wait.wait_s, wait.keeps_addresses))
            self.notes = wait.notes
            if not wait.keeps_addresses:
                self.action = replace(self.action, emails=())
            return None

    def run(self, name: str, **changes: Any) -> RelayResult:
        for _ in range(STEPS_MAX):
            result = self.step(name, **changes)
            if result is not None:
                return result
        raise AssertionError(f"still waiting: {self.waits}")

    def refusal(self, name: str, **changes: Any) -> RelayError:
        """How it fails; nothing about the person is in it."""
        try:
            result = self.run(name, **changes)
        except RelayError as error:
            assert "kari" not in f"{error} {error.reason}".lower()
            return error
        raise AssertionError(f"ended: {result}")

    def customer(self, customer_id: str = "cus_kari") -> dict[str, Any]:
        return dict(self.stripe.state()["customers"][customer_id])

    def lines(self) -> list[dict[str, Any]]:
        with self.stripe.journal_path.open() as journal:
            journal.seek(self.earlier)
            return [json.loads(line) for line in journal]

    def effects(self) -> list[tuple[str, str]]:
        """(what happened, to whom), in order."""
        return [(line["effect"], line["path"]) for line in self.lines() if line["effect"]]


@contextmanager
def staged(
    process: SimulatorProcess, test: str, customers: Sequence[Mapping[str, Any]], **connection: Any
) -> Iterator[Scene]:
    """A Scene whose every request has kept the contract. Its reference is of this test alone."""
    process.seed({"customers": [dict(each) for each in customers], "events": [], "idempotency": {}})
    session = OutgoingSession(
        LOOPBACK, allow_loopback=True, deadline_s=5, response_size_max_bytes=RESPONSE_SIZE_MAX_BYTES
    )
    action = replace(ACTION, reference=hashlib.sha256(test.encode()).hexdigest()[:32])
    way = StripeConnection("rk_test_simulated", process.url, session, **connection)
    scene = Scene(process, way, action, process.journal_path.stat().st_size)
    yield scene
    process.clear()
    assert [line["violation"] for line in scene.lines() if line["violation"]] == []
