"""What hangs on a customer at Stripe: payment methods, tax ids, subscriptions, invoices, payments, refunds, disputes.

Members are those that the relay reads, with one or two that it must not pass on; names from
https://docs.stripe.com/api. An object of the seed only names what matters to the test.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.simulators import stripe_objects as objects
from tests.simulators.exchange import Reply
from tests.simulators.stripe_schema import Call

State = dict[str, Any]
Headers = Mapping[str, str]
Deed = Callable[[State, Call, Headers], Reply]
CARD = {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030, "fingerprint": "Xt5EWLLDS7FJjR1c"}
DETAILS = {"email": "kari@example.no", "name": "Kari Nordmann", "phone": None, "address": {"country": "NO"}}
# Collection of the state: prefix of its ids, its `object`, and what each has where the seed says nothing.
MADE: Mapping[str, tuple[str, str, objects.Object]] = {
    "payment_methods": ("pm_", "payment_method", {"type": "card", "card": CARD, "billing_details": DETAILS}),
    "tax_ids": ("txi_", "tax_id", {"type": "no_vat", "value": "123456789MVA"}),
    "subscriptions": ("sub_", "subscription", {"status": "active", "pause_collection": None, "metadata": {}}),
    "invoices": ("in_", "invoice", {"status": "paid", "customer_email": "kari@example.no", "due_date": None}),
    "charges": (
        "ch_",
        "charge",
        {"paid": True, "disputed": False, "amount": 49000, "amount_refunded": 0, "payment_intent": None}
        | {"billing_details": DETAILS, "outcome": {"risk_level": "normal"}, "receipt_email": "kari@example.no"}
        | {"payment_method_details": {"type": "card", "card": CARD}},
    ),
    "payment_intents": ("pi_", "payment_intent", {"status": "succeeded", "client_secret": "pi_1_secret_2"}),
    "refunds": ("re_", "refund", {"status": "succeeded", "charge": None, "amount": 49000}),
    "disputes": ("dp_", "dispute", {"status": "needs_response", "charge": None, "evidence": {"customer_name": "K"}}),
}
# By default a list has no subscription that has ended (API reference, "List subscriptions").
ENDED = frozenset({"canceled", "incomplete_expired"})


def make(collection: str, document: Mapping[str, Any], created: int) -> objects.Object:
    """Raises KeyError without the customer, which a guest's payment has as null; refunds and disputes have none."""
    prefix, kind, defaults = MADE[collection]
    made = {"id": objects.new_id(prefix, 24), "object": kind, "created": created, "livemode": False, **defaults}
    if collection not in ("refunds", "disputes"):
        made["customer"] = document["customer"]
    return made | dict(document)


def listing(collection: str, *filters: str, of_customer: bool = False) -> Deed:
    """A list by equality; `of_customer`: of the customer in the path."""

    def deed(state: State, call: Call, _: Headers) -> Reply:
        wanted = {name: call.parameters[name] for name in filters if name in call.parameters}
        if of_customer:
            wanted["customer"] = call.path_values[0]
            if wanted["customer"] not in state["customers"]:
                return objects.missing("customer", wanted["customer"])
        refusal = objects.unknown_filters(call, set(filters) | {"status"} if collection == "subscriptions" else filters)
        if refusal is not None:
            return refusal
        status = call.parameters.get("status", "") if collection == "subscriptions" else "all"

        def fits(each: objects.Object) -> bool:
            if status != "all" and (each["status"] in ENDED if status == "" else each["status"] != status):
                return False
            return all(each[name] == value for name, value in wanted.items())

        return objects.page(call.template, list(state[collection].values()), call.parameters, fits)

    return deed


def detach(state: State, call: Call, headers: Headers) -> Reply:
    """https://docs.stripe.com/api/payment_methods/detach; detaching again is an error (assumed to be a 400)."""
    method = state["payment_methods"].get(call.path_values[0])
    if method is None:
        return objects.missing("payment_method", call.path_values[0], "PaymentMethod")
    if method["customer"] is None:
        message = "The payment method you provided is not attached to a customer so detachment is impossible."
        return objects.error(400, "invalid_request_error", message)
    method["customer"] = None
    objects.emit(state, "payment_method.detached", method, headers)
    return Reply(200, dict(method), effect="payment_method.detached")


def delete_tax_id(state: State, call: Call, headers: Headers) -> Reply:
    tax_id = state["tax_ids"].get(call.path_values[1])
    if tax_id is None or tax_id["customer"] != call.path_values[0]:
        return objects.missing("id", call.path_values[1], "tax ID")
    del state["tax_ids"][tax_id["id"]]
    objects.emit(state, "customer.tax_id.deleted", tax_id, headers)
    return Reply(200, {"id": tax_id["id"], "object": "tax_id", "deleted": True}, effect="customer.tax_id.deleted")


def get_subscription(state: State, call: Call, _: Headers) -> Reply:
    found = state["subscriptions"].get(call.path_values[0])
    return objects.missing("id", call.path_values[0], "subscription") if found is None else Reply(200, dict(found))


def update_subscription(state: State, call: Call, headers: Headers) -> Reply:
    """Only `pause_collection` (https://docs.stripe.com/billing/subscriptions/pause-payment) and the metadata."""
    found = state["subscriptions"].get(call.path_values[0])
    if found is None:
        return objects.missing("id", call.path_values[0], "subscription")
    unknown = set(call.parameters) - {"pause_collection", "metadata"}
    if unknown:
        return objects.not_simulated(*unknown)
    if "pause_collection" in call.parameters:
        found["pause_collection"] = call.parameters["pause_collection"] or None
    found["metadata"] = objects.merge_metadata(found["metadata"], call.parameters.get("metadata", {}))
    objects.emit(state, "customer.subscription.updated", found, headers)
    return Reply(200, dict(found), effect="customer.subscription.updated")


def end_with_customer(state: State, customer_id: str, headers: Headers) -> None:
    """What the deletion of a customer does to the rest (https://docs.stripe.com/api/customers/delete).

    That payment methods of the newer kind are detached, and tax ids deleted, is assumed.
    """
    for subscription in state["subscriptions"].values():
        if subscription["customer"] == customer_id and subscription["status"] not in ENDED:
            subscription |= {"status": "canceled", "ended_at": int(time.time())}
            objects.emit(state, "customer.subscription.deleted", subscription, headers)
    for method in state["payment_methods"].values():
        if method["customer"] == customer_id:
            method["customer"] = None
    state["tax_ids"] = {key: each for key, each in state["tax_ids"].items() if each["customer"] != customer_id}
