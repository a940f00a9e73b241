"""Whatever is said, repeated, delayed or spelled otherwise: nobody is sent to after a withdrawal.

Random stories of one person with several spellings, against a model that knows nothing but the order in which
deliveries were answered with 200: a spelling may be sent to only if it said yes after the last withdrawal of any.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ledger.errors import NotFoundError
from ledger.inbox import Acceptance, Delivery
from ledger.links import Link
from ledger.retention import expire
from tests.ledger.desk import DAY_MS, MINUTE_MS, NOW_MS, Desk, confirmation, sign_up, unconfirmed, withdrawal
from tests.world import World, settings_for

ANCIENT_MS = 1
STORY_MS = 100 * DAY_MS  # longer than any story
WAITS_MS = (0, 0, 1, MINUTE_MS, 20 * MINUTE_MS, 2 * DAY_MS, -MINUTE_MS)  # our own clock may step back
DEEDS = ("sign_up", "confirm", "withdraw", "withdraw_by_link", "late_sign_up", "repeat", "record", "record", "expire")
STEPS = some.lists(
    some.tuples(some.sampled_from(DEEDS), some.integers(0, 2), some.sampled_from(WAITS_MS)), min_size=4, max_size=16
)
numbers = itertools.count(1)


@dataclass
class Story:
    """`withdrawn` and `agreed` are the model: the step of the last withdrawal, and of each spelling's last yes."""

    desk: Desk
    name: str
    now_ms: int
    step: int = 0
    withdrawn: int = 0
    agreed: dict[str, float] = field(default_factory=dict)
    sent: list[tuple[Delivery, str | None]] = field(default_factory=list)

    def spelling(self, number: int) -> str:
        return f"{self.name}{('', '+news', '+x')[number]}@example.no"

    def asked(self, email: str) -> list[Link]:
        try:
            return [link for link in self.desk.asked(email) if link.status == "open"]
        except NotFoundError:
            return []

    def send(self, delivery: Delivery, agrees: str | None = None) -> None:
        """`agrees`: the spelling for which this delivery is a yes, if it counts."""
        acceptance = self.desk.accept(delivery, self.now_ms)
        self.sent.append((delivery, agrees))
        if delivery.withdrawal is not None:  # also a duplicate was answered with 200
            self.withdrawn = self.step
        elif agrees is not None and acceptance is Acceptance.ACCEPTED:
            self.agreed[agrees] = self.step

    def sign_up(self, email: str) -> None:
        is_yes = not self.desk.world.policy.purposes["newsletter"].double_opt_in
        self.send(self.desk.delivery(sign_up(email)), email if is_yes else None)

    def late_sign_up(self, email: str) -> None:
        """A yes from before everything else, that some queue kept for years."""
        self.desk.accept(
            self.desk.delivery(sign_up(email, sent_at_ms=ANCIENT_MS), f"{self.name}-{self.step}"), self.now_ms
        )
        if not self.desk.world.policy.purposes["newsletter"].double_opt_in:
            self.agreed.setdefault(email, 0.5)

    def confirm(self, email: str) -> None:
        for link in self.asked(email)[-1:]:
            self.send(self.desk.delivery(confirmation(link), f"confirm:{link.id.hex()}"), email)

    def withdraw(self, email: str) -> None:
        self.send(self.desk.delivery(withdrawal(email)))

    def withdraw_by_link(self, email: str) -> None:
        try:
            handle = self.desk.handle(email)
        except NotFoundError:
            return
        self.send(self.desk.link_delivery(self.desk.withdraw_link(email, self.now_ms), handle))

    def repeat(self, _email: str) -> None:
        for delivery, agrees in self.sent[-1 - self.step % 3 :][:1]:
            self.send(delivery, agrees)

    def record(self, _email: str) -> None:
        self.desk.world.record()

    def expire(self, _email: str) -> None:
        expire(self.desk.database, self.desk.world.policy, self.now_ms)

    def check(self) -> None:
        for number in range(3):
            email = self.spelling(number)
            if self.desk.check(email) == "given":
                assert self.agreed.get(email, 0) > self.withdrawn, f"step {self.step} sends to {email}"

    def say_yes_again(self) -> None:
        """Nothing of what happened may stand in the way of a fresh yes."""
        email = self.spelling(0)
        self.desk.world.record()
        self.now_ms += 30 * DAY_MS
        self.desk.accept(self.desk.delivery(sign_up(email), f"{self.name}-again"), self.now_ms)
        self.desk.world.record()
        self.now_ms += MINUTE_MS
        self.confirm(email)
        self.desk.world.record()
        assert self.desk.check(email) == "given"


@pytest.fixture(scope="module", params=["double opt-in", "unconfirmed"])
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    world = World(settings_for(tmp_path_factory.mktemp("stories")))
    if request.param == "unconfirmed":
        unconfirmed(world)
    yield Desk(world)
    world.close()


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_no_story_sends_after_a_withdrawal_and_none_ends_in_never_again(
    desk: Desk, steps: list[tuple[str, int, int]]
) -> None:
    number = next(numbers)  # the stories share a ledger, one after the other
    story = Story(desk, f"person{number}", NOW_MS + number * STORY_MS)
    for step, (deed, spelling, wait_ms) in enumerate(steps, 1):
        story.step = step
        story.now_ms += wait_ms
        getattr(story, deed)(story.spelling(spelling))
        story.check()
    desk.world.record()
    story.check()
    if desk.world.policy.purposes["newsletter"].double_opt_in:
        story.say_yes_again()
