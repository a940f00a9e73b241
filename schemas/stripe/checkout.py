"""Checkouts and paid invoices: what was bought is a contract, what was asked beside it may be a consent.

The two are kept apart: a purchase is never a consent. Who pays is known by the e-mail address: `customer` is null for a
guest, and `customer_account` stands in its place where Stripe's Accounts v2 are used.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from schemas.message import Decision, Message, MessageType
from schemas.policy import Policy, StripeConsent
from schemas.refusal import NotUnderstood
from schemas.stripe.access import (
    payments_of_checkout,
    payments_of_invoice,
    products_of_checkout,
    products_of_invoice,
)
from schemas.stripe.shape import SOURCE, Event, created_ms, email_if_any, mapping, part, read_email, subject_of

PAID = ("paid", "no_payment_required")
LANGUAGE_OF_LOCALE = {"nb": "nb", "no": "nb", "nn": "nb"}
IGNORED = Message(type=MessageType.IGNORED, source=SOURCE, method="stripe")
TERMS_ACCEPTED, TERMS_NOT_SHOWN = "terms_accepted", "terms_not_shown"


def project_checkout(event: Event, policy: Policy) -> Message:
    """A checkout that was completed, or paid for later."""
    session = subject_of(event)
    decisions = _decisions(session, policy)
    email = part(session.get("customer_details")).get("email")
    paid = session.get("payment_status") in PAID
    products = products_of_checkout(session, policy) if paid else ()
    return Message(
        # An unpaid checkout is no purchase yet, but a box that was ticked in it was ticked.
        type=MessageType.PURCHASE if paid else MessageType.SIGN_UP,
        source=SOURCE,
        # Without a question the address only tells whether somebody whom we know has become a customer.
        email=read_email(email) if decisions else email_if_any(email),
        decisions=decisions,
        method="stripe",
        sent_at_ms=created_ms(event),
        language=_language(session.get("locale")),
        reported=_terms(session),
        products=products,
        payments=payments_of_checkout(session) if products else (),
    )


def project_expired(event: Event, policy: Policy) -> Message:
    """A checkout that was left. A yes in it was said; a question that nobody came to is no refusal.

    Stripe gives the address only of some (https://docs.stripe.com/payments/checkout/abandoned-carts).
    """
    session = subject_of(event)
    given = tuple(decision for decision in _decisions(session, policy) if decision.state == "given")
    email = part(session.get("customer_details")).get("email")
    if not given or email is None:
        return IGNORED
    left = project_checkout(event, policy)
    return replace(left, type=MessageType.SIGN_UP, decisions=given, reported=None)


def project_invoice(event: Event, policy: Policy) -> Message:
    """A paid invoice is a purchase, but for the first of a subscription: that one's checkout has said so.

    Only the invoice says which prices were paid, the first one too.
    """
    invoice = subject_of(event)
    products = products_of_invoice(invoice, policy)
    is_first = invoice.get("billing_reason") == "subscription_create"
    if is_first and not products:
        return IGNORED
    return Message(
        type=MessageType.ACCESS if is_first else MessageType.PURCHASE,
        source=SOURCE,
        email=email_if_any(invoice.get("customer_email")),
        method="stripe",
        sent_at_ms=created_ms(event),
        products=products,
        payments=payments_of_invoice(invoice) if products else (),
    )


def _terms(session: Mapping[str, Any]) -> str | None:
    """The terms of the contract: None if nobody asked, or asked and not shown, or accepted. Never a consent.

    `consent` is null in the first case and an object of nulls in the second.
    """
    consent = session.get("consent")
    if consent is None:
        return None
    return TERMS_ACCEPTED if mapping(consent).get("terms_of_service") == "accepted" else TERMS_NOT_SHOWN


def _language(locale: object) -> str:
    """None and `auto` leave it to the browser, and so tell us nothing (docs.stripe.com/api/checkout/sessions)."""
    if not isinstance(locale, str) or locale == "auto":
        return "nb"
    return LANGUAGE_OF_LOCALE.get(locale[:2], "en")


def _decisions(session: Mapping[str, Any], policy: Policy) -> tuple[Decision, ...]:
    return tuple(
        Decision(purpose, state, grant.notice)
        for grant in policy.stripe.consent
        if (state := _decision(session, grant)) is not None
        for purpose in grant.purposes
    )


def _decision(session: Mapping[str, Any], grant: StripeConsent) -> str | None:
    """None where nobody asked. `consent.promotions` is never read: Stripe offers it in the United States only."""
    if grant.kind == "metadata":
        value = part(session.get("metadata")).get(grant.key)
        return None if value is None else _yes_or_no(value, grant)
    fields = session.get("custom_fields") or []
    if not isinstance(fields, list):
        raise NotUnderstood("custom_fields_not_understood")
    for field in map(mapping, fields):
        if field.get("key") == grant.key:
            return _yes_or_no(part(field.get(str(field.get("type")))).get("value"), grant)
    return None


def _yes_or_no(value: object, grant: StripeConsent) -> str:
    return "given" if isinstance(value, str) and value in grant.accepted else "refused"
