"""Form bodies: turns application/x-www-form-urlencoded into plain text fields, or refuses it."""

import re
from urllib.parse import unquote_to_bytes

from schemas.strict_json import SyntaxRefused, decode_text

FIELDS_MAX = 500

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def parse_form(raw: bytes) -> dict[str, str]:
    """Fields in the order sent; a field without `=` is empty, empty segments are skipped (WHATWG URL, 5.1).

    Raises SyntaxRefused: text_bom, text_not_utf8, text_nul, form_malformed, form_too_many_fields,
    form_duplicate_key. PHP numbers the items of a list (`topics[0]=`), so no sender of ours repeats a key.
    """
    decode_text(raw)
    if _BROKEN_ESCAPE.search(raw):
        raise SyntaxRefused("form_malformed")
    segments = [segment for segment in raw.split(b"&") if segment]
    if len(segments) > FIELDS_MAX:
        raise SyntaxRefused("form_too_many_fields")
    fields: dict[str, str] = {}
    for segment in segments:
        name, _, value = segment.partition(b"=")
        key = _unquote(name)
        if key in fields:
            raise SyntaxRefused("form_duplicate_key")
        fields[key] = _unquote(value)
    return fields


def _unquote(part: bytes) -> str:
    """Strict UTF-8 after percent decoding, so an encoded surrogate half is refused as text_not_utf8."""
    return decode_text(unquote_to_bytes(part.replace(b"+", b" ")))
