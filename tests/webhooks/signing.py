"""How each sender signs, by the sender's own library where there is one, else written down again from its source."""

import base64
import datetime
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

import stripe
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from standardwebhooks import Webhook

from webhooks.signatures import (
    Signed,
    verify_secret,
    verify_standard,
    verify_stripe,
    verify_woocommerce,
    verify_wp_webhooks,
    verify_wpforms,
)

NOW_S = 1_795_400_000
FIELDS = {"email": "zoë@example.test", "first name": "Zoë", "page": "https://example.test/a?b=c&d", "newsletter": "1"}
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
MESSAGE_ID = "msg_1"
TOKEN = "X-Gdpr-Token"
PRIVATE_KEYS = {
    "whpk_" + base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode(): key
    for key in (Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32) for seed in (1, 2))
}
Headers = dict[str, str]


@dataclass(frozen=True)
class Scheme:
    """`sign(secret, at_s, raw)` is the sender's part, `verify(raw, headers, secrets, now_ms)` ours.

    `carries`: the header whose value is the proof.
    """

    name: str
    carries: str
    secrets: tuple[str, str]
    sign: Callable[[str, int, bytes], Headers]
    verify: Callable[[bytes, Mapping[str, str], tuple[str, ...], int], Signed]
    media_type: str = JSON
    has_time: bool = True
    covers_body: bool = True

    def body(self, fields: Mapping[str, str] | None = None) -> bytes:
        """As the plugin writes it: PHP escapes "/" and everything beyond ASCII in JSON."""
        return php_json(fields or FIELDS).encode() if self.media_type == JSON else urlencode(fields or FIELDS).encode()


def php_json(fields: Mapping[str, str]) -> str:
    """For texts without DEL; test_signatures.py has answers of PHP itself."""
    return json.dumps(fields, separators=(",", ":")).replace("/", "\\/")


def hmac_of(secret: str, signed: bytes) -> "hmac.HMAC":
    return hmac.new(secret.encode(), signed, hashlib.sha256)


def sign_stripe(secret: str, at_s: int, raw: bytes) -> Headers:
    text = raw.decode()
    return {"Stripe-Signature": str(stripe.WebhookSignature.generate_signature_header(text, secret, at_s))}


def sign_v1(secret: str, at_s: int, raw: bytes) -> Headers:
    moment = datetime.datetime.fromtimestamp(at_s, datetime.UTC)
    signature = Webhook(secret).sign(MESSAGE_ID, moment, raw.decode())
    return {"webhook-id": MESSAGE_ID, "webhook-timestamp": str(at_s), "webhook-signature": signature}


def sign_v1a(secret: str, at_s: int, raw: bytes) -> Headers:
    """The sender's library signs with HMAC only; this is the specification's text and an Ed25519 of another library."""
    signature = PRIVATE_KEYS[secret].sign(f"{MESSAGE_ID}.{at_s}.".encode() + raw)
    value = f"v1a,{base64.b64encode(signature).decode()}"
    return {"webhook-id": MESSAGE_ID, "webhook-timestamp": str(at_s), "webhook-signature": value}


def sign_wpforms(secret: str, at_s: int, raw: bytes) -> Headers:
    return {"X-WPForms-Webhook-Signature": f"t={at_s},v={hmac_of(secret, b'%d.%s' % (at_s, raw)).hexdigest()}"}


def sign_wpforms_form(secret: str, at_s: int, raw: bytes) -> Headers:
    """The plugin signs the JSON of its fields and never sees the form that is sent."""
    fields = dict(parse_qsl(raw.decode(), keep_blank_values=True))
    return sign_wpforms(secret, at_s, php_json(fields).encode())


def sign_base64(header: str) -> Callable[[str, int, bytes], Headers]:
    return lambda secret, _at_s, raw: {header: base64.b64encode(hmac_of(secret, raw).digest()).decode()}


def present(secret: str, _at_s: int, _raw: bytes) -> Headers:
    return {TOKEN: secret}


SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme(
            "stripe",
            "Stripe-Signature",
            ("whsec_test_0123456789abcdef", "whsec_test_fedcba9876543210"),
            sign_stripe,
            lambda raw, headers, secrets, now_ms: verify_stripe(raw, headers.get, secrets, now_ms),
        ),
        Scheme(
            "standard v1",
            "webhook-signature",
            tuple("whsec_" + base64.b64encode(bytes([seed]) * 24).decode() for seed in (1, 2)),
            sign_v1,
            lambda raw, headers, secrets, now_ms: verify_standard(raw, headers.get, secrets, now_ms),
        ),
        Scheme(
            "standard v1a",
            "webhook-signature",
            tuple(PRIVATE_KEYS),
            sign_v1a,
            lambda raw, headers, secrets, now_ms: verify_standard(raw, headers.get, secrets, now_ms),
        ),
        Scheme(
            "wpforms json",
            "X-WPForms-Webhook-Signature",
            ("wpf-secret-0123456789", "wpf-secret-9876543210"),
            sign_wpforms,
            lambda raw, headers, secrets, now_ms: verify_wpforms(raw, JSON, headers.get, secrets, now_ms),
        ),
        Scheme(
            "wpforms form",
            "X-WPForms-Webhook-Signature",
            ("wpf-secret-0123456789", "wpf-secret-9876543210"),
            sign_wpforms_form,
            lambda raw, headers, secrets, now_ms: verify_wpforms(raw, FORM, headers.get, secrets, now_ms),
            media_type=FORM,
        ),
        Scheme(
            "woocommerce",
            "X-WC-Webhook-Signature",
            ("woo-secret-0123456789", "woo-secret-9876543210"),
            sign_base64("X-WC-Webhook-Signature"),
            lambda raw, headers, secrets, _: verify_woocommerce(raw, headers.get, secrets),
            has_time=False,
        ),
        Scheme(
            "wp webhooks",
            "X-WP-Webhook-Signature",
            ("wpwh-secret-0123456789", "wpwh-secret-9876543210"),
            sign_base64("X-WP-Webhook-Signature"),
            lambda raw, headers, secrets, _: verify_wp_webhooks(raw, headers.get, secrets),
            has_time=False,
        ),
        Scheme(
            "secret",
            TOKEN,
            ("s3cret-token-of-32-chars-or-more", "another-token-of-32-chars-or-more"),
            present,
            lambda raw, headers, secrets, _: verify_secret(headers.get(TOKEN, ""), secrets),
            has_time=False,
            covers_body=False,
        ),
    )
}
