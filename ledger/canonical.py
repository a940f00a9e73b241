"""Canonical JSON: one document has one sequence of bytes, so a hash of the bytes is a hash of the document.

RFC 8785 on a closed profile: objects with ASCII keys, lists, strings in Unicode normal form C, integers
that every JSON reader keeps exact, true, false and null. On this profile the standard encoder with sorted
keys writes what RFC 8785 asks for; outside it (fractions, keys beyond ASCII) it does not, so that is refused.
"""

import json
import unicodedata
from collections.abc import Mapping

from ledger.errors import LedgerError

# https://www.rfc-editor.org/rfc/rfc7493.html#section-2.2 beyond this a reader with IEEE doubles rounds.
INTEGER_MAX = 2**53 - 1
# Ours: an entry has one level and a receipt about five; the limit only ends cycles and hostile nesting.
DEPTH_MAX = 16

# https://www.rfc-editor.org/rfc/rfc8785.html#section-3.2: no whitespace, sorted keys, no escape that JSON
# does not require. Keys are sorted by UTF-16 code units there and by code points here: alike for ASCII.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


class CanonicalError(LedgerError):
    """The document lies outside the profile, or the bytes are not its canonical form."""


def canonical_json(document: Mapping[str, object]) -> bytes:
    """Raises CanonicalError for what the profile has no place for."""
    plain = dict(document)
    _check(plain, DEPTH_MAX)
    try:
        return _ENCODER.encode(plain).encode()
    except UnicodeEncodeError:
        raise CanonicalError("string_has_lone_surrogate") from None


def parse_canonical(data: bytes) -> dict[str, object]:
    """The document of which these bytes are the canonical form; any other bytes raise CanonicalError."""
    try:
        document = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise CanonicalError("json_malformed") from None
    if not isinstance(document, dict):
        raise CanonicalError("not_an_object")
    # Duplicate keys, spare whitespace, another order, 1e3 or \u0041: none of them survives the way back.
    if canonical_json(document) != data:
        raise CanonicalError("not_canonical")
    return document


def _check(value: object, depth_left: int) -> None:
    if not isinstance(value, dict | list):
        _check_scalar(value)
        return
    if depth_left == 0:
        raise CanonicalError("nested_too_deep")
    if isinstance(value, dict) and not all(isinstance(key, str) and key.isascii() for key in value):
        raise CanonicalError("key_not_ascii")
    for item in value.values() if isinstance(value, dict) else value:
        _check(item, depth_left - 1)


def _check_scalar(value: object) -> None:
    match value:
        case None | bool():
            pass
        case int():
            if abs(value) > INTEGER_MAX:
                raise CanonicalError("integer_too_large")
        case str():
            # RFC 8785 leaves normal forms to the application; two spellings of one word would hash apart.
            if not unicodedata.is_normalized("NFC", value):
                raise CanonicalError("string_not_normalized")
        case _:
            raise CanonicalError("type_not_allowed")
