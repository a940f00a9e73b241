"""Make the small copy of Stripe's OpenAPI description that the simulator checks requests against.

    python -m tests.simulators.trim_stripe_spec FULL.json [TRIMMED.json]

FULL.json is `openapi/spec3` of https://github.com/stripe/openapi as JSON, API version 2023-08-16.
"""

import argparse
import json
from pathlib import Path
from typing import Any

TRIMMED = Path(__file__).parents[1] / "fixtures" / "specs" / "stripe-openapi-2023-08-16.trimmed.json"

OPERATIONS = {
    "/v1/customers": ["get"],
    "/v1/customers/search": ["get"],
    "/v1/customers/{customer}": ["get", "post", "delete"],
    "/v1/customers/{customer}/payment_methods": ["get"],
    "/v1/customers/{customer}/tax_ids": ["get"],
    "/v1/customers/{customer}/tax_ids/{id}": ["delete"],
    "/v1/checkout/sessions": ["get"],
    "/v1/checkout/sessions/{session}": ["get"],
    "/v1/events": ["get"],
    "/v1/events/{id}": ["get"],
    "/v1/subscriptions": ["get"],
    "/v1/subscriptions/{subscription_exposed_id}": ["get", "post", "delete"],
    "/v1/payment_methods/{payment_method}/detach": ["post"],
    "/v1/invoices": ["get"],
    "/v1/invoices/{invoice}": ["get", "post"],
    "/v1/charges": ["get"],
    "/v1/payment_intents": ["get"],
    "/v1/refunds": ["get"],
    "/v1/disputes": ["get"],
}
# What the simulator answers with; a reference to anything else becomes {} = anything.
ANSWERS = (
    "api_errors",
    "checkout.session",
    "customer",
    "deleted_customer",
    "error",
    "event",
    "notification_event_data",
    "notification_event_request",
)
DROPPED = ("description", "title", "summary", "tags", "encoding", "externalDocs")
LICENCE = (
    "MIT License. Copyright (c) Stripe, Inc. (https://stripe.com). Permission is hereby granted, free of charge, "
    'to any person obtaining a copy of this software and associated documentation files (the "Software"), to '
    "deal in the Software without restriction, including without limitation the rights to use, copy, modify, "
    "merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom "
    "the Software is furnished to do so, subject to the following conditions: The above copyright notice and "
    "this permission notice shall be included in all copies or substantial portions of the Software. THE "
    'SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED '
    "TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT "
    "SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN "
    "ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE "
    "OR OTHER DEALINGS IN THE SOFTWARE."
)


def prune(node: Any, names_are_data: bool = False) -> Any:
    """Drop prose and vendor extensions; a property that happens to be called `description` stays."""
    if isinstance(node, list):
        return [prune(each) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node and not names_are_data:
        return node if node["$ref"].rpartition("/")[2] in ANSWERS else {}
    return {
        key: prune(value, names_are_data=key == "properties" and not names_are_data)
        for key, value in node.items()
        if names_are_data or not (key in DROPPED or key.startswith("x-"))
    }


def trim(full: dict[str, Any]) -> dict[str, Any]:
    """Raises KeyError where the full description lacks an operation."""
    schemas = full["components"]["schemas"]
    return {
        "openapi": full["openapi"],
        "info": {
            "title": full["info"]["title"],
            "version": full["info"]["version"],
            "license": {"name": "MIT", "url": "https://github.com/stripe/openapi/blob/master/LICENSE"},
            "x-licence-text": LICENCE,
            "x-source": "https://github.com/stripe/openapi, openapi/spec3.yaml at commit 63a67463 (2023-09-12)",
            "x-changes": "trimmed by tests/simulators/trim_stripe_spec.py: operations, prose, answer schemas",
        },
        "paths": {
            path: {method: prune(full["paths"][path][method]) for method in methods}
            for path, methods in OPERATIONS.items()
        },
        "components": {"schemas": {name: prune(schemas[name]) for name in ANSWERS}},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("full", type=Path)
    parser.add_argument("trimmed", type=Path, nargs="?", default=TRIMMED)
    arguments = parser.parse_args()
    trimmed = trim(json.loads(arguments.full.read_text()))
    arguments.trimmed.write_text(json.dumps(trimmed, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
