"""The rest of a submission: what nobody reads is left out, and of that only rules and plain names are told."""

import re
from collections.abc import Set as AbstractSet
from functools import lru_cache

from marshmallow import ValidationError

from schemas.dialects import Dialect
from schemas.dialects.fields import Fields
from schemas.message import FIELD_NAME, UNREAD_MAX, Dropped
from schemas.minimise import find_forbidden, forbidden_field_name

NAME_SIZE_MAX = 40  # characters, as in FIELD_NAME
_NUMBER = re.compile(r"[\d\s.-]{8,40}")
_SEPARATORS = str.maketrans("", "", "._-")
_MANY_DIGITS = re.compile("[0-9]{6}")  # a date, a telephone number, an account: a field's number is shorter


def rest_of(fields: Fields, read: AbstractSet[str], dialect: Dialect) -> tuple[tuple[Dropped, ...], tuple[str, ...]]:
    """What of the rest was forbidden, by its name, or by its value where that is a number and nothing else (browser
    versions look like anything); and the names of the rest, for whoever wonders why a field is never heard.
    """
    dropped, unread = [], []
    for name in sorted(fields.keys() - read):
        value = " ".join(fields[name])
        if value and (rule := forbidden_field_name(name) or (_NUMBER.fullmatch(value) and find_forbidden(value))):
            dropped.append(Dropped("other", rule))
        elif len(name) <= NAME_SIZE_MAX and _is_plain(dialect.technical, name):
            unread.append(name)
    return tuple(dropped), tuple(unread[:UNREAD_MAX])


@lru_cache(maxsize=4096)  # a form sends the same names every time
def _is_plain(technical: str, name: str) -> bool:
    """Whether a name may be kept and is worth it: names are text from outside, and a visitor can bring some."""
    try:
        FIELD_NAME(name)
    except ValidationError:
        return False
    if re.fullmatch(technical, name):
        return False
    return not _MANY_DIGITS.search(name.translate(_SEPARATORS)) and not forbidden_field_name(name)
