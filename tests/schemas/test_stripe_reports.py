"""Every type of event that Stripe may send: what it becomes, and that nothing else of it is kept."""

import json
from typing import Any

import pytest
from stripe._api_version import _ApiVersion

from schemas.message import Decision, Message, MessageType, format_message
from schemas.policy import load_policy
from schemas.refusal import NotUnderstood
from schemas.stripe.echo import is_echo
from schemas.stripe.event import ASKED_TYPES, RELEASE, foreign_version, is_hint, project_event
from tests.simulators.fill_stripe_events import CANARY, CANARY_NUMBER, EVENTS, FOLDER
from tests.world import ROOT, checkout_event

POLICY = load_policy(ROOT / "policy.toml")
CREATED_S = 1_795_400_000
REFERENCE = "401092851cd7e42a3aa49b934f805f08"
TYPES = [kind for kinds in EVENTS.values() for kind in kinds]
PREVIEW = [
    f"privacy.redaction_job.{what}" for what in ("created", "ready", "validation_error", "succeeded", "canceled")
]
# What the description says of each: a report, or nothing at all.
REPORTS = {
    "charge.dispute.created": "dispute_opened",
    "charge.dispute.closed": "dispute_closed",
    "customer.deleted": "customer_deleted",
    "customer.subscription.deleted": "subscription_ended",
    "customer.updated": "customer_email_changed",
    "identity.verification_session.redacted": "identity_redacted",
    "payment_link.updated": "payment_link_consent_changed",
    "privacy.redaction_job.canceled": "redaction_canceled",
    "privacy.redaction_job.ready": "redaction_ready",
    "privacy.redaction_job.succeeded": "redaction_succeeded",
    "privacy.redaction_job.validation_error": "redaction_invalid",
    "radar.early_fraud_warning.created": "fraud_warning",
    "review.closed": "review_closed",
    "review.opened": "review_opened",
}
PURCHASES = ("checkout.session.completed", "checkout.session.async_payment_succeeded", "invoice.paid")


def filled(kind: str) -> dict[str, Any]:
    """An event of that type in which every member is full of canaries, the old values too."""
    about = next((name for name, kinds in EVENTS.items() if kind in kinds), None)
    subject = json.loads((FOLDER / f"{about}.json").read_text()) if about else {"id": CANARY, "status": CANARY}
    return event(kind, subject, dict.fromkeys(("email", "name", "custom_fields", CANARY), CANARY))


def event(kind: str, subject: object, previous: object = None, **more: Any) -> dict[str, Any]:
    return {
        "id": "evt_1",
        "object": "event",
        "type": kind,
        "created": CREATED_S,
        "livemode": False,
        "api_version": "2026-10-28.endive",
        "account": f"acct_{CANARY}",
        "pending_webhooks": CANARY_NUMBER,
        "request": {"id": f"req_{CANARY}", "idempotency_key": CANARY},
        "data": {"object": subject, "previous_attributes": previous},
        **more,
    }


def projected(document: object) -> Message:
    return project_event(document, POLICY, "any")[1]


def reported(document: object) -> str | None:
    message = projected(document)
    assert (message.type is MessageType.REPORTED) is (message.reported is not None)
    return message.reported


def test_the_fixtures_are_full_of_canaries() -> None:
    for name in EVENTS:
        text = (FOLDER / f"{name}.json").read_text()
        assert text.count(CANARY) >= 5, name
    assert str(CANARY_NUMBER) in text + (FOLDER / "charge.json").read_text()


@pytest.mark.parametrize("kind", [*TYPES, *PREVIEW])
def test_of_an_event_full_of_canaries_none_is_kept(kind: str) -> None:
    document = filled(kind)
    for name in ("customer_details", "customer_email", "email"):  # an address is kept only where it is read
        if name in document["data"]["object"]:
            document["data"]["object"][name] = {"email": "kari@example.no"} if "details" in name else "kari@example.no"
    message = projected(document)
    text = format_message(message).decode()
    assert CANARY not in text
    assert str(CANARY_NUMBER) not in text
    assert message.reported in (REPORTS.get(kind), "terms_accepted")
    assert (message.email is not None) is (kind in PURCHASES)


