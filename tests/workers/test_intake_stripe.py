"""Stripe, asked: whatever its deliveries did, each event is here once, and we can say as of when none is missing."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import delete, select
from structlog.testing import capture_logs

import workers.intake
from ledger.heartbeat import beat, last_beat_ms
from ledger.intake import Position, read_position, write_position
from ledger.outbox import new_relay_id
from ledger.tables import inbox
from ledger.versions import foreign_versions
from schemas.settings import Settings
from tests.simulators.process import SimulatorProcess
from tests.world import World, checkout_event, settings_for
from workers.context import Context, now_ms
from workers.intake import stripe as intake
from workers.intake import stripe_events, take_all
from workers.relays.action import RelayAction, RelayError
from workers.relays.stripe import StripeConnection, withdraw

HOUR_S, DAY_S = 3600, 24 * 3600


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("stripe", tmp_path_factory.mktemp("stripe")) as started:
        yield started


class Shop:
    """One installation with Stripe behind it. Events are in order of creation; `happen` adds to them."""

    def __init__(self, world: World, stripe: SimulatorProcess) -> None:
        self.world = world
        self.stripe = stripe
        self.events: list[dict[str, Any]] = []
        stripe.clear()
        stripe.seed({"events": [], "customers": []})
        self.earlier = len(stripe.journal())

    def happen(self, *ids: str, ago_s: int = HOUR_S, **changes: Any) -> list[dict[str, Any]]:
        made = [checkout_event(name, f"{name}@example.no", created=int(time.time()) - ago_s, **changes) for name in ids]
        self.events += made
        self.stripe.seed({"events": self.events})
        return made

    def context(self) -> Context:
        return self.world.context("intake")

    def take(self) -> int:
        return intake.take(self.context())

    def position(self) -> Position:
        with self.world.database.read() as connection:
            found = read_position(connection, "stripe")
        assert found is not None
        return found

    def begin(self, ago_s: int = HOUR_S) -> None:
        """As if the intake had begun before anything of the test happened."""
        self.happen("evt_first", ago_s=30 * HOUR_S)
        assert self.take() == 0
        with self.world.database.write() as connection:
            write_position(connection, "stripe", "evt_first", now_ms() - ago_s * 1000)

    def asked(self) -> list[dict[str, Any]]:
        return [line["query"] for line in self.stripe.journal()[self.earlier :] if line["path"] == "/v1/events"]

    def bought(self) -> int:
        self.world.record()
        return [kind for kind, _ in self.world.kinds()].count("purchase.recorded")


def make_shop(settings: Settings, stripe: SimulatorProcess) -> Iterator[Shop]:
    world = World(replace(settings, stripe_api_key="rk_test_simulated", stripe_api_base=stripe.url))
    yield Shop(world, stripe)
    stripe.clear()
    assert stripe.violations() == []
    world.close()


@pytest.fixture
def shop(tmp_path: Path, stripe: SimulatorProcess) -> Iterator[Shop]:
    yield from make_shop(settings_for(tmp_path), stripe)


@pytest.fixture
def any_shop(tmp_path: Path, database_url: str | None, stripe: SimulatorProcess) -> Iterator[Shop]:
    yield from make_shop(settings_for(tmp_path, database_url), stripe)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What is logged, warnings and errors."""
    with capture_logs() as captured:
        for module in (workers.intake, intake, stripe_events):  # theirs keep to what was configured at first
            monkeypatch.setattr(module, "log", structlog.get_logger())
        yield captured


def test_it_begins_at_the_newest_event_and_takes_nothing_that_was_before(shop: Shop) -> None:
    shop.happen("evt_a", "evt_b")
    assert shop.take() == 0
    assert shop.world.statuses() == []
    assert (shop.position().place, shop.position().found) == ("evt_b", 0)
    assert abs(shop.position().checked_at_ms - now_ms()) < 60_000


def test_a_shop_in_which_nothing_has_ever_happened_begins_by_the_clock(shop: Shop) -> None:
    assert [shop.take(), shop.take()] == [0, 0]
    assert shop.position().place == ""
    shop.happen("evt_a", ago_s=0)
    assert shop.take() == 1
    assert shop.position().place == ""  # too young to stand on
    assert shop.take() == 0


def test_while_the_door_was_down_nothing_is_lost_and_what_was_delivered_counts_once(any_shop: Shop) -> None:
    any_shop.begin()
    first, second, third, fourth = any_shop.happen("evt_a", "evt_b", "evt_c", "evt_d")
    for delivered in (first, third):
        assert any_shop.world.post_stripe(delivered).get_json() == {"status": "accepted"}
    assert any_shop.take() == 2
    assert any_shop.world.post_stripe(second).get_json() == {"status": "duplicate"}  # Stripe's retry, hours later
    assert any_shop.bought() == 4
    assert (any_shop.position().place, any_shop.position().found) == ("evt_d", 2)
    missing_ms = now_ms() - any_shop.position().checked_at_ms
    assert intake.SETTLED_MS <= missing_ms < intake.SETTLED_MS + 60_000
    assert any_shop.take() == 0
    assert any_shop.world.post_stripe(fourth).get_json() == {"status": "duplicate"}


