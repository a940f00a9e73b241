"""Link tokens: a stateless, sealed reference to one link row, short enough for a mail header."""

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping

from schemas.strict_json import SchemaRefused

VERSION = 1
LINK_ID_SIZE_BYTES = 16
MAC_SIZE_BYTES = 16  # a truncated HMAC keeps half its output at least (RFC 2104, 5)
MAC_KEY_SIZE_MIN_BYTES = 32  # RFC 2104, 3: no shorter than the hash's output
KEY_ID_MAX = 255

_DOMAIN = b"samtykke/link-token\x00"  # the same key never makes a MAC that means something else
_HEADER_SIZE_BYTES = 2 + LINK_ID_SIZE_BYTES
_TEXT = re.compile(r"[A-Za-z0-9_-]{46}")  # 34 bytes
_DUMMY_KEY = bytes(MAC_KEY_SIZE_MIN_BYTES)


class TokenRefused(SchemaRefused):
    """Not a token of ours."""


def format_token(*, key_id: int, link_id: bytes, mac_key: bytes, version: int = VERSION) -> str:
    """base64url without padding of version (1 byte), key id (1), link id (16), MAC (16).

    ValueError for arguments of the wrong size: that is our own mistake, not a visitor's.
    """
    if version != VERSION or not 0 <= key_id <= KEY_ID_MAX or len(link_id) != LINK_ID_SIZE_BYTES:
        raise ValueError("a link token has version 1, a key id of one byte and a link id of 16 bytes")
    header = bytes((version, key_id)) + link_id
    return _encode(header + _mac(mac_key, header))


def parse_token(text: str, mac_keys: Mapping[int, bytes]) -> bytes:
    """The link id (16 bytes) that we once put in.

    Raises TokenRefused: token_malformed (shape, spelling or version, which everybody can see) or
    token_not_ours (an unknown key and a wrong MAC look the same and cost the same).
    """
    # 1. Exactly one spelling: the last character has bits to spare, and a second spelling would be a second token.
    if not _TEXT.fullmatch(text):
        raise TokenRefused("token_malformed")
    data = urlsafe_b64decode(text + "==")
    if _encode(data) != text or data[0] != VERSION:
        raise TokenRefused("token_malformed")
    # 2. The MAC, before anything in the token is believed.
    header, mac = data[:_HEADER_SIZE_BYTES], data[_HEADER_SIZE_BYTES:]
    mac_key = mac_keys.get(data[1])
    is_equal = hmac.compare_digest(_mac(_DUMMY_KEY if mac_key is None else mac_key, header), mac)
    if mac_key is None or not is_equal:
        raise TokenRefused("token_not_ours")
    return header[2:]


def _mac(mac_key: bytes, header: bytes) -> bytes:
    if len(mac_key) < MAC_KEY_SIZE_MIN_BYTES:
        raise ValueError("a MAC key has at least 32 bytes")
    return hmac.digest(mac_key, _DOMAIN + header, hashlib.sha256)[:MAC_SIZE_BYTES]


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