@pytest.mark.parametrize("kind", REPORTS)
def test_a_report_says_what_and_when_and_nothing_of_anybody(kind: str) -> None:
    assert projected(filled(kind)) == Message(
        type=MessageType.REPORTED,
        source="stripe",
        method="stripe",
        sent_at_ms=CREATED_S * 1000,
        reported=REPORTS[kind],
    )


@pytest.mark.parametrize(
    ("previous", "expected"),
    [
        ({"email": "old@example.no"}, "customer_email_changed"),
        ({"email": None, "metadata": {"consent_newsletter": "withdrawn"}}, "customer_email_changed"),
        ({"metadata": {"consent_newsletter": "withdrawn"}}, "customer_mark_changed"),
        ({"metadata": {"consent_reference": None}}, "customer_mark_changed"),
        ({"metadata": {"loyalty": "gold"}}, None),
        ({"metadata": None, "name": "Kari"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_changed_customer_is_reported_for_the_address_and_for_our_marks(previous: object, expected: object) -> None:
    assert reported(event("customer.updated", {"id": "cus_1"}, previous)) == expected


@pytest.mark.parametrize("name", ["consent_collection", "custom_fields", "custom_text", "active", "after_completion"])
def test_a_payment_link_is_reported_if_what_it_asks_was_changed(name: str) -> None:
    expected = None if name.startswith("a") else "payment_link_consent_changed"
    assert reported(event("payment_link.updated", {"id": "plink_1"}, {name: None})) == expected


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("subscription_create", MessageType.IGNORED),
        ("subscription_cycle", MessageType.PURCHASE),
        ("manual", MessageType.PURCHASE),
        (None, MessageType.PURCHASE),
    ],
)
def test_a_paid_invoice_is_a_purchase_unless_its_checkout_has_told(reason: object, kind: MessageType) -> None:
    message = projected(event("invoice.paid", {"billing_reason": reason, "customer_email": "kari@example.no"}))
    assert (message.type, message.decisions) == (kind, ())


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        ({}, (Decision("newsletter", "given", "personvern-1"),)),
        ({"custom_fields": [{"key": "nyhetsbrev", "type": "dropdown", "dropdown": {"value": None}}]}, None),
        ({"custom_fields": [{"key": "nyhetsbrev", "type": "dropdown", "dropdown": {"value": "nei"}}]}, None),
        ({"custom_fields": []}, None),
        ({"custom_fields": [], "consent": {"promotions": "opt_in"}}, None),
        ({"customer_details": None}, None),
        ({"customer_details": {"email": None}}, None),
    ],
)
def test_a_checkout_that_was_left_keeps_a_yes_and_nothing_else(session: dict[str, Any], expected: object) -> None:
    message = projected(checkout_event(type="checkout.session.expired", session={"payment_status": "unpaid"} | session))
    if expected is None:
        assert message == Message(type=MessageType.IGNORED, source="stripe", method="stripe")
    else:
        assert (message.type, message.email) == (MessageType.SIGN_UP, "kari@example.no")
        assert (message.decisions, message.reported) == (expected, None)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (f"relay:{REFERENCE}:withdraw-cus_1:1", True),
        (f"relay:{REFERENCE}:withdraw-cus_1:12", True),
        (f"relay:{REFERENCE}:withdraw-cus_2:1", False),  # the key of another customer's change
        (f"relay:{REFERENCE[:-1]}:withdraw-cus_1:1", False),
        (f"relay:{REFERENCE}:withdraw-cus_1:1\n", False),
        ("relay:", False),
        ("", False),
        (None, False),
        ([], False),
    ],
)
def test_our_own_change_is_known_by_our_key_for_that_customer(key: object, expected: bool) -> None:
    about = {"request": {"id": "req_1", "idempotency_key": key}}
    document = event("customer.updated", {"id": "cus_1"}, {"metadata": {"consent_newsletter": None}}, **about)
    assert is_echo(document) is expected
    assert reported(document) == (None if expected else "customer_mark_changed")


