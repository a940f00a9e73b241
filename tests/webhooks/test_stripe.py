"""Stripe at the door: both of its URLs, thin events as hints that can be kept, and versions that we have not read."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import structlog
from sqlalchemy import select
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

import webhooks.stripe
from ledger.heartbeat import last_beat_ms
from ledger.intake import write_position
from ledger.tables import inbox
from ledger.versions import PREFIX
from schemas.message import MessageType, format_message
from schemas.refusal import Refused
from tests.simulators.fill_stripe_events import CANARY, CANARY_NUMBER
from tests.webhooks.capture import messages
from tests.world import World, checkout_event, stripe_header
from webhooks.stripe import REMEMBERED_MS, IntakeWatch
from workers.context import now_ms
from workers.doorbell import INTAKE, RECORD

DAY_MS = 24 * 3600 * 1000
SNAPSHOT, THIN = "/webhooks/stripe", "/webhooks/stripe/thin"


def post(world: World, event: object, path: str = THIN, at_s: int | None = None) -> TestResponse:
    raw = json.dumps(event)
    headers = {"Stripe-Signature": stripe_header(raw, at_s or int(time.time()))}
    return world.client.post(path, data=raw, content_type="application/json", headers=headers)


def hint(event_id: str = "evt_thin", kind: str = "v1.checkout.session.completed") -> dict[str, Any]:
    return {
        "id": event_id,
        "object": "v2.core.event",
        "type": kind,
        "created": "2026-11-23T04:26:40.500Z",
        "livemode": False,
        "context": f"acct_{CANARY}",
        "related_object": {"id": f"cs_{CANARY}", "type": "checkout.session", "url": f"/v1/checkout/sessions/{CANARY}"},
        "snapshot_event": "evt_1",
    }


def read_stripe(world: World, ago_ms: int = 60_000) -> None:
    """As if the intake had asked Stripe that long ago."""
    with world.database.write() as connection:
        write_position(connection, "stripe", "evt_0", now_ms() - ago_ms)


@pytest.fixture
def pressed(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which doorbells were rung."""
    rung: list[str] = []
    bell = world.client.application.extensions["door"].doorbell
    monkeypatch.setattr(type(bell), "press", lambda _bell, queue: rung.append(queue))
    return rung


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    with capture_logs() as captured:
        monkeypatch.setattr(webhooks.stripe, "log", structlog.get_logger())
        yield captured


@pytest.mark.parametrize("ago_ms", [None, DAY_MS + 60_000])
def test_a_hint_is_not_taken_while_nobody_reads_stripe(any_world: World, ago_ms: int | None) -> None:
    if ago_ms is not None:
        read_stripe(any_world, ago_ms)
    refused = post(any_world, hint())
    assert (refused.status_code, refused.get_json()["error"]["reason"]) == (503, "stripe_not_read")
    assert refused.headers["Retry-After"] == "30"
    assert any_world.statuses() == []


def test_that_stripe_is_read_is_asked_once_a_minute_and_that_it_is_not_every_time(world: World) -> None:
    now = [now_ms()]
    watch = IntakeWatch(replace(world.client.application.extensions["door"], clock=lambda: now[0]))
    for _ in range(2):
        with pytest.raises(Refused, match="stripe_not_read"):
            watch.require()
    read_stripe(world)
    watch.require()
    read_stripe(world, 2 * DAY_MS)  # which never happens: it shows whether the database is asked
    now[0] += REMEMBERED_MS - 1
    watch.require()
    now[0] += 1
    with pytest.raises(Refused, match="stripe_not_read"):
        watch.require()


def test_a_hint_is_kept_once_and_rings_whoever_can_fetch_the_event(world: World, pressed: list[str]) -> None:
    read_stripe(world)
    assert post(world, hint()).get_json() == {"status": "accepted"}
    assert pressed == [RECORD, INTAKE]
    assert post(world, hint()).get_json() == {"status": "duplicate"}
    (message,) = messages(world)
    assert (message.type, message.email, message.reported) == (MessageType.IGNORED, None, None)
    world.record()
    assert world.leaves() == []


def test_hint_and_event_have_ids_of_their_own_and_are_one_purchase(world: World) -> None:
    read_stripe(world)
    assert post(world, hint()).status_code == 200
    assert post(world, checkout_event("evt_1"), SNAPSHOT).get_json() == {"status": "accepted"}
    assert post(world, checkout_event("evt_1"), SNAPSHOT).get_json() == {"status": "duplicate"}
    world.record()
    assert [kind for kind, _ in world.kinds()].count("purchase.recorded") == 1


@pytest.mark.parametrize("path", [SNAPSHOT, THIN])
def test_either_url_knows_by_the_event_what_it_is(world: World, path: str, pressed: list[str]) -> None:
    assert post(world, checkout_event(), path).get_json() == {"status": "accepted"}
    assert post(world, hint(), path).status_code == 503
    assert post(world, hint("evt_2", "v1.customer.created"), path).get_json() == {"status": "accepted"}
    assert INTAKE not in pressed  # nothing would come of that one


def test_that_stripe_lost_an_event_is_in_the_ledger_whether_or_not_anybody_reads(world: World) -> None:
    assert post(world, hint(kind="v2.core.health.event_generation_failure.resolved")).status_code == 200
    world.record()
    (leaf,) = world.leaves()
    assert (leaf["kind"], leaf["processor"]) == ("processor.reported", "stripe")
    assert leaf["reason"] == "event_generation_failed"


@pytest.mark.parametrize("event", [[], None, 1, "text", {}, {"type": "v1.customer.deleted"}])
def test_what_is_signed_and_no_event_is_parked(world: World, event: object) -> None:
    read_stripe(world)
    assert post(world, event).get_json() == {"status": "parked"}


def test_a_thin_event_proves_itself_like_any_other(world: World) -> None:
    read_stripe(world)
    assert post(world, hint(), at_s=int(time.time()) - 301).status_code == 401
    assert world.client.post(THIN, json=hint()).status_code == 401
    assert world.statuses() == []


def test_of_a_whole_checkout_the_inbox_keeps_what_was_understood(world: World) -> None:
    """Signed, posted, sealed and opened again: what Stripe's largest object holds is gone at the door."""
    session = {"client_secret": CANARY, "amount_total": CANARY_NUMBER, "shipping_details": {"name": CANARY}}
    assert world.post_stripe(checkout_event(session=session)).status_code == 200
    with world.database.read() as connection:
        assert CANARY not in str(connection.execute(select(inbox)).all())
    (message,) = messages(world)
    assert CANARY not in format_message(message).decode()
    assert str(CANARY_NUMBER) not in format_message(message).decode()


def test_the_version_of_a_destination_that_we_have_not_read_is_told_once_a_day(world: World, lines: list[Any]) -> None:
    for number in range(3):
        event = checkout_event(f"evt_{number}", api_version="2026-08-26.dahlia")
        assert world.post_stripe(event).get_json() == {"status": "accepted"}
    told = {"event": "stripe_version_differs", "log_level": "warning", "version": "2026-08-26.dahlia"}
    assert lines == [told]
    with world.database.read() as connection:
        assert last_beat_ms(connection, PREFIX + "2026-08-26.dahlia") is not None
    world.record()
    assert [kind for kind, _ in world.kinds()].count("purchase.recorded") == 3


def test_the_version_that_we_have_read_is_not_told(world: World, lines: list[Any]) -> None:
    world.post_stripe(checkout_event(api_version="2027-01-30.endive"))
    world.post_stripe(checkout_event("evt_2", api_version=None))
    assert lines == []
