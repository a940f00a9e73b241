"""Stripe's snapshot events: an allow-list projection. What is not named here is never kept (Stripe events hold cards,
addresses, phone numbers and bearer links)."""

import re
from collections.abc import Mapping
from typing import Any

from schemas.address import AddressRefused, parse_address
from schemas.message import Decision, Message, MessageType
from schemas.policy import Policy, StripeConsent
from schemas.refusal import NotUnderstood

SOURCE = "stripe"
EVENT_ID = re.compile(r"evt_[A-Za-z0-9_]{1,200}")
EVENT_TYPE = re.compile(r"[a-z0-9_.]{1,100}")
CHECKOUTS = ("checkout.session.completed", "checkout.session.async_payment_succeeded")
PAID = ("paid", "no_payment_required")
LANGUAGE_OF_LOCALE = {"nb": "nb", "no": "nb", "nn": "nb"}


def project_event(document: object, policy: Policy, mode: str) -> tuple[str, Message]:
    """(event id, message). Events of other types, or of the other mode, are IGNORED: 200, and nothing recorded.

    Raises NotUnderstood. `type` is not checked against a list: Stripe sends types that its own SDK does not name.
    """
    event = _mapping(document)
    event_id, kind = read_event_id(event), event.get("type")
    if not isinstance(kind, str) or not EVENT_TYPE.fullmatch(kind):
        raise NotUnderstood("event_type_missing")
    is_other_mode = mode != "any" and event.get("livemode") is not (mode == "live")
    if kind not in CHECKOUTS or is_other_mode:
        return event_id, Message(type=MessageType.IGNORED, source=SOURCE, method="stripe")
    session = _mapping(_mapping(event.get("data")).get("object"))
    return event_id, _checkout(session, policy, _created_ms(event))


def read_event_id(document: object) -> str:
    event_id = _mapping(document).get("id")
    if not isinstance(event_id, str) or not EVENT_ID.fullmatch(event_id):
        raise NotUnderstood("event_id_missing")
    return event_id


def _checkout(session: Mapping[str, Any], policy: Policy, created_ms: int) -> Message:
    decisions = tuple(
        Decision(purpose, state, grant.notice)
        for grant in policy.stripe.consent
        if (state := _decision(session, grant)) is not None
        for purpose in grant.purposes
    )
    is_paid = session.get("payment_status") in PAID
    email = _email(session) if decisions else None
    return Message(
        # An unpaid checkout is no purchase yet, but a box that was ticked in it was ticked.
        type=MessageType.PURCHASE if is_paid else MessageType.SIGN_UP,
        source=SOURCE,
        email=email,
        decisions=decisions,
        method="stripe",
        sent_at_ms=created_ms,
        language=_language(session.get("locale")),
    )


def _language(locale: object) -> str:
    """None and `auto` leave it to the browser, and so tell us nothing (docs.stripe.com/api/checkout/sessions)."""
    if not isinstance(locale, str) or locale == "auto":
        return "nb"
    return LANGUAGE_OF_LOCALE.get(locale[:2], "en")


def _decision(session: Mapping[str, Any], grant: StripeConsent) -> str | None:
    """Terms of service are never read: accepting them is not a consent to marketing."""
    if grant.kind == "metadata":
        value = _mapping(session.get("metadata") or {}).get(grant.key)
        return None if value is None else _yes_or_no(value, grant)
    fields = session.get("custom_fields") or []
    if not isinstance(fields, list):
        raise NotUnderstood("custom_fields_not_understood")
    for field in map(_mapping, fields):
        if field.get("key") == grant.key:
            answered = _mapping(field.get(str(field.get("type"))) or {})
            return _yes_or_no(answered.get("value"), grant)
    return None


def _yes_or_no(value: object, grant: StripeConsent) -> str:
    return "given" if isinstance(value, str) and value in grant.accepted else "refused"


def _email(session: Mapping[str, Any]) -> str:
    email = _mapping(session.get("customer_details") or {}).get("email")
    if not isinstance(email, str):
        raise NotUnderstood("email_missing")
    try:
        return parse_address(email).verbatim
    except AddressRefused as refused:
        raise NotUnderstood(refused.reason) from None


def _created_ms(event: Mapping[str, Any]) -> int:
    created = event.get("created")
    if not isinstance(created, int) or isinstance(created, bool) or not 0 < created < 10**11:
        raise NotUnderstood("event_created_missing")
    return created * 1000


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise NotUnderstood("not_an_object")
    return value
