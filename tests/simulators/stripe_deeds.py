"""What Stripe does for each call that the simulator knows. State is a plain dict, objects in order of creation."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.simulators import stripe_objects as objects
from tests.simulators.exchange import Reply
from tests.simulators.stripe_contract import Call

State = dict[str, Any]
Headers = Mapping[str, str]
CURSORS = frozenset({"limit", "starting_after", "ending_before"})
SETTABLE = frozenset(
    {"address", "business_name", "description", "email", "individual_name", "name", "phone"}
    | {"preferred_locales", "shipping", "tax_exempt"}
)
EVENT_TYPES_MAX = 20
METADATA_KEYS_MAX = 50
METADATA_KEY_SIZE_MAX_CHARACTERS = 40
METADATA_VALUE_SIZE_MAX_CHARACTERS = 500


def list_customers(state: State, call: Call, _: Headers) -> Reply:
    """The e-mail is matched exactly, upper and lower case apart, as Stripe does."""
    wanted = call.parameters

    def fits(each: objects.Object) -> bool:
        if each.get("deleted") or wanted.get("email", each["email"]) != each["email"]:
            return False
        return objects.in_range(each["created"], wanted.get("created"))

    return _page(call, state["customers"].values(), {"email", "created"}, fits)


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
    return Reply(200, objects.tombstone(found) if found.get("deleted") else dict(found))


def update_customer(state: State, call: Call, headers: Headers) -> Reply:
    found = state["customers"].get(call.path_values[0])
    if found is None or found.get("deleted"):
        return objects.missing("id", call.path_values[0])
    changes = dict(call.parameters)
    before = dict(found)
    metadata = merge_metadata(found["metadata"], changes.pop("metadata", {}))
    unknown = set(changes) - SETTABLE
    if unknown:
        return objects.not_simulated(*unknown)
    refusal = metadata_refusal(metadata)
    if refusal is not None:
        return refusal
    found |= {name: None if value == "" else value for name, value in changes.items()} | {"metadata": metadata}
    _emit(state, "customer.updated", found, headers, previous_attributes(before, found))
    return Reply(200, dict(found), effect="customer.updated")


def delete_customer(state: State, call: Call, headers: Headers) -> Reply:
    """The customer stays, as a tombstone; a second deletion finds nothing."""
    found = state["customers"].get(call.path_values[0])
    if found is None or found.get("deleted"):
        return objects.missing("id", call.path_values[0])
    _emit(state, "customer.deleted", found, headers)
    found["deleted"] = True
    return Reply(200, objects.tombstone(found), effect="customer.deleted")


def merge_metadata(old: Mapping[str, str], new: Any) -> dict[str, str]:
    """Keys are merged, '' unsets one, and '' in place of all unsets all (https://docs.stripe.com/api/metadata)."""
    if new == "":
        return {}
    return {name: value for name, value in {**old, **new}.items() if value != ""}


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
    unknown = set(call.parameters) - filters - CURSORS
    if unknown:
        return objects.not_simulated(*unknown)
    return objects.page(call.template, list(found), call.parameters, fits)


def _emit(
    state: State, kind: str, subject: Mapping[str, Any], headers: Headers, previous: Mapping[str, Any] | None = None
) -> None:
    about = {"id": headers["Request-Id"], "idempotency_key": headers.get("Idempotency-Key")}
    event = objects.event(kind, subject, int(time.time()), **about)
    if previous is not None:
        event["data"]["previous_attributes"] = dict(previous)
    state["events"].append(event)


DEEDS: dict[tuple[str, str], Callable[[State, Call, Headers], Reply]] = {
    ("GET", "/v1/customers"): list_customers,
    ("GET", "/v1/customers/{customer}"): get_customer,
    ("POST", "/v1/customers/{customer}"): update_customer,
    ("DELETE", "/v1/customers/{customer}"): delete_customer,
    ("GET", "/v1/checkout/sessions"): list_sessions,
    ("GET", "/v1/events"): list_events,
}
