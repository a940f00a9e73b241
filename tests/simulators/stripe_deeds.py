"""What Stripe does for each call that the simulator knows. State is a plain dict, objects in order of creation."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.simulators import stripe_commerce as commerce
from tests.simulators import stripe_objects as objects
from tests.simulators import stripe_preview as preview
from tests.simulators.exchange import Reply
from tests.simulators.stripe_schema import Call

State = dict[str, Any]
Headers = Mapping[str, str]
SETTABLE = frozenset(
    {"address", "business_name", "description", "email", "individual_name", "name", "phone"}
    | {"preferred_locales", "shipping", "tax_exempt"}
)
EVENT_TYPES_MAX = 20
METADATA_KEYS_MAX = 50
METADATA_KEY_SIZE_MAX_CHARACTERS = 40
METADATA_VALUE_SIZE_MAX_CHARACTERS = 500
QUERY = re.compile(r'email:"(?P<email>(?:[^"\\]|\\.)*)"')


def list_customers(state: State, call: Call, _: Headers) -> Reply:
    """The e-mail is matched exactly, upper and lower case apart, as Stripe does."""
    wanted = call.parameters

    def fits(each: objects.Object) -> bool:
        if each.get("deleted") or wanted.get("email", each["email"]) != each["email"]:
            return False
        return objects.in_range(each["created"], wanted.get("created"))

    return _page(call, state["customers"].values(), {"email", "created"}, fits)


def search_customers(state: State, call: Call, _: Headers) -> Reply:
    """Case does not matter (assumed: the description of the language does not say), and the index may be behind:
    `indexed_email` of a seeded customer is what it has so far (https://docs.stripe.com/search#data-freshness).
    """
    query = QUERY.fullmatch(call.parameters["query"])
    if query is None:
        return objects.not_simulated("query")
    email = re.sub(r"\\(.)", r"\1", query["email"]).lower()
    found = [
        objects.visible(each)
        for each in reversed(state["customers"].values())
        if not each.get("deleted") and str(each.get("indexed_email", each["email"])).lower() == email
    ]
    begin, size = int(call.parameters.get("page", "0")), call.parameters.get("limit", 10)
    more = len(found) > begin + size
    page = {"data": found[begin : begin + size], "has_more": more, "next_page": str(begin + size) if more else None}
    return Reply(200, {"object": "search_result", "url": call.template, "total_count": None, **page})


def list_sessions(state: State, call: Call, _: Headers) -> Reply:
    wanted = call.parameters
    email = wanted.get("customer_details", {}).get("email")

    def fits(each: objects.Object) -> bool:
        if email is not None and each["customer_details"]["email"] != email:
            return False
        return bool(wanted.get("customer", each["customer"]) == each["customer"])

    return _page(call, state["sessions"].values(), {"customer", "customer_details"}, fits)


def list_events(state: State, call: Call, _: Headers) -> Reply:
    wanted = call.parameters
    kinds = wanted.get("types") or ([wanted["type"]] if "type" in wanted else None)
    success = wanted.get("delivery_success")
    if kinds is not None and len(kinds) > EVENT_TYPES_MAX:
        return objects.error(400, "invalid_request_error", "Too many event types.", param="types")

    def fits(each: objects.Object) -> bool:
        if kinds is not None and each["type"] not in kinds:
            return False
        if success is not None and each.get("delivery_success", True) != success:
            return False
        return objects.in_range(each["created"], wanted.get("created"))

    return _page(call, state["events"], {"created", "delivery_success", "type", "types"}, fits)


def get_customer(state: State, call: Call, _: Headers) -> Reply:
    found = state["customers"].get(call.path_values[0])
    if found is None:
        return objects.missing("id", call.path_values[0])
    return Reply(200, objects.tombstone(found) if found.get("deleted") else objects.visible(found))


def update_customer(state: State, call: Call, headers: Headers) -> Reply:
    found = state["customers"].get(call.path_values[0])
    if found is None or found.get("deleted"):
        return objects.missing("id", call.path_values[0])
    changes = dict(call.parameters)
    before = dict(found)
    metadata = objects.merge_metadata(found["metadata"], changes.pop("metadata", {}))
    unknown = set(changes) - SETTABLE
    if unknown:
        return objects.not_simulated(*unknown)
    refusal = metadata_refusal(metadata)
    if refusal is not None:
        return refusal
    found |= {name: None if value == "" else value for name, value in changes.items()} | {"metadata": metadata}
    objects.emit(state, "customer.updated", found, headers, previous_attributes(before, found))
    return Reply(200, objects.visible(found), effect="customer.updated")


def delete_customer(state: State, call: Call, headers: Headers) -> Reply:
    """The customer stays, as a tombstone; a second deletion finds nothing."""
    found = state["customers"].get(call.path_values[0])
    if found is None or found.get("deleted"):
        return objects.missing("id", call.path_values[0])
    objects.emit(state, "customer.deleted", found, headers)
    commerce.end_with_customer(state, found["id"], headers)
    found["deleted"] = True
    return Reply(200, objects.tombstone(found), effect="customer.deleted")


def previous_attributes(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """What was different, of metadata key by key; null where there was nothing (docs.stripe.com/api/events/object)."""
    changed = {name: value for name, value in before.items() if now[name] != value}
    if "metadata" in changed:
        old, new = before["metadata"], now["metadata"]
        changed["metadata"] = {name: old.get(name) for name in {**old, **new} if old.get(name) != new.get(name)}
    return changed


def metadata_refusal(metadata: Mapping[str, str]) -> Reply | None:
    """The limits of https://docs.stripe.com/api/metadata, which the description does not give."""
    if len(metadata) > METADATA_KEYS_MAX:
        return objects.error(400, "invalid_request_error", "Too many metadata keys.", param="metadata")
    for name, value in metadata.items():
        if len(name) > METADATA_KEY_SIZE_MAX_CHARACTERS:
            return objects.error(400, "invalid_request_error", "A metadata key is too long.", param="metadata")
        if len(value) > METADATA_VALUE_SIZE_MAX_CHARACTERS:
            return objects.error(400, "invalid_request_error", "A metadata value is too long.", param="metadata")
    return None


def _page(call: Call, found: Any, filters: set[str], fits: Callable[[objects.Object], bool]) -> Reply:
    refusal = objects.unknown_filters(call, filters)
    return refusal or objects.page(call.template, list(found), call.parameters, fits)


def _of_preview(deed: Callable[[State, Call, Headers], Reply]) -> Callable[[State, Call, Headers], Reply]:
    return lambda state, call, headers: preview.unavailable(state, call, headers) or deed(state, call, headers)


DEEDS: dict[tuple[str, str], Callable[[State, Call, Headers], Reply]] = {
    ("GET", "/v1/customers"): list_customers,
    ("GET", "/v1/customers/search"): search_customers,
    ("GET", "/v1/customers/{customer}"): get_customer,
    ("POST", "/v1/customers/{customer}"): update_customer,
    ("DELETE", "/v1/customers/{customer}"): delete_customer,
    ("GET", "/v1/customers/{customer}/payment_methods"): commerce.listing("payment_methods", of_customer=True),
    ("GET", "/v1/customers/{customer}/tax_ids"): commerce.listing("tax_ids", of_customer=True),
    ("DELETE", "/v1/customers/{customer}/tax_ids/{id}"): commerce.delete_tax_id,
    ("POST", "/v1/payment_methods/{payment_method}/detach"): commerce.detach,
    ("GET", "/v1/subscriptions"): commerce.listing("subscriptions", "customer"),
    ("GET", "/v1/subscriptions/{subscription_exposed_id}"): commerce.get_subscription,
    ("POST", "/v1/subscriptions/{subscription_exposed_id}"): commerce.update_subscription,
    ("GET", "/v1/invoices"): commerce.listing("invoices", "customer"),
    ("GET", "/v1/charges"): commerce.listing("charges", "customer", "payment_intent"),
    ("GET", "/v1/payment_intents"): commerce.listing("payment_intents", "customer"),
    ("GET", "/v1/refunds"): commerce.listing("refunds", "charge"),
    ("GET", "/v1/disputes"): commerce.listing("disputes", "charge"),
    ("GET", "/v1/checkout/sessions"): list_sessions,
    ("GET", "/v1/events"): list_events,
    ("POST", preview.JOBS): _of_preview(preview.create_job),
    ("GET", preview.JOBS): _of_preview(preview.list_jobs),
    ("GET", preview.JOB): _of_preview(preview.get_job),
    ("POST", f"{preview.JOB}/run"): _of_preview(preview.run_job),
    ("POST", f"{preview.JOB}/validate"): _of_preview(preview.validate_job),
    ("GET", f"{preview.JOB}/validation_errors"): _of_preview(preview.list_findings),
}
