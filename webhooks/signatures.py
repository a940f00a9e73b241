"""Signatures of senders: over the raw bytes, within a window on both sides of our clock, several secrets live.

Every function raises Refused(401) or returns which secret matched. There is no bool to forget.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable

from ledger.reception import Signed
from schemas.refusal import Refused

TOLERANCE_S = 300  # https://docs.stripe.com/webhooks#replay-attacks; Standard Webhooks recommends the same
HEADER_SIZE_MAX = 4096
SIGNATURES_MAX = 10
STANDARD_PREFIX = "whsec_"
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
# No full stop: it stands between id and timestamp, and a second one would let the two be cut elsewhere (spec,
# "Signature scheme").
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_:-]{1,200}")


def fingerprint(secret: str) -> str:
    """Names a secret in records without revealing it; secrets are long and random."""
    return hashlib.sha256(b"samtykke/key-id\x00" + secret.encode()).hexdigest()[:8]


def verify_stripe(raw: bytes, header: str, secrets: Iterable[str], now_ms: int) -> Signed:
    """`Stripe-Signature: t=<unix>,v1=<hex>[,v1=…]`, HMAC-SHA256 of "t.body".

    https://docs.stripe.com/webhooks#verify-manually. stripe's own SDK checks the past side of the clock only.
    """
    parts = [part.partition("=") for part in _bounded(header).split(",")]
    timestamps = [value for name, _, value in parts if name.strip() == "t"]
    signatures = [value for name, _, value in parts if name.strip() == "v1"][:SIGNATURES_MAX]
    if len(timestamps) != 1 or not signatures:
        raise Refused(401, "signature_malformed")
    at_s = _timestamp(timestamps[0])
    signed = timestamps[0].encode() + b"." + raw
    key_id = _match(
        ((secret, hmac.digest(secret.encode(), signed, "sha256").hex().encode()) for secret in secrets),
        [signature.encode("ascii", "replace") for signature in signatures],
    )
    _within(at_s, now_ms)
    return Signed(key_id, at_s * 1000)


def verify_standard(raw: bytes, header: Callable[[str, str], str], secrets: Iterable[str], now_ms: int) -> Signed:
    """Standard Webhooks: `v1,base64(HMAC-SHA256(key, "id.timestamp.body"))`.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    message_id = _bounded(header("webhook-id", ""))
    timestamp = _bounded(header("webhook-timestamp", ""))
    candidates = _bounded(header("webhook-signature", "")).split(" ")[:SIGNATURES_MAX]
    if not _MESSAGE_ID.fullmatch(message_id):
        raise Refused(401, "signature_malformed")
    at_s = _timestamp(timestamp)
    signed = f"{message_id}.{timestamp}.".encode() + raw
    expected = []
    for secret in secrets:
        if key := _standard_key(secret):  # anybody can sign with an empty key
            digest = hmac.digest(key, signed, "sha256")
            expected.append((secret, b"v1," + base64.b64encode(digest)))
    key_id = _match(expected, [candidate.encode("ascii", "replace") for candidate in candidates])
    _within(at_s, now_ms)
    return Signed(key_id, at_s * 1000, message_id)


def verify_secret(presented: str, secrets: Iterable[str]) -> Signed:
    """A shared secret in a header or in the path, for senders that cannot sign. Proves the sender, not the body."""
    if not presented:
        raise Refused(401, "secret_missing")
    given = hashlib.sha256(_bounded(presented).encode("utf-8", "replace")).digest()
    expected = ((secret, hashlib.sha256(secret.encode()).digest()) for secret in secrets)
    return Signed(_match(expected, [given], reason="secret_mismatch"))


def _bounded(text: str) -> str:
    if len(text) > HEADER_SIZE_MAX:
        raise Refused(401, "signature_malformed")
    return text


def _timestamp(text: str) -> int:
    if not _TIMESTAMP.fullmatch(text):
        raise Refused(401, "signature_malformed")
    return int(text)


def _standard_key(secret: str) -> bytes:
    encoded = secret.removeprefix(STANDARD_PREFIX)
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)  # some senders cut the padding off
    except (binascii.Error, ValueError):
        # Our own configuration; a secret that was never base64 is used as it is written.
        return secret.encode()


def _match(expected: Iterable[tuple[str, bytes]], given: list[bytes], reason: str = "signature_mismatch") -> str:
    """The fingerprint of the secret that fits. Every secret is tried against every candidate, found or not."""
    found, tried = None, False
    for secret, value in expected:
        tried = True
        for candidate in given:
            if hmac.compare_digest(value, candidate):
                found = secret
    if not tried:
        raise Refused(401, "no_secret_configured")
    if found is None:
        raise Refused(401, reason)
    return fingerprint(found)


def _within(at_s: int, now_ms: int) -> None:
    """After the signature, so that only somebody who holds the secret learns anything about our clock."""
    if abs(at_s * 1000 - now_ms) > TOLERANCE_S * 1000:
        raise Refused(401, "signature_outside_window")
