"""Stripe's objects as its API shows them: customers, checkout sessions, events, lists, errors."""

import secrets
import string
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.simulators.exchange import Reply
from tests.simulators.stripe_schema import Call

ALPHABET = string.ascii_letters + string.digits
DOCUMENTATION = "https://stripe.com/docs/error-codes/"
# Stripe filters events by the first and never shows it; the second is what its search index says so far.
HIDDEN = frozenset({"delivery_success", "indexed_email"})
CURSORS = frozenset({"limit", "starting_after", "ending_before", "page"})
Object = dict[str, Any]


def new_id(prefix: str, length: int) -> str:
    """cus_ has 14 characters, evt_1 and req_ fewer or more; they are opaque, up to 255."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(length))


def customer(document: Mapping[str, Any], created: int) -> Object:
    """Raises KeyError without an e-mail (which may be null)."""
    return {
        "id": new_id("cus_", 14),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": created,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": document["email"],
        "invoice_prefix": new_id("", 8).upper(),
        "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None},
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
        **document,
    }


def guest_session(document: Mapping[str, Any], created: int) -> Object:
    """A paid checkout session of somebody for whom no customer was made. Raises KeyError without an e-mail."""
    details: Object = {"address": None, "name": None, "phone": None, "tax_exempt": "none", "tax_ids": []}
    return {
        "id": new_id("cs_test_a1", 56),
        "object": "checkout.session",
        "amount_total": 49000,
        "automatic_tax": {"enabled": False, "status": None},
        "consent": None,
        "consent_collection": None,
        "created": created,
        "currency": "nok",
        "custom_fields": [],
        "custom_text": {"shipping_address": None, "submit": None},
        "customer": document.get("customer"),
        "customer_details": {**details, "email": document["email"], "name": document.get("name")},
        "expires_at": created + 86_400,
        "livemode": False,
        "locale": "nb",
        "metadata": {},
        "mode": "payment",
        "payment_intent": None,
        "payment_link": None,
        "payment_method_types": ["card"],
        "payment_status": "paid",
        "shipping_options": [],
        "status": "complete",
        **{name: value for name, value in document.items() if name not in ("email", "name")},
    }


def event(kind: str, subject: Mapping[str, Any], created: int, **request: str | None) -> Object:
    return {
        "id": new_id("evt_1", 23),
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": created,
        "data": {"object": dict(subject)},
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": request.get("id"), "idempotency_key": request.get("idempotency_key")},
        "type": kind,
    }


def page(path: str, objects: list[Object], parameters: Mapping[str, Any], fits: Callable[[Object], bool]) -> Reply:
    """One page, newest first; `objects` are in order of creation. The cursors need not fit the filter."""
    newest_first = list(reversed(objects))
    positions = {each["id"]: position for position, each in enumerate(newest_first)}
    begin, end = 0, len(newest_first)
    for name in ("starting_after", "ending_before"):
        if name in parameters and parameters[name] not in positions:
            return missing(name, parameters[name])
    if "starting_after" in parameters:
        begin = positions[parameters["starting_after"]] + 1
    if "ending_before" in parameters:
        end = positions[parameters["ending_before"]]
    found = [each for each in newest_first[begin:end] if fits(each)]
    limit = parameters.get("limit", 10)
    shown = found[-limit:] if "ending_before" in parameters else found[:limit]
    data = [visible(each) for each in shown]
    return Reply(200, {"object": "list", "url": path, "has_more": len(found) > len(shown), "data": data})


def visible(found: Object) -> Object:
    return {name: value for name, value in found.items() if name not in HIDDEN}


def unknown_filters(call: Call, known: Iterable[str]) -> Reply | None:
    unknown = set(call.parameters) - {*known} - CURSORS
    return not_simulated(*unknown) if unknown else None


def emit(
    state: dict[str, Any],
    kind: str,
    subject: Mapping[str, Any],
    headers: Mapping[str, str],
    previous: Mapping[str, Any] | None = None,
) -> None:
    """Write the event of a change; a deletion carries no idempotency key, because the SDK sends none."""
    about = {"id": headers["Request-Id"], "idempotency_key": headers.get("Idempotency-Key")}
    made = event(kind, visible(dict(subject)), int(time.time()), **about)
    if previous is not None:
        made["data"]["previous_attributes"] = dict(previous)
    state["events"].append(made)


def merge_metadata(old: Mapping[str, str], new: Any) -> dict[str, str]:
    """Keys are merged, '' unsets one, and '' in place of all unsets all (https://docs.stripe.com/api/metadata)."""
    if new == "":
        return {}
    return {name: value for name, value in {**old, **new}.items() if value != ""}


def in_range(value: int, wanted: Any) -> bool:
    """The `created` filter: a number, or any of gt, gte, lt, lte."""
    if not isinstance(wanted, Mapping):
        return wanted is None or value == wanted
    tests = {"gt": value.__gt__, "gte": value.__ge__, "lt": value.__lt__, "lte": value.__le__}
    return all(tests[name](limit) for name, limit in wanted.items())


def error(status: int, kind: str, message: str, **more: str) -> Reply:
    """The shape of https://docs.stripe.com/api/errors; `more` are code and param."""
    body = {"message": message, "type": kind, **more}
    if "code" in more:
        body["doc_url"] = DOCUMENTATION + more["code"].replace("_", "-")
    return Reply(status, {"error": body})


def tombstone(deleted: Mapping[str, Any]) -> Object:
    """All that Stripe shows of a deleted customer."""
    return {"id": deleted["id"], "object": "customer", "deleted": True}


def not_simulated(*names: str) -> Reply:
    """Allowed by Stripe, missing here: loud, so that no test passes on an answer that nobody wrote."""
    what = f"not simulated: {', '.join(sorted(names))}"
    return Reply(501, {"error": {"type": "not_simulated", "message": what}}, violation=what, saved=False)


def missing(parameter: str, wanted: str, kind: str = "customer") -> Reply:
    message = f"No such {kind}: '{wanted}'"
    return error(404, "invalid_request_error", message, code="resource_missing", param=parameter)
