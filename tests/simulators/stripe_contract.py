"""Stripe's published description of its API, applied strictly to every request.

First witness: the trimmed OpenAPI file (API version 2023-08-16) for paths, types and enums. Second witness: the
typed parameters of the installed `stripe` package for the names of today's version. A name has to have both, unless
it is listed as younger than the description. Redaction jobs have neither: see stripe_preview.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import stripe.params
import stripe.params.checkout

from tests.simulators import stripe_preview
from tests.simulators.stripe_schema import Call, ContractViolation, Schema, conform, decode_brackets, typed

SPECIFICATION = Path(__file__).parents[1] / "fixtures" / "specs" / "stripe-openapi-2023-08-16.trimmed.json"
FORM = "application/x-www-form-urlencoded"
LIMIT_MAX = 100  # in the description's prose only: "Limit can range between 1 and 100"
TODAY: dict[tuple[str, str], type] = {
    ("GET", "/v1/customers"): stripe.params.CustomerListParams,
    ("GET", "/v1/customers/search"): stripe.params.CustomerSearchParams,
    ("POST", "/v1/customers/{customer}"): stripe.params.CustomerUpdateParams,
    ("GET", "/v1/customers/{customer}/payment_methods"): stripe.params.CustomerPaymentMethodListParams,
    ("GET", "/v1/checkout/sessions"): stripe.params.checkout.SessionListParams,
    ("GET", "/v1/customers/{customer}/tax_ids"): stripe.params.CustomerTaxIdListParams,
    ("GET", "/v1/charges"): stripe.params.ChargeListParams,
    ("GET", "/v1/payment_intents"): stripe.params.PaymentIntentListParams,
    ("GET", "/v1/refunds"): stripe.params.RefundListParams,
    ("GET", "/v1/disputes"): stripe.params.DisputeListParams,
    ("POST", "/v1/payment_methods/{payment_method}/detach"): stripe.params.PaymentMethodDetachParams,
    ("GET", "/v1/events"): stripe.params.EventListParams,
    ("GET", "/v1/subscriptions"): stripe.params.SubscriptionListParams,
    ("POST", "/v1/subscriptions/{subscription_exposed_id}"): stripe.params.SubscriptionUpdateParams,
    ("DELETE", "/v1/subscriptions/{subscription_exposed_id}"): stripe.params.SubscriptionCancelParams,
    ("GET", "/v1/invoices"): stripe.params.InvoiceListParams,
    ("POST", "/v1/invoices/{invoice}"): stripe.params.InvoiceUpdateParams,
}
# As of 2026-11-25: known to stripe 16.1.0 and not to the description of 2023-08-16. Each holds a single value.
YOUNGER = {("POST", "/v1/customers/{customer}"): frozenset({"business_name", "individual_name"})}


class StripeContract:
    """Checks requests, and the simulator's own answers, against the description."""

    def __init__(self) -> None:
        document = json.loads(SPECIFICATION.read_text())
        self._paths: dict[str, Any] = {**document["paths"], **stripe_preview.PATHS}
        self._components: dict[str, Schema] = document["components"]["schemas"]

    def check(self, method: str, segments: Sequence[str], pairs: Sequence[tuple[str, str]]) -> Call:
        """Raises ContractViolation for an unknown path, parameter, type or enum value."""
        template = self._template(method, segments)
        shapes, required = self._expected(method, template)
        given = decode_brackets(pairs)
        missing = sorted(required - set(given))
        if missing:
            raise ContractViolation(f"missing parameter: {', '.join(missing)}")
        witness = TODAY.get((method, template))
        today = None if witness is None else set(witness.__annotations__)
        younger = YOUNGER.get((method, template), frozenset())
        parameters = {name: self._parameter(name, value, shapes, today, younger) for name, value in given.items()}
        if not 1 <= parameters.get("limit", 1) <= LIMIT_MAX:
            raise ContractViolation("not between 1 and 100: limit")
        values = (value for name, value in zip(parts(template), segments, strict=True) if name.startswith("{"))
        return Call(method, template, tuple(values), parameters)

    def check_answer(self, method: str, template: str, answer: Any) -> None:
        """The simulator's own 200 answer. Raises ContractViolation."""
        content = self._paths[template][method.lower()]["responses"]["200"]["content"]
        conform(answer, content["application/json"]["schema"], self._components)

    def _template(self, method: str, segments: Sequence[str]) -> str:
        # /v1/customers/search fits {customer} as well: the fewest placeholders win.
        fitting = sorted((each for each in self._paths if fits(each, segments)), key=lambda each: each.count("{"))
        for template in fitting:
            if method.lower() in self._paths[template]:
                return template
        raise ContractViolation("unknown path or method")

    def _expected(self, method: str, template: str) -> tuple[dict[str, Schema], set[str]]:
        """Schemas by parameter name, and the required names."""
        operation = self._paths[template][method.lower()]
        body = operation["requestBody"]["content"][FORM]["schema"]
        queries = [each for each in operation.get("parameters", ()) if each["in"] == "query"]
        shapes = {each["name"]: each["schema"] for each in queries} | body["properties"]
        required = {each["name"] for each in queries if each["required"]} | set(body.get("required", ()))
        return shapes, required

    @staticmethod
    def _parameter(
        name: str, value: Any, shapes: Mapping[str, Schema], today: set[str] | None, younger: frozenset[str]
    ) -> Any:
        if today is not None and name not in today:
            raise ContractViolation(f"unknown parameter: {name}")
        if name in shapes:
            return typed(value, shapes[name], name)
        if name not in younger or not isinstance(value, str):
            raise ContractViolation(f"unknown parameter: {name}")
        return value


def parts(template: str) -> list[str]:
    return template.split("/")[1:]


def fits(template: str, segments: Sequence[str]) -> bool:
    """Whether the path is this template's; a placeholder takes anything but nothing."""
    names = parts(template)
    if len(names) != len(segments):
        return False
    return all(
        value != "" if name.startswith("{") else name == value for name, value in zip(names, segments, strict=True)
    )
