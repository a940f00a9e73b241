"""Signatures of senders: over the raw bytes, within a window on both sides of our clock, several secrets live.

Every function raises Refused(401) or returns which secret matched. There is no bool to forget. `header` is a function
like `request.headers.get`. A server joins repeated headers with ", " (RFC 9110, 5.3): no scheme here takes two.
"""

import base64
import hashlib
import hmac
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.reception import Signed
from ledger.senders import fingerprint
from schemas.form_body import parse_form
from schemas.refusal import Refused
from schemas.strict_json import SyntaxRefused

TOLERANCE_S = 300  # https://docs.stripe.com/webhooks#replay-attacks; Standard Webhooks recommends the same
HEADER_SIZE_MAX = 4096
SIGNATURES_MAX = 10
SYMMETRIC, PUBLIC = "whsec_", "whpk_"  # how Standard Webhooks writes a secret, and a public key
FORM = "application/x-www-form-urlencoded"
Header = Callable[[str, str], str]

_TIMESTAMP = re.compile(r"[0-9]{1,12}")
# No full stop: it stands between id and timestamp, and a second one would let the two be cut elsewhere (spec,
# "Signature scheme").
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_:-]{1,200}")
# What WordPress' wp_specialchars_decode(…, ENT_QUOTES) decodes (wp-includes/formatting.php); html.unescape alone would
# take "&copy" for an entity too.
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|#0*(?:34|38|39|60|62)|#[xX]0*(?:22|26|27));")


def verify_stripe(raw: bytes, header: Header, secrets: Iterable[str], now_ms: int) -> Signed:
    """`Stripe-Signature: t=<unix>,v1=<hex>[,v1=…]`, HMAC-SHA256 of "t.body".

    https://docs.stripe.com/webhooks#verify-manually. stripe's own SDK checks the past side of the clock only.
    """
    timestamp, candidates = _timed(header("Stripe-Signature", ""), "v1")
    return _verify_timed(raw, timestamp, candidates, secrets, now_ms)


def verify_wpforms(raw: bytes, media_type: str, header: Header, secrets: Iterable[str], now_ms: int) -> Signed:
    """`X-WPForms-Webhook-Signature: t=<unix>,v=<hex>`, HMAC-SHA256 of "t.body".

    Sent as a form, what it signs is not the form but the JSON that PHP would make of its fields (the addon's
    Process::generate_signature).
    """
    timestamp, candidates = _timed(header("X-WPForms-Webhook-Signature", ""), "v")
    body = _as_php_json(raw) if media_type == FORM else raw
    return _verify_timed(body, timestamp, candidates, secrets, now_ms)


def verify_woocommerce(raw: bytes, header: Header, secrets: Iterable[str]) -> Signed:
    """`X-WC-Webhook-Signature: base64(HMAC-SHA256(body))`, without a time.

    WooCommerce decodes entities in its secret before it signs (WC_Webhook::generate_signature), so either spelling may
    have been pasted here. Its ping at creation is not signed and is refused like anything else unsigned.
    """
    candidates = _one_signature(header("X-WC-Webhook-Signature", ""))
    usable = _usable(secrets)
    return Signed(_match((one, _is_one_of(_base64_hmac(_decoded(one), raw), candidates)) for one in usable))


def verify_wp_webhooks(raw: bytes, header: Header, secrets: Iterable[str]) -> Signed:
    """`X-WP-Webhook-Signature: base64(HMAC-SHA256(body))`, without a time (WP Webhooks' generate_trigger_signature)."""
    candidates = _one_signature(header("X-WP-Webhook-Signature", ""))
    return Signed(_match((one, _is_one_of(_base64_hmac(one.encode(), raw), candidates)) for one in _usable(secrets)))


