"""Make the events of tests/fixtures/stripe: every member that Stripe describes an object by, filled with a canary.

    python -m tests.simulators.fill_stripe_events FULL.json [FOLDER]

FULL.json is `openapi/spec3` of https://github.com/stripe/openapi as JSON, API version 2023-08-16. What is newer is
added by hand here.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "fixtures" / "stripe"
CANARY, CANARY_NUMBER = "kanari7f3a", 7_319_731
DEPTH_MAX = 3
# Object: the types of events that are about it.
EVENTS: Mapping[str, tuple[str, ...]] = {
    "checkout.session": (
        *("checkout.session.completed", "checkout.session.async_payment_succeeded", "checkout.session.expired"),
    ),
    "customer": ("customer.created", "customer.updated", "customer.deleted"),
    "subscription": tuple(
        f"customer.subscription.{what}" for what in ("created", "updated", "deleted", "paused", "resumed")
    ),
    "tax_id": ("customer.tax_id.created", "customer.tax_id.updated", "customer.tax_id.deleted"),
    "invoice": ("invoice.paid",),
    "charge": ("charge.refunded",),
    "refund": ("refund.created",),
    "dispute": ("charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed"),
    "payment_link": ("payment_link.created", "payment_link.updated"),
    "payment_method": ("payment_method.attached", "payment_method.detached"),
    "radar.early_fraud_warning": ("radar.early_fraud_warning.created", "radar.early_fraud_warning.updated"),
    "review": ("review.opened", "review.closed"),
    "identity.verification_session": ("identity.verification_session.redacted",),
}
NEWER: Mapping[str, Mapping[str, Any]] = {
    "checkout.session": {
        "customer_account": f"acct_{CANARY}",
        "collected_information": {"shipping_details": {"name": CANARY}, "individual_name": CANARY},
        "client_secret": CANARY,
    },
    "customer": {"customer_account": f"acct_{CANARY}", "business_name": CANARY, "individual_name": CANARY},
    "invoice": {"customer_account": f"acct_{CANARY}", "parent": {"subscription_details": {"subscription": CANARY}}},
    "subscription": {"customer_account": f"acct_{CANARY}"},
}


def fill(schema: Mapping[str, Any], components: Mapping[str, Any], name: str, depth: int = 0) -> Any:
    """One value of a schema; strings and numbers are canaries, enums are their first value."""
    if "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:  # an id or the object itself: the object says more
        choices = schema["anyOf"]
        return fill(choices[-1 if depth < DEPTH_MAX else 0], components, name, depth)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return fill_object(schema, components, depth)
        case "array":
            return [fill(schema["items"], components, name, depth + 1)] if depth < DEPTH_MAX else []
        case "boolean":
            return True
        case "integer" | "number":
            return CANARY_NUMBER
    return f"{CANARY}@example.test" if "email" in name else CANARY


def fill_object(schema: Mapping[str, Any], components: Mapping[str, Any], depth: int) -> dict[str, Any]:
    if depth >= DEPTH_MAX:
        return {}
    members = schema.get("properties")
    if members is None:
        return {CANARY: CANARY}  # metadata: any key, any value
    return {name: fill(each, components, name, depth + 1) for name, each in members.items()}


def subject(kind: str, components: Mapping[str, Any]) -> dict[str, Any]:
    return {**fill_object(components[kind], components, 0), **NEWER.get(kind, {}), "object": kind}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("full", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    arguments = parser.parse_args()
    components = json.loads(arguments.full.read_text())["components"]["schemas"]
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for kind in EVENTS:
        text = json.dumps(subject(kind, components), separators=(",", ":"), sort_keys=True)
        (arguments.folder / f"{kind}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