def test_a_long_outage_is_read_page_by_page_from_its_beginning(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe_events, "PAGE_SIZE", 3)
    shop.begin()
    shop.happen(*(f"evt_{number}" for number in range(9)))
    assert shop.take() == 9
    assert shop.position().place == "evt_8"
    cursors = [query["ending_before"] for query in shop.asked() if "ending_before" in query]
    assert cursors == ["evt_first", "evt_2", "evt_5"]
    assert shop.bought() == 9


def test_what_breaks_between_two_pages_is_read_on_from_there(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe_events, "PAGE_SIZE", 2)
    shop.begin()
    shop.happen(*(f"evt_{number}" for number in range(5)))
    was_checked_ms = shop.position().checked_at_ms
    reader = stripe_events.open_reader(shop.context())
    assert reader is not None
    reader.take_in(next(reader.newer_than(shop.position())))  # and the process dies before it moves its position
    shop.stripe.faults([{"method": "GET", "delay_s": 0, "count": 1}, {"method": "GET", "status": 500}])
    with pytest.raises(RelayError):
        shop.take()
    assert (shop.position().place, shop.position().checked_at_ms) == ("evt_1", was_checked_ms)
    assert shop.take() == 3
    assert shop.position().checked_at_ms > was_checked_ms
    assert shop.bought() == 5


def test_young_events_are_taken_at_once_and_looked_at_again(shop: Shop) -> None:
    """An event may come into sight after one that happened later."""
    shop.begin()
    shop.happen("evt_old")
    shop.happen("evt_young", ago_s=1)
    assert shop.take() == 2
    assert shop.position().place == "evt_old"
    late = checkout_event("evt_late", created=int(time.time()) - 2)
    shop.events.insert(2, late)
    shop.stripe.seed({"events": shop.events})
    assert shop.take() == 1


def test_an_event_that_was_accepted_and_lost_is_found_the_night_after(any_shop: Shop) -> None:
    any_shop.begin()
    (event,) = any_shop.happen("evt_a", ago_s=20 * HOUR_S)
    any_shop.world.post_stripe(event)
    any_shop.take()
    with any_shop.world.database.write() as connection:
        connection.execute(delete(inbox))
    assert any_shop.take() == 0  # behind the position
    beat(any_shop.world.database, intake.SWEEP, now_ms() - 25 * HOUR_S * 1000)
    assert any_shop.take() == 1
    assert any_shop.position().found == 1
    with any_shop.world.database.read() as connection:
        assert now_ms() - (last_beat_ms(connection, intake.SWEEP) or 0) < intake.SETTLED_MS + 60_000
    assert any_shop.take() == 0
    assert any_shop.bought() == 1


def test_a_position_that_stripe_has_forgotten_is_read_on_by_the_clock(shop: Shop, lines: list[Any]) -> None:
    shop.begin()
    shop.happen("evt_a", ago_s=40 * DAY_S)
    shop.events = []
    shop.happen("evt_b", "evt_c", ago_s=2 * DAY_S)
    with shop.world.database.write() as connection:
        write_position(connection, "stripe", "evt_first", now_ms() - 3 * DAY_S * 1000)
    assert shop.take() == 2
    assert shop.position().place == "evt_c"
    assert [line["event"] for line in lines] == ["stripe_events_expired"]


def test_what_is_here_is_not_read_again_under_another_policy(shop: Shop) -> None:
    """Read otherwise it would be another body under the same id, which is a conflict."""
    shop.begin()
    (event,) = shop.happen("evt_a")
    shop.world.post_stripe(event)
    none = replace(shop.world.policy, stripe=replace(shop.world.policy.stripe, consent=()))
    assert intake.take(replace(shop.context(), policy=none)) == 0
    assert [status for status, _ in shop.world.statuses()] == ["new"]


def test_an_event_of_another_version_is_taken_and_told_once_a_day(shop: Shop, lines: list[Any]) -> None:
    shop.begin()
    shop.happen("evt_a", "evt_b", api_version="2026-08-26.dahlia")
    assert shop.take() == 2
    assert shop.bought() == 2
    assert [line["version"] for line in lines if line["event"] == "stripe_version_differs"] == ["2026-08-26.dahlia"]
    with shop.world.database.read() as connection:
        assert foreign_versions(connection, now_ms() - 60_000) == ["2026-08-26.dahlia"]


