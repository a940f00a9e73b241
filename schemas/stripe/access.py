"""What a payment gives access to, and what ends it: ids only, of what policy.toml lists under [products].

A checkout does not say which prices were paid: its line items are not in the event
(https://docs.stripe.com/api/checkout/sessions/object#checkout_session_object-line_items). It says which payment link it
came from, and what the shop wrote into its metadata. An invoice names its prices.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from schemas.message import Message, MessageType
from schemas.policy import Policy
from schemas.stripe.shape import SOURCE, Event, created_ms, subject_of

METADATA_KEY = "access_product"
LINES_MAX = 100  # of an invoice; Stripe sends ten, and the rest by asking
_ID = re.compile(r"[A-Za-z0-9_]{3,255}")


def products_of_checkout(session: Mapping[str, Any], policy: Policy) -> tuple[str, ...]:
    """Keys of [products], in the order of policy.toml."""
    link, prices = read_id(session.get("payment_link")), _prices(session.get("line_items"))
    named = _inside(session, "metadata", METADATA_KEY)
    return tuple(
        product.key
        for product in policy.products.values()
        if link in product.stripe_payment_links or prices & {*product.stripe_prices} or named == product.key
    )


def payments_of_checkout(session: Mapping[str, Any]) -> tuple[str, ...]:
    """Every name under which a later event may speak of this payment."""
    return _ids(session.get(name) for name in ("id", "payment_intent", "subscription", "invoice"))


def products_of_invoice(invoice: Mapping[str, Any], policy: Policy) -> tuple[str, ...]:
    prices = _prices(invoice.get("lines"))
    return tuple(product.key for product in policy.products.values() if prices & {*product.stripe_prices})


def payments_of_invoice(invoice: Mapping[str, Any]) -> tuple[str, ...]:
    """A subscription has an invoice for every period, and one name."""
    newer = _inside(invoice, "parent", "subscription_details", "subscription")
    subscription = _ids([newer, invoice.get("subscription")])  # the latter before 2025-03-31
    return subscription or _ids([invoice.get("id")])


def project_refund(event: Event, policy: Policy) -> Message | None:
    """A charge that was given back whole; None for a part of it, and where no payment gives access to anything."""
    if not policy.products:
        return None
    charge = subject_of(event)
    if charge.get("refunded") is not True:
        return None
    return _ended(event, "charge_refunded", _ids([charge.get("payment_intent"), charge.get("invoice")]))


def project_cancellation(event: Event, policy: Policy) -> Message | None:
    """A subscription that has ended; None where no payment gives access to anything."""
    if not policy.products:
        return None
    return _ended(event, "subscription_ended", _ids([subject_of(event).get("id")]))


def read_id(value: object) -> str | None:
    """An id, or that of an object in its place; None for anything else."""
    found = value.get("id") if isinstance(value, Mapping) else value
    return found if isinstance(found, str) and _ID.fullmatch(found) else None


def _inside(value: object, *names: str) -> object:
    """None where something on the way is missing or no object: what cannot be read grants nothing."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _ended(event: Event, what: str, payments: tuple[str, ...]) -> Message:
    return Message(
        type=MessageType.ACCESS_ENDED if payments else MessageType.REPORTED,
        source=SOURCE,
        method="stripe",
        sent_at_ms=created_ms(event),
        reported=what,
        payments=payments,
    )


def _ids(values: Iterable[object]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found for value in values if (found := read_id(value)) is not None))


def _prices(lines: object) -> set[str]:
    """The prices of lines that cost something: a negative line takes back what an earlier price had paid for."""
    data = _inside(lines, "data")
    if not isinstance(data, list):
        return set()
    return {price for line in data[:LINES_MAX] if isinstance(line, Mapping) and (price := _price(line)) is not None}


def _price(line: Mapping[str, Any]) -> str | None:
    amount = line.get("amount")
    if isinstance(amount, int) and amount < 0:
        return None
    # The former of an invoice's line since 2025-03-31, the latter of a checkout's.
    return read_id(_inside(line, "pricing", "price_details", "price")) or read_id(line.get("price"))
