"""One installation and one processor under a scheduler: every step of every worker in an order that chance decides.

The outbox, its claims, the question whether a relay is still wanted and the repeats are the real ones, on a real
database. Modelled are time, the workers' steps, their deaths and stalls, and the processor, of which a call may be
lost, answered, or cut off with its effect at once, later (up to ten minutes after it was begun), or both.
"""

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Connection, bindparam, case, delete, func, insert, select

from ledger import late_effects, outbox
from ledger.carrying import GIVE, GRANT_ACCESS, REVOKE_ACCESS, WITHDRAW
from ledger.claiming import claim_due
from ledger.keyring import Keyring
from ledger.outbox import LEASE_MS, NewRelay, Relay
from ledger.relevance import Question, ask
from ledger.state import ConsentState, write_states
from ledger.tables import product_access, relay, subject, subject_address

MINUTE_MS = 60_000
LATE_MAX_MS = 10 * MINUTE_MS
PURPOSE, PRODUCT, PROCESSOR = "newsletter", "course", "google"
ADDS, REMOVES = (GIVE, GRANT_ACCESS), (WITHDRAW, REVOKE_ACCESS)
WORKERS = 3
CHANCES = 40  # steps in which anything may go wrong; afterwards all is well, and the rest is carried
_DUE = case(
    (relay.c.claimed_until_ms > relay.c.next_attempt_at_ms, relay.c.claimed_until_ms), else_=relay.c.next_attempt_at_ms
)
# When the next row's retry or the end of its lease comes; what is due already waits for another.
_NEXT_DUE = select(func.min(_DUE)).where(
    relay.c.subject == bindparam("handle"),
    relay.c.processor == PROCESSOR,
    relay.c.status == outbox.PENDING,
    bindparam("now_ms") < _DUE,
)
_PERSON, _TAG = insert(subject), insert(subject_address)
_GRANT = insert(product_access)
_NO_GRANT = delete(product_access).where(product_access.c.subject == bindparam("handle"))
KEYRING = Keyring("relay", {})  # nothing here is sealed


class Overturned(AssertionError):
    """The processor says something else than the ledger. The text has the seed and what happened."""


@dataclass
class Worker:
    urgent: bool
    claimed: Relay | None = None
    claimed_at_ms: int = 0
    step: str = "idle"


@dataclass
class Processor:
    """What it says of the person, and what is on its way to it: (when it arrives, what it will say then)."""

    says: bool = False
    arriving: list[tuple[int, bool]] = field(default_factory=list)

    def advance(self, now_ms: int) -> None:
        for arrival in sorted(self.arriving):
            if arrival[0] <= now_ms:
                self.says = arrival[1]
                self.arriving.remove(arrival)


