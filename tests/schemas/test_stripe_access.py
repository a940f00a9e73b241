"""What a payment gives access to, and what ends it: read of Stripe's events, in the shapes of several API versions."""

import time
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from schemas.message import Message, MessageType, format_message, parse_message
from schemas.policy import Policy, Product, Text, load_policy
from schemas.stripe.event import project_event
from tests.world import ROOT, checkout_event

NOTHING_SOLD = load_policy(ROOT / "policy.toml")


def selling(**prices: str) -> Policy:
    products = {
        key: Product(key, Text(key, key), (price,), (f"plink_{key}",), "customer", None)
        for key, price in prices.items()
    }
    return replace(NOTHING_SOLD, products=MappingProxyType(products))


POLICY = selling(course="price_1", club="price_2")


def projected(event: dict[str, Any], policy: Policy = POLICY) -> Message:
    message = project_event(event, policy, "any")[1]
    assert parse_message(format_message(message)) == message
    return message


def checkout(policy: Policy = POLICY, **session: Any) -> Message:
    return projected(checkout_event(session={"payment_intent": "pi_1", "custom_fields": [], **session}), policy)


def event(kind: str, **subject: Any) -> dict[str, Any]:
    return {
        "id": "evt_2",
        "object": "event",
        "type": kind,
        "created": int(time.time()),
        "livemode": False,
        "data": {"object": subject},
    }


def invoice(*lines: dict[str, Any], reason: str = "subscription_cycle", **more: Any) -> dict[str, Any]:
    parent = {"subscription_details": {"subscription": "sub_1"}}
    subject = {"id": "in_1", "billing_reason": reason, "parent": parent, "customer_email": "kari@example.no", **more}
    return event("invoice.paid", lines={"data": list(lines)}, **subject)


def line(price: object, amount: int = 10_000) -> dict[str, Any]:
    return {"amount": amount, "pricing": {"type": "price_details", "price_details": {"price": price}}}


def test_a_checkout_gives_what_its_payment_link_sells() -> None:
    message = checkout(
        payment_link="plink_course", subscription={"id": "sub_1", "object": "subscription"}, invoice=None
    )
    assert (message.type, message.products) == (MessageType.PURCHASE, ("course",))
    assert message.payments == ("cs_test_a1", "pi_1", "sub_1")


@pytest.mark.parametrize(
    "session",
    [
        {"metadata": {"access_product": "course"}},
        {"line_items": {"data": [{"price": {"id": "price_1"}, "amount_total": 100}]}},
        {"payment_link": {"id": "plink_course"}},
        {"payment_link": "plink_course", "payment_status": "no_payment_required"},
    ],
    ids=["metadata", "expanded", "object", "trial"],
)
def test_other_ways_in_which_a_checkout_says_what_was_sold(session: dict[str, Any]) -> None:
    assert checkout(**session).products == ("course",)


@pytest.mark.parametrize(
    "session",
    [
        {"payment_link": "plink_course", "payment_status": "unpaid"},
        {"payment_link": "plink_other"},
        {"metadata": {"access_product": "what-is-not-sold"}},
        {"metadata": {"access_product": ["course"]}},
        {"line_items": {"data": "price_1"}},
    ],
)
def test_what_is_not_paid_or_not_sold_gives_nothing_and_keeps_no_id(session: dict[str, Any]) -> None:
    message = checkout(**session)
    assert (message.products, message.payments) == ((), ())


def test_where_nothing_is_sold_no_id_is_kept() -> None:
    assert checkout(NOTHING_SOLD, payment_link="plink_course").payments == ()
    refund = event("charge.refunded", payment_intent="pi_1", refunded=True)
    assert projected(refund, NOTHING_SOLD).type is MessageType.IGNORED
    cancellation = projected(event("customer.subscription.deleted", id="sub_1"), NOTHING_SOLD)
    assert (cancellation.type, cancellation.payments) == (MessageType.REPORTED, ())


def test_only_an_invoice_says_which_prices_were_paid_the_first_of_a_subscription_too() -> None:
    message = projected(invoice(line("price_2"), line("price_9")))
    assert (message.type, message.products, message.payments) == (MessageType.PURCHASE, ("club",), ("sub_1",))
    first = projected(invoice(line("price_2"), reason="subscription_create"))
    assert (first.type, first.products) == (MessageType.ACCESS, ("club",))
    assert projected(invoice(line("price_9"), reason="subscription_create")).type is MessageType.IGNORED


@pytest.mark.parametrize(
    ("subject", "payments"),
    [
        ({"parent": None, "subscription": "sub_2"}, ("sub_2",)),
        ({"parent": None}, ("in_1",)),
        ({"parent": "kanari"}, ("in_1",)),
    ],
)
def test_the_names_of_an_invoice_in_older_versions_and_without_a_subscription(
    subject: dict[str, Any], payments: tuple[str, ...]
) -> None:
    assert projected(invoice({"price": {"id": "price_1"}}, **subject)).payments == payments


def test_a_line_that_gives_money_back_gives_no_access() -> None:
    """A change of plan: the old price is on the invoice with a minus."""
    message = projected(invoice(line("price_1", -5_000), line("price_2")))
    assert message.products == ("club",)


def test_a_charge_that_is_given_back_whole_ends_access_and_a_part_of_it_does_not() -> None:
    personal = {"billing_details": {"email": "kari@example.no", "name": "Kari Nordmann"}}
    message = projected(event("charge.refunded", payment_intent="pi_1", refunded=True, **personal))
    assert (message.type, message.reported) == (MessageType.ACCESS_ENDED, "charge_refunded")
    assert (message.payments, message.email) == (("pi_1",), None)
    assert b"ari" not in format_message(message).replace(b"charge", b"")
    part = event("charge.refunded", payment_intent="pi_1", refunded=False, amount_refunded=1)
    assert projected(part).type is MessageType.IGNORED


def test_a_subscription_that_ends_ends_access() -> None:
    message = projected(event("customer.subscription.deleted", id="sub_1"))
    assert (message.type, message.reported, message.payments) == (
        MessageType.ACCESS_ENDED,
        "subscription_ended",
        ("sub_1",),
    )


def test_what_ends_and_cannot_be_named_is_a_report() -> None:
    message = projected(event("charge.refunded", refunded=True, payment_intent=None))
    assert (message.type, message.reported) == (MessageType.REPORTED, "charge_refunded")
