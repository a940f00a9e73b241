"""Every yes of the door: exactly 200, which secret it was, and what is parked or ignored without an error."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ledger.tables import inbox
from tests.webhooks.capture import inbox_rows, messages, post
from tests.world import (
    FORM_SECRET,
    SIGNED_SECRET,
    STRIPE_SECRET,
    World,
    checkout_event,
    settings_for,
    signed_headers,
    stripe_header,
)
from webhooks.answers import HEADERS, STATUS_OF
from webhooks.signatures import fingerprint

CF7 = "newsletter-contact-form-7"
NEW_SECRET = "whsec_bmV3IHNlY3JldCBvZiAyNCBieXRlcyEh"
SIGN_UP = {"email": "kari@example.no", "newsletter": "yes"}


def key_ids(world: World) -> list[str]:
    with world.database.read() as connection:
        return list(connection.execute(select(inbox.c.key_id).order_by(inbox.c.id)).scalars())


def test_whatever_becomes_of_a_delivery_its_sender_reads_exactly_200() -> None:
    """Elementor shows its visitor an error for 202 and 204; Stripe would send again for days."""
    assert set(STATUS_OF.values()) == {200}


def test_the_answer_of_a_success_is_one_word_and_the_security_headers(world: World) -> None:
    answer = world.post_signed("newsletter", SIGN_UP)
    assert (answer.status_code, answer.get_json()) == (200, {"status": "accepted"})
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "Set-Cookie" not in answer.headers


def test_two_live_secrets_are_each_accepted_and_the_inbox_knows_which(tmp_path: Path) -> None:
    """How a secret is renewed without losing a delivery: the new one first, then the old one goes."""
    world = World(
        replace(
            settings_for(tmp_path),
            form_secrets={"newsletter": (NEW_SECRET, SIGNED_SECRET), CF7: ("new" * 12, "old" * 12)},
            stripe_webhook_secrets=(NEW_SECRET, STRIPE_SECRET),
        )
    )
    now_s = int(time.time())
    for position, secret in enumerate((NEW_SECRET, SIGNED_SECRET)):
        raw = json.dumps(SIGN_UP | {"email": f"kari{position}@example.no"})
        headers = signed_headers(raw, f"msg_{position}", now_s, secret)
        answer = world.client.post(
            "/webhooks/forms/newsletter", data=raw, content_type="application/json", headers=headers
        )
        assert answer.get_json() == {"status": "accepted"}
    for position, secret in enumerate((NEW_SECRET, STRIPE_SECRET)):
        raw = json.dumps(checkout_event(f"evt_{position}"))
        headers = {"Stripe-Signature": stripe_header(raw, now_s, secret)}
        answer = world.client.post("/webhooks/stripe", data=raw, content_type="application/json", headers=headers)
        assert answer.get_json() == {"status": "accepted"}
    for position, secret in enumerate(("new" * 12, "old" * 12)):
        body = json.dumps({"your-email": f"ola{position}@example.no", "gdpr-consent": "1"}).encode()
        assert post(world, CF7, body, **{"X-Gdpr-Token": secret}).get_json() == {"status": "accepted"}
    used = [NEW_SECRET, SIGNED_SECRET, NEW_SECRET, STRIPE_SECRET, "new" * 12, "old" * 12]
    assert key_ids(world) == [fingerprint(secret) for secret in used]
    world.close()


def test_without_a_configured_secret_a_form_and_stripe_are_shut(tmp_path: Path) -> None:
    world = World(replace(settings_for(tmp_path), form_secrets={}, stripe_webhook_secrets=()))
    for answer in (
        world.post_signed("newsletter", SIGN_UP),
        world.post_stripe(checkout_event()),
        post(world, CF7, b"{}"),
    ):
        assert (answer.status_code, answer.get_json()["error"]["reason"]) == (401, "no_secret_configured")
    assert inbox_rows(world) == 0
    world.close()


def test_a_secret_in_the_path_is_as_good_as_in_the_header(world: World) -> None:
    """The only way for plugins that can send neither a signature nor a header."""
    body = json.dumps({"your-email": "kari@example.no", "gdpr-consent": "1"})
    answer = world.client.post(f"/webhooks/forms/{CF7}/{FORM_SECRET}", data=body, content_type="application/json")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "accepted"})
    assert key_ids(world) == [fingerprint(FORM_SECRET)]


def test_a_signed_form_is_not_opened_by_its_secret_in_the_path(world: World) -> None:
    answer = world.client.post(f"/webhooks/forms/newsletter/{SIGNED_SECRET}", json=SIGN_UP)
    assert answer.status_code == 401
    assert inbox_rows(world) == 0


def test_the_same_message_again_is_the_same_delivery(world: World) -> None:
    assert world.post_signed("newsletter", SIGN_UP, "msg_1").get_json() == {"status": "accepted"}
    again = world.post_signed("newsletter", SIGN_UP, "msg_1", int(time.time()) - 60)
    assert (again.status_code, again.get_json()) == (200, {"status": "duplicate"})
    other = world.post_signed("newsletter", SIGN_UP | {"offers": "yes"}, "msg_1")
    assert (other.status_code, other.get_json()) == (200, {"status": "conflict"})


UNDERSTOOD_NOT: dict[str, tuple[Any, str]] = {
    "not an object": (["kari@example.no"], "not_an_object"),
    "a number": (1, "not_an_object"),
    "no address": ({"newsletter": "yes"}, "email_missing"),
    "an empty address": ({"email": "", "newsletter": "yes"}, "email_missing"),
    "half an address": ({"email": "kari@", "newsletter": "yes"}, "address_malformed"),
    "two addresses": ({"email": "kari@example.no,ola@example.no"}, "address_malformed"),
    "an address in an object": ({"email": {"value": "kari@example.no"}}, "email_missing"),
}


@pytest.mark.parametrize("case", UNDERSTOOD_NOT)
def test_what_is_authenticated_but_not_understood_is_parked(world: World, case: str) -> None:
    body, reason = UNDERSTOOD_NOT[case]
    answer = world.post_signed("newsletter", body)
    assert (answer.status_code, answer.get_json()) == (200, {"status": "parked"})
    assert world.statuses() == [("parked", reason)]
    assert world.record() == 0


@pytest.mark.parametrize("kind", ["customer.updated", "charge.refunded", "a.type.that.stripe.has.not.invented.yet"])
def test_an_unknown_stripe_event_is_200_and_leaves_no_entry(world: World, kind: str) -> None:
    event = {"id": "evt_1", "object": "event", "type": kind, "created": 1, "livemode": False, "data": {"object": {}}}
    answer = world.post_stripe(event)
    assert (answer.status_code, answer.get_json()) == (200, {"status": "accepted"})
    world.record()
    assert world.leaves() == []


def test_a_stripe_event_without_an_id_is_parked(world: World) -> None:
    event = checkout_event()
    del event["id"]
    assert world.post_stripe(event).get_json() == {"status": "parked"}
    assert world.statuses() == [("parked", "event_id_missing")]


def test_the_same_stripe_event_again_is_one_purchase(world: World) -> None:
    event = checkout_event()
    assert world.post_stripe(event).get_json() == {"status": "accepted"}
    assert world.post_stripe(event | {"pending_webhooks": 0}).get_json() == {"status": "duplicate"}
    world.record()
    assert [kind for kind, _ in world.kinds()].count("purchase.recorded") == 1


def test_a_withdrawal_form_needs_nothing_ticked_covers_every_purpose_and_counts_at_once(world: World) -> None:
    world.give("kari@example.no")
    assert world.check("kari@example.no")["allowed"] is True
    assert world.post_signed("withdrawal", {"email": "kari@example.no"}).get_json() == {"status": "accepted"}
    (message,) = messages(world)
    assert (message.type.value, message.purposes) == ("withdrawal", tuple(world.policy.purposes))
    for purpose in world.policy.purposes:
        assert world.check("kari@example.no", purpose)["reason"] == "withdrawal_pending"
