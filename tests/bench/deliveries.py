"""The requests: whole HTTP texts, each with an id and an address of its own, signed beforehand."""

import json
import secrets
import string
import time
from collections.abc import Mapping
from typing import Any

from tests.world import STRIPE_SECRET, checkout_event, signed_headers, stripe_header

FORM, STRIPE = "form", "stripe"
KINDS = (FORM, STRIPE)
FORM_KEY = "newsletter"
PATHS = {FORM: f"/webhooks/forms/{FORM_KEY}", STRIPE: "/webhooks/stripe"}

# The members of a Checkout Session that we do not read (docs.stripe.com/api/checkout/sessions/object): they make
# the body as long as Stripe's, about 3 KB.
_EMPTY = (
    "after_expiration allow_promotion_codes client_reference_id client_secret collected_information consent_collection "
    "currency_conversion customer_creation customer_email discounts invoice origin_context payment_link "
    "payment_method_collection recovered_from setup_intent shipping_cost submit_type subscription ui_mode url"
)
UNREAD: dict[str, object] = dict.fromkeys(_EMPTY.split()) | {
    "adaptive_pricing": {"enabled": False},
    "amount_subtotal": 49900,
    "amount_total": 49900,
    "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
    "billing_address_collection": "auto",
    "cancel_url": "https://www.example.no/kurv",
    "currency": "nok",
    "custom_text": {
        "after_submit": None,
        "shipping_address": None,
        "submit": None,
        "terms_of_service_acceptance": None,
    },
    "expires_at": 1_900_000_000,
    "invoice_creation": {
        "enabled": False,
        "invoice_data": {"account_tax_ids": None, "custom_fields": None, "footer": None, "metadata": {}},
    },
    "mode": "payment",
    "payment_intent": "pi_test_000000000000000000000000",
    "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
    "payment_method_types": ["card", "klarna", "link"],
    "permissions": None,
    "phone_number_collection": {"enabled": True},
    "saved_payment_method_options": {"allow_redisplay_filters": ["always"], "payment_method_remove": None},
    "shipping_address_collection": {"allowed_countries": ["NO", "SE", "DK"]},
    "shipping_options": [],
    "status": "complete",
    "success_url": "https://www.example.no/takk?session_id={CHECKOUT_SESSION_ID}",
    "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 9980},
    "wallet_options": None,
}


def make_requests(kind: str, count: int, path: str | None = None) -> list[bytes]:
    """`count` requests that differ in id and address; signed now, so to be sent within five minutes.

    `path`: where they go to, if not to our own.
    """
    make = _form_request if kind == FORM else _stripe_request
    return [make(path or PATHS[kind]) for _ in range(count)]


def _form_request(path: str) -> bytes:
    unique = _letters()
    body = {
        "email": f"kari.{unique}@example.no",
        "first_name": "Kari",
        "last_name": "Nordmann",
        "company": "Eksempel AS",
        "newsletter": "yes",
    }
    raw = json.dumps(body)
    return _http(path, raw, signed_headers(raw, f"msg_{unique}", int(time.time())))


def _stripe_request(path: str) -> bytes:
    raw = json.dumps(_stripe_event(_letters()), indent=2)  # as Stripe sends it
    return _http(path, raw, {"Stripe-Signature": stripe_header(raw, int(time.time()), STRIPE_SECRET)})


def stripe_session(session_id: str) -> dict[str, object]:
    """A Checkout Session as Stripe's API shows it, with no other object of theirs in it."""
    session: dict[str, object] = _stripe_event(_letters())["data"]["object"]
    return session | {"id": session_id, "payment_intent": None}


def _stripe_event(unique: str) -> dict[str, Any]:
    details = {
        "address": {"city": "Oslo", "country": "NO", "line1": "Storgata 1", "line2": None, "postal_code": "0155"},
        "email": f"kari.{unique}@example.no",
        "name": "Kari Nordmann",
        "phone": "+4790000000",
        "tax_exempt": "none",
        "tax_ids": [],
    }
    session = UNREAD | {"id": f"cs_test_{unique}", "customer_details": details}
    return checkout_event(f"evt_{unique}", session=session, request={"id": None, "idempotency_key": None})


def _letters() -> str:
    """Random, and without digits: a long number in an address may be taken for a card's or a person's, and parked."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))


def _http(path: str, raw: str, headers: Mapping[str, str]) -> bytes:
    body = raw.encode()
    fields = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