@pytest.mark.parametrize("document", [None, [], {}, {"request": []}, {"request": {"idempotency_key": 1}, "data": []}])
def test_whatever_is_no_event_is_no_echo_no_hint_and_of_no_version(document: object) -> None:
    assert (is_echo(document), is_hint(document), foreign_version(document)) == (False, False, None)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("v1.checkout.session.completed", True),
        ("v1.customer.deleted", True),
        ("v1.customer.created", False),  # nothing would come of it
        ("v2.core.account[identity].updated", False),
        ("v2.core.health.event_generation_failure.resolved", False),
        ("checkout.session.completed", False),
        (1, False),
    ],
)
def test_a_thin_event_is_a_hint_if_something_would_come_of_its_snapshot(kind: object, expected: bool) -> None:
    assert is_hint(thin(kind)) is expected


def thin(kind: object, **changes: Any) -> dict[str, Any]:
    """As docs.stripe.com/event-destinations#thin-events shows one."""
    return {
        "id": "evt_1",
        "object": "v2.core.event",
        "type": kind,
        "created": "2026-11-23T04:26:40.500Z",
        "livemode": False,
        "context": None,
        "related_object": {"id": "cs_1", "type": "checkout.session", "url": "/v1/checkout/sessions/cs_1"},
        "snapshot_event": "evt_2",
        **changes,
    }


def test_a_thin_event_says_nothing_but_that_stripe_lost_an_event() -> None:
    lost = projected(thin("v2.core.health.event_generation_failure.resolved"))
    assert (lost.type, lost.reported) == (MessageType.REPORTED, "event_generation_failed")
    assert lost.sent_at_ms == 1_795_408_000_500
    for kind in (
        "v1.checkout.session.completed",
        "v2.core.account[identity].updated",
        "v2.core.event_destination.ping",
    ):
        assert projected(thin(kind)).type is MessageType.IGNORED


@pytest.mark.parametrize(
    "created", ["", "yesterday", "2026-11-23T04:26:40", "1969-01-01T00:00:00Z", "9999999999", -1, {}]
)
def test_a_report_without_a_time_is_a_question_for_a_human(created: object) -> None:
    with pytest.raises(NotUnderstood, match="event_created_missing"):
        projected(thin("v2.core.health.event_generation_failure.resolved", created=created))


@pytest.mark.parametrize(
    ("version", "foreign"),
    [
        ("2026-10-28.endive", None),
        ("2027-01-30.endive", None),
        ("2026-08-26.dahlia", "2026-08-26.dahlia"),
        ("2023-08-16", "2023-08-16"),
        ("2026-11-18.preview", "2026-11-18.preview"),
        ("kari@example.no", "unreadable"),
        (20231016, "unreadable"),
        (None, None),
    ],
)
def test_a_version_of_another_release_is_told(version: object, foreign: str | None) -> None:
    assert foreign_version({"api_version": version}) == foreign


def test_the_release_is_the_one_that_the_installed_sdk_speaks() -> None:
    """When this fails, read Stripe's changelog for what we project, then set RELEASE."""
    assert _ApiVersion.CURRENT_MAJOR == RELEASE


def test_stripe_can_be_asked_for_all_our_types_at_once() -> None:
    assert len(ASKED_TYPES) <= 20  # https://docs.stripe.com/api/events/list, `types`
    assert {*ASKED_TYPES} == {*PURCHASES, "checkout.session.expired", "charge.refunded", *REPORTS} - {*PREVIEW}