def test_what_the_door_would_refuse_for_ever_is_parked_under_its_id(shop: Shop) -> None:
    shop.begin()
    shop.happen("evt_a", session={"amount_total": 2**64})
    assert shop.take() == 1
    assert shop.world.statuses() == [("parked", "event_type_missing")]
    assert shop.take() == 0


def test_only_the_types_that_mean_something_are_asked_for(shop: Shop) -> None:
    shop.begin()
    shop.happen("evt_a", type="charge.succeeded")
    assert shop.take() == 0
    assert shop.position().place == "evt_first"


def test_without_a_key_nobody_is_asked(world: World) -> None:
    assert intake.take(world.context("intake")) == 0


def test_a_refused_key_is_logged_with_its_reason_and_the_others_are_asked(shop: Shop, lines: list[Any]) -> None:
    shop.begin()
    was_checked_ms = shop.position().checked_at_ms
    shop.stripe.faults([{"status": 403}])
    assert take_all(shop.context()) == 0
    told = {"event": "intake_failed", "log_level": "error", "source": "stripe", "reason": "forbidden", "status": 403}
    assert lines == [told]
    assert shop.position().checked_at_ms == was_checked_ms


@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        [],
        {},
        {"object": "list", "data": None, "has_more": False},
        {"object": "list", "data": [{"id": "cus_1", "created": 1}], "has_more": False},
        {"object": "list", "data": [{"id": "evt_1"}], "has_more": False},
        {"object": "list", "data": ["evt_1"], "has_more": False},
        {"object": "list", "data": [{"id": "evt_1", "created": 1}], "has_more": True},  # and so on, without end
    ],
)
def test_another_answer_is_no_list_of_events(shop: Shop, body: object) -> None:
    shop.begin()
    shop.stripe.faults([{"method": "GET", "body": body, "count": 3}])
    with pytest.raises(RelayError):
        shop.take()
    assert shop.position().place in ("evt_first", "evt_1")


def test_our_own_change_comes_back_as_an_echo_and_leaves_nothing(shop: Shop) -> None:
    """The relay's key, Stripe's event and what recognises it are held against each other here."""
    shop.begin()
    shop.stripe.seed({"customers": [{"id": "cus_kari", "email": "kari@example.no"}]})
    connection = shop.world.context("relay").connections.to("stripe")
    assert isinstance(connection, StripeConnection)
    withdraw(RelayAction(new_relay_id().hex(), ("kari@example.no",), ("newsletter",), now_ms(), 1), connection)
    (echo,) = [event for event in shop.stripe.state()["events"] if event["type"] == "customer.updated"]
    assert set(echo["data"]["previous_attributes"]) == {"metadata"}
    assert shop.world.post_stripe(echo).get_json() == {"status": "accepted"}
    assert b"samtykke_stripe_echoes_total 1.0" in shop.world.client.get("/metrics").data
    assert shop.take() == 0
    shop.world.record()
    assert shop.world.leaves() == []
    by_hand = {**echo, "id": "evt_by_hand", "request": {"id": None, "idempotency_key": None}}
    shop.world.post_stripe(by_hand)
    shop.world.record()
    assert [leaf["reason"] for leaf in shop.world.leaves()] == ["customer_mark_changed"]


def test_the_command_looks_back_as_far_as_it_is_told_and_says_what_it_found(shop: Shop) -> None:
    (old, new) = shop.happen("evt_old", ago_s=10 * DAY_S) + shop.happen("evt_new", ago_s=DAY_S)
    shop.world.post_stripe(new)
    done = shop.world.command("stripe", "backfill", "--since", "5d", "--json")
    assert (done.exit_code, json.loads(done.stdout) | {"since": "", "as_of": ""}) == (
        0,
        {"since": "", "looked_at": 1, "found": 0, "duplicates": 1, "missing": 0, "as_of": ""},
    )
    told = json.loads(shop.world.command("stripe", "backfill", "--json").stdout)
    assert (told["looked_at"], told["found"], told["duplicates"], told["missing"]) == (2, 1, 1, 0)
    with shop.world.database.read() as connection:
        assert connection.execute(select(inbox.c.key_id).order_by(inbox.c.id)).scalars().all()[1] is None
    assert shop.world.post_stripe(old).get_json() == {"status": "duplicate"}


@pytest.mark.parametrize("since", ["31d", "0d", "1w", "d", "-1d", "999h"])
def test_the_command_refuses_what_stripe_does_not_show(shop: Shop, since: str) -> None:
    assert shop.world.command("stripe", "backfill", "--since", since).exit_code == 2


def test_the_command_tells_why_stripe_could_not_be_asked(shop: Shop, world: World) -> None:
    shop.stripe.faults([{"status": 401}])
    refused = shop.world.command("stripe", "backfill")
    assert (refused.exit_code, refused.stderr) == (5, "unauthorized\n")
    assert world.command("stripe", "backfill").exit_code == 4