class Interleaving:
    """`fenced`: whether a call may begin only within the lease of its claim, as workers.allowance has it."""

    def __init__(self, connection: Connection, seed: int, *, product: bool = False, fenced: bool = True) -> None:
        self.chance = random.Random(seed)
        self.connection = connection
        self.product = product
        self.fenced = fenced
        self.handle = secrets.token_bytes(16)
        self.now_ms = 4_000_000_000_000
        self.events = self.chance.choice(("+-", "+-", "-+-", "+-+", "+-+-"))
        self.said = 0
        self.open: set[bytes] = set()  # rows that have not ended
        self.processor = Processor()
        self.workers = [Worker(urgent=not product and number % 2 == 0) for number in range(WORKERS)]
        self.seed = seed
        self.story: list[str] = []
        person = {"handle": self.handle, "data_key": b"", "language": "nb", "created_at_ms": 0}
        connection.execute(_PERSON, person)
        tag = {"narrow": self.handle, "wide": self.handle, "subject": self.handle}
        connection.execute(_TAG, tag)

    @property
    def wanted(self) -> bool:
        return self.events[self.said - 1] == "+"

    def run(self) -> None:
        """Raises Overturned."""
        self._say()
        for _ in range(CHANCES):
            self._choose()
        while self.said < len(self.events):
            self._say()
        self._carry_the_rest()
        self.processor.advance(self.now_ms + 2 * LATE_MAX_MS)
        self._require(self.processor.says is self.wanted, "in the end")

    def _choose(self) -> None:
        deeds: list[Callable[[], None]] = [
            partial(self._work, worker, False) for worker in self.workers if worker.claimed or self.open
        ] or [self._pass_time]
        if self.said < len(self.events) and self.chance.random() < 0.1:
            deeds = [self._say]
        elif self.chance.random() < 0.25:
            deeds = [self._pass_time]
        self.chance.choice(deeds)()

    def _pass_time(self) -> None:
        self.now_ms += int(
            self.chance.choice((100, 5_000, LEASE_MS, 3 * MINUTE_MS, 20 * MINUTE_MS)) * self.chance.random()
        )
        self.processor.advance(self.now_ms)
        self._require_confirmed_to_hold()

    def _say(self) -> None:
        """The person says it, and the recorder records it."""
        given = self.events[self.said] == "+"
        self.said += 1
        self.now_ms += 1
        if self.product:
            action = GRANT_ACCESS if given else REVOKE_ACCESS
            self.connection.execute(_NO_GRANT, {"handle": self.handle})
            row = {"tag": self.handle, "product": PRODUCT, "grant": b"", "subject": self.handle}
            self.connection.execute(_GRANT, row | {"status": "granted" if given else "revoked"})
        else:
            action = GIVE if given else WITHDRAW
            state = ConsentState("given" if given else "withdrawn", self.now_ms, self.said)
            write_states(self.connection, self.handle, [(PURPOSE, state)])
        new = NewRelay(
            subject=self.handle,
            processor=PROCESSOR,
            action=action,
            purposes=() if self.product else (PURPOSE,),
            cause=secrets.token_hex(16),
            sequence=self.said,
            urgent=action == WITHDRAW,
            id=outbox.new_relay_id(),
            product=PRODUCT if self.product else None,
        )
        outbox.enqueue(self.connection, [new], self.now_ms)
        self.open.add(new.id)
        self._tell(f"said {action}")

    def _work(self, worker: Worker, calm: bool) -> None:
        if not calm and worker.claimed is not None and self.chance.random() < 0.08:
            self._tell(f"a worker dies at {worker.step}")
            worker.claimed, worker.step = None, "idle"
            return
        {"idle": self._claim, "check": self._check, "call": self._call, "finish": self._finish, "fail": self._fail}[
            worker.step
        ](worker, calm)

    def _claim(self, worker: Worker, _calm: bool) -> None:
        for claimed in claim_due(self.connection, PROCESSOR, worker.urgent, self.now_ms, 1):
            self._tell(f"claims {claimed.action} {claimed.attempts}")
            worker.claimed, worker.claimed_at_ms, worker.step = claimed, self.now_ms, "check"

    def _check(self, worker: Worker, _calm: bool) -> None:
        claimed = _claimed(worker)
        wanted = ask(Question(self.connection, KEYRING, claimed, (), self.now_ms))
        if wanted.superseded is None:
            worker.step = "call"
            return
        self._finish_row(claimed, outbox.SUPERSEDED, wanted.superseded)
        self._tell(f"calls off {claimed.action}")
        worker.claimed, worker.step = None, "idle"

    def _call(self, worker: Worker, calm: bool) -> None:
        claimed = _claimed(worker)
        if self.fenced and self.now_ms >= worker.claimed_at_ms + LEASE_MS:
            worker.step = "fail"
            return
        says = claimed.action in ADDS
        fate = "answered" if calm else self.chance.choice(("answered", "answered", "lost", "late", "cut_off", "twice"))
        self._tell(f"{claimed.action} is {fate}")
        if fate in ("answered", "cut_off", "twice"):
            self.processor.says = says
        if fate in ("late", "twice"):
            self.processor.arriving.append((self.now_ms + self.chance.randint(1, LATE_MAX_MS - 1), says))
        worker.step = "finish" if fate == "answered" else "fail"

    def _finish(self, worker: Worker, _calm: bool) -> None:
        """As workers.concluding: read back, and done for good or once more."""
        claimed = _claimed(worker)
        worker.claimed, worker.step = None, "idle"
        if self.processor.says is not (claimed.action in ADDS):
            outbox.retry(self.connection, claimed, "read_back_failed", self.now_ms, 1_000)
            return
        repeat_at_ms = late_effects.repeat_at_ms(self.connection, claimed, self.now_ms)
        if repeat_at_ms is not None:
            outbox.repeat(self.connection, claimed, late_effects.REASON, self.now_ms, repeat_at_ms, "done", None)
        else:
            self._finish_row(claimed, outbox.CONFIRMED, "done")
        self._tell(f"{claimed.action} {'again later' if repeat_at_ms else 'confirmed'}")

    def _fail(self, worker: Worker, _calm: bool) -> None:
        claimed = _claimed(worker)
        outbox.retry(self.connection, claimed, "deadline", self.now_ms, self.chance.randint(1_000, 2 * MINUTE_MS))
        worker.claimed, worker.step = None, "idle"

    def _carry_the_rest(self) -> None:
        """All is well from here on: whatever is due is carried, and time passes until nothing is left."""
        while self.open:
            for worker in self.workers:
                self._work(worker, True)
                while worker.claimed:
                    self._work(worker, True)
            due_ms = self.connection.execute(_NEXT_DUE, {"handle": self.handle, "now_ms": self.now_ms}).scalar()
            self.now_ms = due_ms or self.now_ms + 1
            self.processor.advance(self.now_ms)
            self._require_confirmed_to_hold()

    def _finish_row(self, claimed: Relay, status: str, word: str) -> None:
        if outbox.finish(self.connection, claimed, status, None, word, self.now_ms):
            self.open.discard(claimed.id)

    def _require_confirmed_to_hold(self) -> None:
        """Nothing that was called confirmed is overturned while nothing newer is said."""
        if self.processor.says and not self.wanted and self.said == len(self.events) and not self.open:
            self._require(False, "after it was confirmed")

    def _require(self, holds: bool, when: str) -> None:
        if not holds:
            raise Overturned(f"seed {self.seed}, {when}: {'; '.join(self.story)}")

    def _tell(self, what: str) -> None:
        self.story.append(f"{(self.now_ms - 4_000_000_000_000) / 1000:.0f}s {what}")


def _claimed(worker: Worker) -> Relay:
    assert worker.claimed is not None
    return worker.claimed
