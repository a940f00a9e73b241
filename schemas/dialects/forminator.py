"""Forminator: flat JSON, in which a field of several parts is JSON once more."""

import re
from collections.abc import Mapping

from schemas.dialects.fields import Fields, flatten
from schemas.strict_json import SyntaxRefused, parse_json

_OF_PARTS = re.compile(r"(?:name|address)_[0-9]+")


def read_forminator(document: object) -> Fields:
    """`"name_1": "{\\"first-name\\": …}"` is name_1.first-name; the parts stand beside it too, as name_1_first_name."""
    if not isinstance(document, Mapping):
        return flatten(document)
    return flatten({name: _parts(value) if _OF_PARTS.fullmatch(name) else value for name, value in document.items()})


def _parts(value: object) -> object:
    """The object in a text, or the text as it is: a name in one piece is plain text."""
    if not isinstance(value, str) or not value.startswith("{"):
        return value
    try:
        return parse_json(value.encode())
    except SyntaxRefused:
        return value
