"""Stripe's events: an allow-list, an exact yes, and purchases that are never consents."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.message import Decision, Message, MessageType, format_message, parse_message
from schemas.policy import load_policy
from schemas.refusal import NotUnderstood
from schemas.stripe.event import project_event
from tests.world import ROOT, checkout_event

POLICY = load_policy(ROOT / "policy.toml")
GIVEN = (Decision("newsletter", "given", "personvern-1"),)
REFUSED = (Decision("newsletter", "refused", "personvern-1"),)


def projected(event: object, mode: str = "any") -> Message:
    event_id, message = project_event(event, POLICY, mode)
    assert event_id == "evt_1"
    return message


def with_session(**changes: Any) -> Message:
    return projected(checkout_event(session=changes))


def reason_of(event: object) -> str:
    with pytest.raises(NotUnderstood) as caught:
        project_event(event, POLICY, "any")
    return caught.value.reason


def dropdown(value: object) -> list[dict[str, Any]]:
    return [{"key": "nyhetsbrev", "type": "dropdown", "dropdown": {"value": value}}]


def test_a_paid_checkout_is_a_purchase_and_its_box_a_consent_beside_it() -> None:
    event = checkout_event(created=1_795_400_000)
    assert projected(event) == Message(
        type=MessageType.PURCHASE,
        source="stripe",
        email="kari@example.no",
        decisions=GIVEN,
        method="stripe",
        sent_at_ms=1_795_400_000_000,
        reported="terms_accepted",
    )


@pytest.mark.parametrize(("email", "kept"), [("kari@example.no", "kari@example.no"), ("kari", None), (None, None)])
def test_a_purchase_without_a_question_tells_who_at_most_became_a_customer(email: object, kept: object) -> None:
    message = with_session(custom_fields=[], metadata={}, customer_details={"email": email})
    assert (message.type, message.email, message.decisions) == (MessageType.PURCHASE, kept, ())


@pytest.mark.parametrize("customer", [("cus_1", None), (None, "acct_1"), (None, None)])
def test_a_customer_an_account_and_a_guest_are_known_by_their_address(customer: tuple[object, object]) -> None:
    message = with_session(customer=customer[0], customer_account=customer[1])
    assert (message.email, message.decisions) == ("kari@example.no", GIVEN)


@pytest.mark.parametrize(
    ("consent", "fact"),
    [
        (None, None),
        ({"promotions": None, "terms_of_service": None}, "terms_not_shown"),
        ({"promotions": None, "terms_of_service": "accepted"}, "terms_accepted"),
    ],
)
def test_not_asked_not_shown_and_accepted_are_three_facts_and_none_is_a_consent(consent: object, fact: object) -> None:
    message = with_session(consent=consent, custom_fields=[])
    assert (message.reported, message.decisions) == (fact, ())


def test_terms_of_service_and_stripes_own_promotions_box_are_not_ours() -> None:
    consent = {"promotions": "opt_in", "terms_of_service": "accepted"}
    assert with_session(custom_fields=[], consent=consent).decisions == ()


def test_nothing_but_the_allowed_is_kept() -> None:
    text = format_message(with_session(metadata={"internal": "kanari7f3a"}, client_reference_id="kanari7f3a")).decode()
    for kept_out in ("Nordmann", "90000000", "cs_test_a1", "cus_1", "kanari7f3a"):
        assert kept_out not in text


@pytest.mark.parametrize("value", ["nei", "Ja", "JA", "", " ja", "yes", None, True, 1, ["ja"], {}])
def test_every_other_answer_is_a_no(value: object) -> None:
    assert with_session(custom_fields=dropdown(value)).decisions == REFUSED


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ({"key": "nyhetsbrev", "type": "text", "text": {"value": "ja"}}, GIVEN),
        ({"key": "nyhetsbrev", "type": "dropdown", "dropdown": None}, REFUSED),
        ({"key": "nyhetsbrev", "type": "dropdown"}, REFUSED),
        ({"key": "nyhetsbrev", "type": None, "dropdown": {"value": "ja"}}, REFUSED),
        ({"key": "Nyhetsbrev", "type": "text", "text": {"value": "ja"}}, ()),
        ({"key": "size", "type": "text", "text": {"value": "ja"}}, ()),
    ],
)
def test_a_custom_field_is_read_by_its_key_and_type(field: dict[str, Any], expected: tuple[Decision, ...]) -> None:
    assert with_session(custom_fields=[field]).decisions == expected


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"consent_newsletter": "yes"}, GIVEN),
        ({"consent_newsletter": "no"}, REFUSED),
        ({"consent_newsletter": "Yes"}, REFUSED),
        ({"consent_offers": "yes"}, ()),
        ({}, ()),
        (None, ()),
    ],
)
def test_metadata_says_yes_with_its_exact_value(metadata: object, expected: tuple[Decision, ...]) -> None:
    assert with_session(custom_fields=None, metadata=metadata).decisions == expected


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("paid", MessageType.PURCHASE),
        ("no_payment_required", MessageType.PURCHASE),
        ("unpaid", MessageType.SIGN_UP),
        ("paid_in_full", MessageType.SIGN_UP),
        (None, MessageType.SIGN_UP),
    ],
)
def test_an_unpaid_checkout_is_no_purchase_but_its_box_was_ticked(status: object, kind: MessageType) -> None:
    message = with_session(payment_status=status)
    assert (message.type, message.decisions) == (kind, GIVEN)


@pytest.mark.parametrize("kind", ["checkout.session.completed", "checkout.session.async_payment_succeeded"])
def test_a_payment_that_came_later_is_read_in_the_same_way(kind: str) -> None:
    assert projected(checkout_event(type=kind)).type is MessageType.PURCHASE


@pytest.mark.parametrize(
    "kind", ["customer.created", "charge.refunded", "ping", "v2.core.account[identity].updated", "x" * 200]
)
def test_other_events_are_ignored_without_a_look_inside(kind: str) -> None:
    event = {"id": "evt_1", "type": kind, "data": "anything"}
    assert projected(event) == Message(type=MessageType.IGNORED, source="stripe", method="stripe")


@pytest.mark.parametrize(
    ("mode", "livemode", "counts"),
    [
        ("live", True, True),
        ("live", False, False),
        ("live", None, False),
        ("live", "true", False),
        ("test", False, True),
        ("test", True, False),
        ("test", None, False),
        ("any", True, True),
        ("any", None, True),
    ],
)
def test_a_test_payment_never_counts_in_a_live_service(mode: str, livemode: object, counts: bool) -> None:
    message = projected(checkout_event(livemode=livemode), mode)
    assert (message.type is not MessageType.IGNORED) is counts


@pytest.mark.parametrize(
    ("locale", "language"),
    [("nb", "nb"), ("nn-NO", "nb"), ("no", "nb"), (None, "nb"), ("auto", "nb"), ("en-GB", "en"), ("de", "en")],
)
def test_people_are_written_to_in_the_language_they_paid_in(locale: object, language: str) -> None:
    assert with_session(locale=locale).language == language


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ([], "not_an_object"),
        (None, "not_an_object"),
        (checkout_event(id=None), "event_id_missing"),
        (checkout_event(id="evt_"), "event_id_missing"),
        (checkout_event(id="evt_1\n"), "event_id_missing"),
        (checkout_event(id="pi_1"), "event_id_missing"),
        (checkout_event(type=""), "event_type_missing"),
        (checkout_event(type=1), "event_type_missing"),
        (checkout_event(type="checkout.session.completed\n"), "event_type_missing"),
        (checkout_event(data=None), "not_an_object"),
        (checkout_event(data={"object": []}), "not_an_object"),
        (checkout_event(created=None), "event_created_missing"),
        (checkout_event(created=True), "event_created_missing"),
        (checkout_event(created=0), "event_created_missing"),
        (checkout_event(created=1.5e9), "event_created_missing"),
        (checkout_event(created=10**12), "event_created_missing"),  # milliseconds, once, by mistake
        (checkout_event(session={"custom_fields": {"key": "nyhetsbrev"}}), "custom_fields_not_understood"),
        (checkout_event(session={"custom_fields": ["nyhetsbrev"]}), "not_an_object"),
        (checkout_event(session={"metadata": ["yes"]}), "not_an_object"),
        (checkout_event(session={"customer_details": None}), "email_missing"),
        (checkout_event(session={"customer_details": {"email": None}}), "email_missing"),
        (checkout_event(session={"customer_details": {"email": "kari"}}), "address_malformed"),
    ],
)
def test_a_checkout_that_is_not_shaped_as_stripes_is_a_question_for_a_human(event: object, reason: str) -> None:
    assert reason_of(event) == reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda children: st.lists(children, max_size=2) | st.dictionaries(st.text(max_size=8), children, max_size=2),
    max_leaves=4,
)
SESSION_KEYS = ("custom_fields", "metadata", "customer_details", "payment_status", "locale")


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(SESSION_KEYS), JSON, max_size=3), st.sampled_from(["live", "test", "any"]))
def test_whatever_stripe_sends_becomes_a_message_or_is_parked(session: dict[str, Any], mode: str) -> None:
    try:
        message = project_event(checkout_event(session=session), POLICY, mode)[1]
    except NotUnderstood:
        return
    assert parse_message(format_message(message)) == message


def test_a_policy_that_asks_nothing_of_stripe_takes_nothing_for_an_answer() -> None:
    policy = replace(POLICY, stripe=replace(POLICY.stripe, consent=()))
    message = project_event(checkout_event(), policy, "any")[1]
    assert (message.type, message.decisions) == (MessageType.PURCHASE, ())
