"""Push tokens: the signed statement by which Pub/Sub says who it is (OpenID Connect), checked to the last claim.

https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions; RFC 7515 (signature) and RFC 7519 (claims).
"""

import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from schemas.refusal import Refused
from schemas.strict_json import SyntaxRefused, parse_json

ISSUERS = ("https://accounts.google.com", "accounts.google.com")
SKEW_MAX_S = 10  # Google's clocks are right; this is for ours
_BEARER = re.compile(r"[Bb]earer ([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class PushSender:
    """Who may push: the account that signs, and for whom."""

    account: str
    audience: str


def verify_push_token(
    authorization: str | None, keys: Callable[[], Mapping[str, RSAPublicKey]], sender: PushSender, now_ms: int
) -> None:
    """Raises Refused 401: token_missing, token_malformed, signature_mismatch, token_outside_window, issuer_mismatch,
    audience_mismatch, account_mismatch. `keys` are only asked for when the token may be one."""
    # 1. Shape: one header field with three parts.
    if authorization is None:
        raise Refused(401, "token_missing")
    parts = _BEARER.fullmatch(authorization)
    if parts is None:
        raise Refused(401, "token_malformed")
    # 2. The one algorithm that Google signs with. A token that could choose its own would choose none at all.
    header = _decode_object(parts[1])
    key_id = header.get("kid")
    if header.get("alg") != "RS256" or not isinstance(key_id, str):
        raise Refused(401, "token_malformed")
    # 3. The signature, before any claim is believed. An unknown key and a wrong signature look the same.
    key = keys().get(key_id)
    if key is None:
        raise Refused(401, "signature_mismatch")
    try:
        key.verify(_decode(parts[3]), f"{parts[1]}.{parts[2]}".encode(), PKCS1v15(), SHA256())
    except InvalidSignature:
        raise Refused(401, "signature_mismatch") from None
    # 4. What it says: Google signs for everybody with the same keys, so each of these is needed.
    _check_claims(_decode_object(parts[2]), sender, now_ms)


def _check_claims(claims: Mapping[str, Any], sender: PushSender, now_ms: int) -> None:
    issued_at_s, expires_at_s = claims.get("iat"), claims.get("exp")
    if type(issued_at_s) is not int or type(expires_at_s) is not int:  # True is an int for isinstance
        raise Refused(401, "token_malformed")
    now_s = now_ms / 1000
    if not issued_at_s - SKEW_MAX_S <= now_s < expires_at_s + SKEW_MAX_S:
        raise Refused(401, "token_outside_window")
    if claims.get("iss") not in ISSUERS:
        raise Refused(401, "issuer_mismatch")
    if claims.get("aud") != sender.audience:  # not a list either: Google names one
        raise Refused(401, "audience_mismatch")
    # Without email_verified the address is only what somebody typed; the text "true" is not true.
    if claims.get("email") != sender.account or claims.get("email_verified") is not True:
        raise Refused(401, "account_mismatch")


def _decode_object(part: str) -> Mapping[str, Any]:
    try:
        document = parse_json(_decode(part))
    except SyntaxRefused:
        document = None
    if not isinstance(document, dict):
        raise Refused(401, "token_malformed")
    return document


def _decode(part: str) -> bytes:
    """base64url without padding (RFC 7515, 2)."""
    if len(part) % 4 == 1:  # no number of bytes has this length
        raise Refused(401, "token_malformed")
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
