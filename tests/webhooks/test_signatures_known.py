"""Known answers: what real plugins, PHP itself and a specification signed, kept as it was."""

import base64
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from schemas.refusal import Refused
from webhooks.signatures import Signed, verify_standard, verify_woocommerce, verify_wpforms

VECTORS = Path(__file__).resolve().parents[1] / "fixtures" / "vectors" / "signatures.json"
KNOWN: list[dict[str, Any]] = json.loads(VECTORS.read_text(encoding="utf-8"))
PHP = next(known for known in KNOWN if "PHP" in known["origin"])
WOOCOMMERCE = next(known for known in KNOWN if known["scheme"] == "woocommerce")


def verify(known: dict[str, Any], raw: bytes, secret: str) -> Signed:
    header, secrets, now_ms = known["headers"].get, (secret,), (known["at_s"] or 0) * 1000
    if known["scheme"] == "wpforms":
        return verify_wpforms(raw, known["media_type"], header, secrets, now_ms)
    if known["scheme"] == "woocommerce":
        return verify_woocommerce(raw, header, secrets)
    return verify_standard(raw, header, secrets, now_ms)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known["origin"])
def test_what_others_signed_verifies_and_nothing_near_it(known: dict[str, Any]) -> None:
    raw = known["body"].encode()
    verify(known, raw, known["secret"])
    for changed, secret in ((raw + b" ", known["secret"]), (raw[:-1], known["secret"]), (raw, known["secret"] + "x")):
        with pytest.raises(Refused):
            verify(known, changed, secret)


@pytest.mark.parametrize(("of", "instead"), [("+", "%20"), ("%2F", "/"), ("zoe", "%7aoe")])
def test_the_form_of_wpforms_is_its_fields_however_they_are_escaped(of: str, instead: str) -> None:
    raw = PHP["body"].replace(of, instead).encode()
    assert raw != PHP["body"].encode()
    verify(PHP, raw, PHP["secret"])


@pytest.mark.parametrize(
    "change",
    [
        ("&1=one", ""),  # a field less
        ("&1=one", "&1=one&2="),  # a field more, though it is empty
        ("&1=one", "&1=one&1=one"),  # a field twice
        ("email=zoe%40", "email=bo%40"),
        ("%5Cu007f", "%7F"),  # a letter for its own escape
        ("%7F", "%5Cu007f"),
        ("%F0%9F%98%80", "%F0%9F%98"),  # no text any more
        ("x%7F", "x%"),  # no form any more
    ],
)
def test_the_form_of_wpforms_is_exactly_its_fields(change: tuple[str, str]) -> None:
    raw = PHP["body"].replace(*change).encode()
    assert raw != PHP["body"].encode()
    with pytest.raises(Refused) as caught:
        verify(PHP, raw, PHP["secret"])
    assert (caught.value.status, caught.value.reason) == (401, "signature_mismatch")


def test_a_form_is_not_json_that_happens_to_be_signed_and_json_is_no_form() -> None:
    for media_type in ("application/json", "text/plain", ""):
        with pytest.raises(Refused):
            verify(PHP | {"media_type": media_type}, PHP["body"].encode(), PHP["secret"])


@pytest.mark.parametrize("secret", ["a&copy=1", "a&LT;b", "a&#x3c;b", "a&amp", "a&amp;lt;b"])
def test_of_a_secret_of_woocommerce_only_what_wordpress_decodes_is_decoded(secret: str) -> None:
    key = secret.replace("&amp;", "&")  # once: what comes out is not decoded again
    proof = base64.b64encode(hmac.digest(key.encode(), b"{}", "sha256")).decode()
    verify_woocommerce(b"{}", {"X-WC-Webhook-Signature": proof}.get, (secret,))


@pytest.mark.parametrize("spelled", ["&#60;&#38;&#0062;&#34;", "&lt;&#x26;&gt;&#X22;", "<&>&#034;"])
def test_every_spelling_that_wordpress_decodes_is_the_same_secret(spelled: str) -> None:
    verify(WOOCOMMERCE, WOOCOMMERCE["body"].encode(), f"woo-secret-{spelled}x")


def test_the_unsigned_ping_of_woocommerce_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        verify_woocommerce(b"webhook_id=1", {}.get, ("a secret",))
    assert (caught.value.status, caught.value.reason) == (401, "signature_malformed")
