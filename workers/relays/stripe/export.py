"""Everything that Stripe holds about a person, as the person may have it (GDPR Articles 15 and 20)."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import stripe

from workers.relays.action import RelayAction
from workers.relays.stripe.connection import StripeConnection, calls
from workers.relays.stripe.customers import customers_of, guest_sessions
from workers.relays.stripe.listing import every, part

# Keys to payments, and what Stripe and the seller think about risk: not the person's data, or not for a file.
LEFT_OUT = frozenset(
    {"client_secret", "fingerprint", "fraud_details", "network_token", "network_transaction_id", "object", "outcome"}
    | {"livemode", "radar_options", "review", "sources", "transfer_data", "transfer_group", "url", "iin", "issuer"}
    | {"application", "application_fee", "application_fee_amount", "balance_transaction", "payment_method_options"}
)
# Whatever else is written about a means of payment, its brand and last four digits tell which one it is.
OF_PAYMENT_MEANS = frozenset({"brand", "last4", "bank_name"})
PAYMENT_MEANS = frozenset({"acss_debit", "au_becs_debit", "bacs_debit", "bank_account", "card", "card_present"}) | {
    "ideal",
    "sepa_debit",
    "us_bank_account",
}


def export(action: RelayAction, connection: StripeConnection) -> dict[str, Any]:
    """A JSON object: `customers`, each with all that hangs on it, and `guest_checkouts`. Only reads. RelayError."""
    with calls(connection) as client:
        customers = [_customer(client, customer) for customer in customers_of(client, action.emails)]
        guests = [_guest(client, session) for session in guest_sessions(client, action.emails)]
    return {"customers": customers, "guest_checkouts": guests}


def _customer(client: stripe.StripeClient, customer: stripe.Customer) -> dict[str, Any]:
    v1 = client.v1
    own = {"customer": customer.id}
    charges = list(every(v1.charges.list, own, "ch", "py"))
    lists: Mapping[str, Iterable[Any]] = {
        "payment_methods": every(
            partial(v1.customers.payment_methods.list, customer.id), {}, "pm", "card", "src", "ba"
        ),
        "tax_ids": every(partial(v1.customers.tax_ids.list, customer.id), {}, "txi"),
        "subscriptions": every(v1.subscriptions.list, {**own, "status": "all"}, "sub"),
        "invoices": every(v1.invoices.list, own, "in"),
        "payment_intents": every(v1.payment_intents.list, own, "pi"),
        "checkout_sessions": every(v1.checkout.sessions.list, own, "cs"),
        "charges": charges,
        "refunds": _refunds(client, charges),
    }
    # Should a filter ever be overlooked, nobody gets what is somebody else's.
    whole = {name: [shown(item) for item in items if _is_of(item, customer.id)] for name, items in lists.items()}
    return {**shown(customer), **whole}


def _guest(client: stripe.StripeClient, session: stripe.checkout.Session) -> dict[str, Any]:
    intent = part(session, "payment_intent")
    charges: list[Any] = []
    if isinstance(intent, str):
        found = every(client.v1.charges.list, {"payment_intent": intent}, "ch", "py")
        charges = [charge for charge in found if part(charge, "payment_intent") == intent]
    refunds = [shown(refund) for refund in _refunds(client, charges)]
    return {**shown(session), "charges": [shown(charge) for charge in charges], "refunds": refunds}


def _is_of(item: object, customer_id: str) -> bool:
    """A refund names no customer: its charge was asked for."""
    return bool(part(item, "object") == "refund" or part(item, "customer") == customer_id)


def _refunds(client: stripe.StripeClient, charges: Iterable[Any]) -> Iterable[Any]:
    for charge in charges:
        if part(charge, "amount_refunded"):
            for refund in every(client.v1.refunds.list, {"charge": charge.id}, "re", "pyr"):
                if part(refund, "charge") == charge.id:
                    yield refund


def shown(item: stripe.StripeObject) -> dict[str, Any]:
    """An object of Stripe's without what is empty, internal, or more than is needed to know a card again."""
    return dict(_shown(item.to_dict()))


def _shown(value: Any, means: bool = False) -> Any:
    if isinstance(value, list):
        return [_shown(each, means) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {
        name: _shown(each, name in PAYMENT_MEANS)
        for name, each in value.items()
        if name not in LEFT_OUT and (not means or name in OF_PAYMENT_MEANS)
    }
    return {name: each for name, each in kept.items() if each not in (None, "", [], {})}
