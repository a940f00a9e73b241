"""The drift sweep: repaired only towards withdrawal, told once, bounded, and taken up again where it stopped."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from ledger import drift, quarantine
from ledger.carrying import GIVE
from ledger.restriction import lift, restrict
from ledger.tables import drift_check, processor_state, relay, vault
from tests.ledger.desk import DAY_MS, HOUR_MS, KARI, MINUTE_MS, NOW_MS, Desk, sign_up, unconfirmed, withdrawal
from tests.world import World, settings_for
from workers import drift as sweeper
from workers.clock import due_queues
from workers.context import Context
from workers.queue import RELAY
from workers.relays import OBSERVERS
from workers.relays.action import Presence, RelayAction, RelayError

OLA = "ola@example.no"
NIGHT_MS = NOW_MS - NOW_MS % DAY_MS + DAY_MS + 2 * HOUR_MS  # the first sweep after NOW_MS


@dataclass
class Processor:
    """What a processor says when it is asked, and who asked about whom."""

    says: dict[tuple[str, str], Presence] = field(default_factory=dict)  # by address and purpose
    asked: list[tuple[str, ...]] = field(default_factory=list)
    fails: list[Exception] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None

    def observe(self, action: RelayAction, _connection: object) -> Mapping[str, Presence]:
        self.asked.append(action.emails)
        if self.fails:
            raise self.fails.pop(0)
        self.meanwhile()
        found = {}
        for purpose in action.purposes:
            told = [self.says.get((email, purpose), Presence.UNKNOWN) for email in action.emails]
            found[purpose] = Presence.GIVEN if Presence.GIVEN in told else told[0]
        return found


class Connected:
    """Every processor of these is connected."""

    def __init__(self, *processors: str) -> None:
        self._processors = processors

    def to(self, processor: str) -> object | None:
        return self if processor in self._processors else None


@dataclass
class Night:
    """A desk, a clock and processors that can be asked."""

    desk: Desk
    processors: dict[str, Processor]
    at_ms: int = NIGHT_MS

    def context(self) -> Context:
        context = self.desk.world.context("relay")
        return replace(context, connections=Connected(*self.processors))  # type: ignore[arg-type]

    def sweep(self, budget_s: float = 60.0, **changes: Any) -> int:
        return sweeper.sweep(self.context(), budget_s=budget_s, pace_s=0, **changes)

    def next_night(self) -> int:
        self.at_ms += DAY_MS
        return self.sweep()

    def standing(self) -> drift.Standing:
        with self.desk.database.read() as connection:
            return drift.standing(connection)

    def counts(self) -> dict[str, int]:
        current = self.standing().current
        assert current is not None
        return dict(current.counts)

    def found(self) -> list[tuple[str, str, str]]:
        leaves = [leaf for leaf in self.desk.world.leaves() if leaf["kind"] == "drift.found"]
        return [(leaf["processor"], leaf["purpose"], leaf["reason"]) for leaf in leaves]

    def nothing_waits(self) -> None:
        """Whatever was to be carried has been."""
        with self.desk.database.write() as connection:
            connection.execute(update(relay).values(status="confirmed", outcome="done"))

    def waiting(self) -> list[tuple[str, str, str]]:
        return [(one.processor, one.action, one.purposes) for one in self.desk.relays(status="pending")]


@pytest.fixture
def night(tmp_path: Path, database_url: str | None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Night]:
    world = World(settings_for(tmp_path, database_url))
    actions = ("give", "withdraw", "rectify", "restrict", "erase")
    processors = {key: replace(one, actions=actions) for key, one in world.policy.processors.items()}
    world.policy = replace(world.policy, processors=MappingProxyType(processors))
    unconfirmed(world)
    made = Night(Desk(world), {"google": Processor()})
    monkeypatch.setattr(sweeper, "now_ms", lambda: made.at_ms)
    for name in ("wordpress", "stripe", "google"):
        asked = made.processors.setdefault(name, Processor())
        monkeypatch.setitem(OBSERVERS, name, asked.observe)
    made.processors = {"google": made.processors["google"]}
    yield made
    world.close()


def withdrawn(night: Night, email: str = KARI) -> None:
    """Given, withdrawn, and carried everywhere."""
    night.desk.say(sign_up(email, "newsletter", "offers"), NOW_MS)
    night.desk.say(withdrawal(email, "newsletter"), NOW_MS + MINUTE_MS)
    night.nothing_waits()


def test_a_withdrawal_that_was_undone_is_carried_again_there_and_nowhere_else(night: Night) -> None:
    withdrawn(night)
    night.processors["google"].says = {(KARI, "newsletter"): Presence.GIVEN, (KARI, "offers"): Presence.GIVEN}
    assert night.sweep() == 1
    assert night.found() == [("google", "newsletter", "given_at_processor")]
    assert night.waiting() == [("google", "withdraw", "newsletter")]
    assert [one.urgent for one in night.desk.relays(status="pending")] == [1]
    assert night.counts() == {"repaired": 1}
    assert night.desk.problems() == []


def test_where_both_say_the_same_nothing_is_written(night: Night) -> None:
    withdrawn(night)
    night.processors["google"].says = {(KARI, "newsletter"): Presence.WITHDRAWN, (KARI, "offers"): Presence.GIVEN}
    entries = len(night.desk.kinds())
    assert night.sweep() == 1
    assert (len(night.desk.kinds()), night.waiting(), night.counts()) == (entries, [], {"same": 1})


def carried(night: Night, *purposes: str) -> None:
    """A consent that was carried to every processor and read back there."""
    night.desk.say(sign_up(KARI, *purposes), NOW_MS)
    night.nothing_waits()


def test_what_was_there_and_was_withdrawn_there_is_withdrawn_here_and_everywhere(night: Night) -> None:
    carried(night, "newsletter", "offers")
    night.processors["google"].says = {(KARI, "newsletter"): Presence.WITHDRAWN, (KARI, "offers"): Presence.GIVEN}
    assert night.sweep() == 1
    assert night.found() == [("google", "newsletter", "withdrawn_at_processor")]
    assert (night.desk.check(KARI), night.desk.check(KARI, "offers")) == ("withdrawn", "given")
    carried_to = {processor for processor, action, _ in night.waiting() if action == "withdraw"}
    assert carried_to == set(night.desk.world.policy.processors)
    assert ("mail", "receipt", "newsletter") in night.waiting()  # the person is told
    assert night.counts() == {"withdrawn": 1}
    assert night.desk.problems() == []


def test_a_processor_that_never_had_it_proves_nothing_and_is_told_of_once(night: Night) -> None:
    carried(night, "newsletter")
    with night.desk.database.write() as connection:
        connection.execute(delete(relay).where(relay.c.action == GIVE))
    night.processors["google"].says = {(KARI, "newsletter"): Presence.WITHDRAWN}
    assert night.sweep() == night.next_night() == 1
    assert night.found() == [("google", "newsletter", "withdrawn_at_processor")]
    assert (night.desk.check(KARI), night.waiting(), night.counts()) == ("given", [], {"reported": 1})


def test_a_processor_that_says_nothing_more_of_somebody_withdraws_nothing(night: Night) -> None:
    carried(night, "newsletter")
    assert night.sweep() == night.next_night() == 1
    assert night.found() == [("google", "newsletter", "absent_at_processor")]
    assert (night.desk.check(KARI), night.waiting()) == ("given", [])


def test_a_list_that_somebody_else_brought_there_is_told_and_not_touched(night: Night) -> None:
    carried(night, "offers")
    night.processors["google"].says = {(KARI, "newsletter"): Presence.GIVEN, (KARI, "offers"): Presence.GIVEN}
    night.sweep()
    assert night.found() == [("google", "newsletter", "no_consent_known")]
    assert night.waiting() == []


def test_nobody_is_ever_subscribed_again(night: Night) -> None:
    """Whatever a processor says, no sweep makes a relay that gives."""
    withdrawn(night)
    carried(night, "information", "profiling")
    for newsletter in Presence:
        for information in Presence:
            night.processors["google"].says = {(KARI, "newsletter"): newsletter, (KARI, "information"): information}
            night.next_night()
            assert GIVE not in {action for _, action, _ in night.waiting()}
            night.nothing_waits()


def test_somebody_restricted_is_stopped_again_and_opened_with_one_entry(night: Night) -> None:
    carried(night, "newsletter")
    with night.desk.database.write() as connection:
        restrict(connection, night.desk.handle(), "objection", NOW_MS, "operator")
    night.processors["google"].says = {(KARI, "newsletter"): Presence.GIVEN}
    night.sweep()
    assert night.waiting() == [("google", "restrict", "newsletter")]
    assert [leaf["reason"] for leaf in night.desk.world.leaves() if leaf["kind"] == "payload.opened"] == ["drift_check"]
    night.nothing_waits()
    with night.desk.database.write() as connection:
        lift(connection, night.desk.handle(), "lifted", NOW_MS, "operator")
    night.next_night()
    assert night.waiting() == []


def test_what_is_on_its_way_there_is_left_to_arrive(night: Night) -> None:
    night.desk.say(sign_up(KARI), NOW_MS)
    night.desk.say(withdrawal(KARI), NOW_MS + MINUTE_MS)
    night.processors["google"].says = {(KARI, "newsletter"): Presence.GIVEN}
    night.sweep()
    assert (night.found(), night.counts()) == ([], {"busy": 1})


def test_a_consent_given_while_the_processor_was_asked_is_not_taken_back(night: Night) -> None:
    withdrawn(night)
    google = night.processors["google"]
    google.says = {(KARI, "newsletter"): Presence.GIVEN}

    def give() -> None:
        night.desk.say(sign_up(KARI), NOW_MS + 2 * MINUTE_MS)
        night.nothing_waits()

    google.meanwhile = give
    night.sweep()
    assert (night.found(), night.waiting()) == ([], [])


def test_another_spelling_is_asked_for_too_unless_its_owner_said_yes(night: Night) -> None:
    night.desk.say(sign_up("kari+list@example.no"), NOW_MS)
    night.desk.say(withdrawal(KARI), NOW_MS + MINUTE_MS)
    night.nothing_waits()
    night.sweep()
    assert night.processors["google"].asked == [("kari+list@example.no", KARI)]
    night.desk.say(sign_up(KARI), NOW_MS + 2 * MINUTE_MS)
    night.nothing_waits()
    night.processors["google"].asked.clear()
    night.next_night()
    assert sorted(night.processors["google"].asked) == [("kari+list@example.no",), (KARI,)]


def test_everybody_is_compared_within_thirty_nights_and_who_changed_every_night_for_a_week(night: Night) -> None:
    for number in range(60):
        night.desk.say(sign_up(f"person{number}@example.no"), NOW_MS - 40 * DAY_MS)
    night.desk.say(sign_up(OLA), NOW_MS)
    night.nothing_waits()
    google, nights = night.processors["google"], []
    assert night.sweep() == 4  # a thirtieth of 61, rounded up, and whoever changed
    for _ in range(29):
        google.asked.clear()
        night.next_night()
        nights.append((OLA,) in google.asked)
    assert nights[:6] == [True] * 6
    with night.desk.database.read() as connection:
        assert len(connection.execute(select(drift_check)).all()) == 61


def test_a_sweep_goes_on_where_it_was_killed_and_nobody_else_has_it_meanwhile(night: Night) -> None:
    for number in range(5):
        night.desk.say(sign_up(f"person{number}@example.no"), NOW_MS)
    night.nothing_waits()
    google = night.processors["google"]
    google.meanwhile = lambda: killed(google, after=3)
    with pytest.raises(KeyboardInterrupt):
        night.sweep()
    google.meanwhile = lambda: None
    with night.desk.database.write() as connection:  # a process that was killed has released nothing
        found = drift.standing(connection)
        assert found.current is not None
        drift.release(connection, found.current, night.at_ms, night.at_ms + drift.LEASE_MS)
    assert night.sweep() == 0
    night.at_ms += drift.LEASE_MS
    assert night.sweep() == 3
    assert len(set(google.asked)) == 5
    assert night.standing().finished is not None
    assert night.sweep() == 0


def killed(processor: Processor, after: int) -> None:
    if len(processor.asked) == after:
        raise KeyboardInterrupt


def test_a_slice_ends_with_its_budget_and_the_next_one_goes_on(night: Night) -> None:
    for number in range(3):
        night.desk.say(sign_up(f"person{number}@example.no"), NOW_MS)
    night.nothing_waits()
    assert [night.sweep(budget_s=0) for _ in range(5)] == [1, 1, 1, 0, 0]
    finished = night.standing().finished
    assert finished is not None
    assert (finished.people, dict(finished.counts)) == (3, {"reported": 3})


def test_a_processor_that_fails_rests_and_the_others_are_asked(night: Night, caplog: pytest.LogCaptureFixture) -> None:
    wordpress = Processor(fails=[RelayError("unauthorized", halt=True)])
    night.processors["wordpress"] = wordpress
    OBSERVERS["wordpress"] = wordpress.observe  # type: ignore[index]
    for email in (KARI, OLA):
        night.desk.say(sign_up(email), NOW_MS)
    night.nothing_waits()
    assert night.sweep() == 2
    assert (len(night.processors["google"].asked), len(wordpress.asked)) == (2, 1)
    assert night.sweep() == 0  # it rests
    night.at_ms += sweeper.REST_MS
    assert night.sweep() == 2
    assert (len(night.processors["google"].asked), len(wordpress.asked)) == (2, 3)
    assert night.standing().finished is not None
    assert KARI not in caplog.text


def test_one_person_at_whom_an_observer_fails_does_not_hold_up_the_sweep(night: Night) -> None:
    for email in (KARI, OLA):
        night.desk.say(sign_up(email), NOW_MS)
    night.nothing_waits()
    night.processors["google"].fails = [KeyError(KARI)]
    night.sweep()
    night.at_ms += sweeper.REST_MS
    night.sweep()
    assert len(set(night.processors["google"].asked)) == 2
    assert night.counts() == {"failed": 1, "reported": 1}
    finished = night.standing().finished
    assert finished is not None
    assert finished.people == 2


def test_a_box_that_does_not_open_does_not_hold_up_the_sweep(night: Night) -> None:
    for email in (KARI, OLA):
        night.desk.say(sign_up(email), NOW_MS)
    night.nothing_waits()
    with night.desk.database.write() as connection:
        mine = vault.c.subject == night.desk.handle()
        connection.execute(update(vault).where(mine).values(box=b"\x00" * 64))
    assert night.sweep() == 2
    assert night.processors["google"].asked == [(OLA,)]
    assert night.counts() == {"failed": 1, "reported": 1}
    assert night.standing().finished is not None


def test_a_paused_processor_is_not_asked(night: Night) -> None:
    withdrawn(night)
    with night.desk.database.write() as connection:
        connection.execute(insert(processor_state).values(processor="google", paused_at_ms=NOW_MS))
    assert night.sweep() == 0
    assert night.processors["google"].asked == []
    with night.desk.database.write() as connection:
        connection.execute(update(processor_state).values(paused_at_ms=None, closed_until_ms=night.at_ms + HOUR_MS))
    night.at_ms += sweeper.REST_MS
    assert night.sweep() == 0
    night.at_ms += HOUR_MS
    assert night.sweep() == 1


def test_in_quarantine_nobody_is_asked(night: Night) -> None:
    withdrawn(night)
    with night.desk.database.write() as connection:
        quarantine.enter(connection, "ledger_rolled_back", NOW_MS)
    assert night.sweep() == 0


def test_the_clock_rings_for_a_sweep_once_a_night(night: Night) -> None:
    database = night.desk.database
    assert due_queues(database, night.at_ms) == []
    withdrawn(night)
    day_ms = night.at_ms + 12 * HOUR_MS
    assert due_queues(database, NOW_MS - 10 * DAY_MS) == []  # before anybody came
    assert due_queues(database, night.at_ms) == [RELAY]
    night.sweep()
    assert (due_queues(database, night.at_ms), due_queues(database, day_ms)) == ([], [])
    assert due_queues(database, night.at_ms + DAY_MS) == [RELAY]


def test_a_sweep_that_is_not_due_can_be_begun_by_hand(night: Night) -> None:
    withdrawn(night)
    assert (night.sweep(), night.sweep()) == (1, 0)
    night.at_ms += MINUTE_MS
    assert night.sweep(begins=True) == 1
