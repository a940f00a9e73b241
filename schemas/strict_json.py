"""Strict JSON: turns a request body into plain values, or refuses it for a stable reason."""

import codecs
import json
import math
import re
from itertools import accumulate

DEPTH_MAX = 32
KEYS_MAX = 2000
VALUES_MAX = 10_000  # the largest honest bodies, Stripe's, have some hundreds; each costs us more than its bytes
INTEGER_LIMIT = 2**63  # what both databases hold in one column; nothing honest is larger
NUMBER_SIZE_MAX = 400  # characters of one number; int() and float() are slow on very long digits

# Strings are cut out first, so that brackets and colons inside them do not count. The closing quote is
# optional and every quantifier possessive: an unclosed string is consumed once, not once per quote.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NOT_STRUCTURE = bytes(set(range(256)) - set(b"[]{}:,"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_SUSPICIOUS_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MALFORMED = object()


class SchemaRefused(Exception):
    """Base of what this room refuses; `reason` is stable and safe to show, and never holds input."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SyntaxRefused(SchemaRefused):
    """A request body is not what its kind must look like."""


def parse_json(raw: bytes) -> object:
    """The one JSON value in `raw` (RFC 8259), scalars included.

    Raises SyntaxRefused: text_bom, text_not_utf8, text_nul, text_surrogate, json_too_deep, json_too_many_keys,
    json_too_many_values, json_duplicate_key, json_number_too_large, json_not_finite, json_malformed. Nothing else
    leaves.
    """
    text = decode_text(raw)
    _check_structure(raw)
    document = _decode(text)
    if document is _MALFORMED:
        raise SyntaxRefused("json_malformed")
    if _SUSPICIOUS_ESCAPE.search(raw):
        _check_strings(document)
    return document


def decode_text(raw: bytes) -> str:
    """Strict UTF-8 without a byte order mark and without NUL, which PostgreSQL cannot store."""
    if raw.startswith(codecs.BOM_UTF8):
        raise SyntaxRefused("text_bom")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = None
    if text is None:  # raised here and not above: a chained UnicodeDecodeError carries the whole body
        raise SyntaxRefused("text_not_utf8")
    if "\0" in text:
        raise SyntaxRefused("text_nul")
    return text


def _check_structure(raw: bytes) -> None:
    """Depth and numbers of keys and values before the decoder runs: it recurses, and builds every object it meets.

    The decoder stops at the first fault, and up to there it sees the same strings and brackets as we do.
    """
    marks = _STRING.sub(b"", raw).translate(None, _NOT_STRUCTURE)
    brackets = marks.translate(None, b":,")
    if len(brackets) > DEPTH_MAX and max(accumulate(map(_STEP.__getitem__, brackets))) > DEPTH_MAX:
        raise SyntaxRefused("json_too_deep")
    if marks.count(b":") > KEYS_MAX:  # outside strings every key has exactly one colon
        raise SyntaxRefused("json_too_many_keys")
    if marks.count(b",") >= VALUES_MAX:  # and every value but the first of each list and object one comma
        raise SyntaxRefused("json_too_many_values")


def _decode(text: str) -> object:
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError, MemoryError):
        return _MALFORMED  # a JSONDecodeError carries the whole body, so it must not be chained


def _check_strings(document: object) -> None:
    """Escapes can spell what the bytes may not hold: NUL and half a surrogate pair."""
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            if "\0" in value:
                raise SyntaxRefused("text_nul")
            if _SURROGATE.search(value):
                raise SyntaxRefused("text_surrogate")
        elif isinstance(value, dict):
            pending.extend(value)
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise SyntaxRefused("json_duplicate_key")
    return members


def _integer(digits: str) -> int:
    if len(digits) > NUMBER_SIZE_MAX:
        raise SyntaxRefused("json_number_too_large")
    value = int(digits)
    if abs(value) >= INTEGER_LIMIT:
        raise SyntaxRefused("json_number_too_large")
    return value


def _float(digits: str) -> float:
    if len(digits) > NUMBER_SIZE_MAX:
        raise SyntaxRefused("json_number_too_large")
    value = float(digits)
    if not math.isfinite(value):  # 1e400
        raise SyntaxRefused("json_not_finite")
    return value


def _constant(_name: str) -> object:
    raise SyntaxRefused("json_not_finite")  # NaN, Infinity, -Infinity: Python reads them, RFC 8259 does not


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)