def verify_standard(raw: bytes, header: Header, secrets: Iterable[str], now_ms: int) -> Signed:
    """Standard Webhooks: `v1,base64(HMAC-SHA256(…))` or `v1a,base64(Ed25519(…))` of "id.timestamp.body".

    A secret that begins with `whpk_` is a public key and verifies `v1a` only; any other verifies `v1` only.
    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    message_id = _bounded(header("webhook-id", ""))
    timestamp = _bounded(header("webhook-timestamp", ""))
    candidates = _bounded(header("webhook-signature", "")).split(" ")[:SIGNATURES_MAX]
    if not _MESSAGE_ID.fullmatch(message_id) or not _TIMESTAMP.fullmatch(timestamp):
        raise Refused(401, "signature_malformed")
    if any(candidate.count(",") > 1 for candidate in candidates):  # two headers, joined
        raise Refused(401, "signature_malformed")
    key_id = _match(_try_standard(secrets, f"{message_id}.{timestamp}.".encode() + raw, candidates))
    return Signed(key_id, _within(timestamp, now_ms), message_id)


def verify_secret(presented: str, secrets: Iterable[str]) -> Signed:
    """A shared secret in a header or in the path, for senders that cannot sign. Proves the sender, not the body."""
    if not presented:
        raise Refused(401, "secret_missing")
    given = [_sha256(_bounded(presented))]  # hashed, so that not even the length can be measured
    return Signed(_match(((one, _is_one_of(_sha256(one), given)) for one in _usable(secrets)), "secret_mismatch"))


def _verify_timed(
    body: bytes, timestamp: str, candidates: Sequence[bytes], secrets: Iterable[str], now_ms: int
) -> Signed:
    signed = timestamp.encode() + b"." + body
    key_id = _match((one, _is_one_of(_hex_hmac(one, signed), candidates)) for one in _usable(secrets))
    return Signed(key_id, _within(timestamp, now_ms))


def _try_standard(secrets: Iterable[str], signed: bytes, candidates: Sequence[str]) -> Iterator[tuple[str, bool]]:
    symmetric = [_ascii(one.removeprefix("v1,")) for one in candidates if one.startswith("v1,")]
    asymmetric = [one.removeprefix("v1a,") for one in candidates if one.startswith("v1a,")]
    for secret in secrets:
        if secret.startswith(PUBLIC):
            if public := _public_key(secret):
                yield secret, any(_is_signed_by(public, signed, one) for one in asymmetric)
        elif key := _standard_key(secret):
            yield secret, _is_one_of(_base64_hmac(key, signed), symmetric)


def _bounded(text: str) -> str:
    if len(text) > HEADER_SIZE_MAX:
        raise Refused(401, "signature_malformed")
    return text


def _timed(header: str, version: str) -> tuple[str, list[bytes]]:
    """Timestamp and signatures of a header "t=…,v1=…,v1=…"."""
    parts = [part.partition("=") for part in _bounded(header).split(",")]
    timestamps = [value for name, _, value in parts if name.strip() == "t"]
    signatures = [_ascii(value) for name, _, value in parts if name.strip() == version]
    if len(timestamps) != 1 or not signatures or not _TIMESTAMP.fullmatch(timestamps[0]):
        raise Refused(401, "signature_malformed")
    return timestamps[0], signatures[:SIGNATURES_MAX]


def _one_signature(header: str) -> list[bytes]:
    if not header or "," in _bounded(header):  # none, or two headers, joined
        raise Refused(401, "signature_malformed")
    return [_ascii(header)]


def _ascii(text: str) -> bytes:
    return text.encode("ascii", "replace")


def _usable(secrets: Iterable[str]) -> Iterator[str]:
    """Anybody can sign with an empty key, or with a prefix that nothing was pasted behind."""
    return (secret for secret in secrets if secret not in ("", SYMMETRIC, PUBLIC))


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _hex_hmac(secret: str, signed: bytes) -> bytes:
    return hmac.digest(secret.encode(), signed, "sha256").hex().encode()


def _base64_hmac(key: bytes, signed: bytes) -> bytes:
    return base64.b64encode(hmac.digest(key, signed, "sha256"))


def _decoded(secret: str) -> bytes:
    return _ENTITY.sub(lambda found: html.unescape(found[0]), secret).encode()


def _as_php_json(raw: bytes) -> bytes:
    """A form body as PHP's json_encode writes its fields: in order, every value a text.

    Raises Refused: no sender signs a body that is not a form.
    """
    try:
        fields = parse_form(raw)
    except SyntaxRefused:
        raise Refused(401, "signature_mismatch") from None
    return f"{{{','.join(f'{_php_text(name)}:{_php_text(value)}' for name, value in fields.items())}}}".encode()


def _php_text(text: str) -> str:
    """As json.dumps, but "/" is escaped and DEL is not (php-src, ext/json/json_encoder.c)."""
    return '"' + "\x7f".join(json.dumps(part)[1:-1] for part in text.split("\x7f")).replace("/", "\\/") + '"'


def _standard_key(secret: str) -> bytes:
    try:
        return _unpadded(secret.removeprefix(SYMMETRIC))
    except ValueError:
        # Our own configuration; a secret that was never base64 is used as it is written.
        return secret.encode()


def _public_key(secret: str) -> Ed25519PublicKey | None:
    """None if it is no key: then it verifies nothing."""
    try:
        return Ed25519PublicKey.from_public_bytes(_unpadded(secret.removeprefix(PUBLIC)))
    except ValueError:
        return None


def _unpadded(encoded: str) -> bytes:
    """Base64 whose padding may have been cut off, as some senders do. ValueError if it is not base64."""
    return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)


def _is_signed_by(key: Ed25519PublicKey, signed: bytes, candidate: str) -> bool:
    try:
        key.verify(base64.b64decode(candidate, validate=True), signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _is_one_of(expected: bytes, candidates: Iterable[bytes]) -> bool:
    """Compared with each, found or not, in constant time."""
    return sum(hmac.compare_digest(expected, candidate) for candidate in candidates) > 0


def _match(tries: Iterable[tuple[str, bool]], reason: str = "signature_mismatch") -> str:
    """The fingerprint of the first secret that fits: the newest, where a sender signs with both. All are tried."""
    fitting, tried = [], False
    for secret, fits in tries:
        tried = True
        if fits:
            fitting.append(secret)
    if not tried:
        raise Refused(401, "no_secret_configured")
    if not fitting:
        raise Refused(401, reason)
    return fingerprint(fitting[0])


def _within(timestamp: str, now_ms: int) -> int:
    """The time in milliseconds. Asked after the signature: only who holds the secret learns anything of our clock."""
    at_ms = int(timestamp) * 1000
    if abs(at_ms - now_ms) > TOLERANCE_S * 1000:
        raise Refused(401, "signature_outside_window")
    return at_ms
