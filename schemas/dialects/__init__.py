"""Dialects: how each form plugin says who, what and no. A plugin is data plus, where it must, a small parser."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.dialects.times import parse_offset_time, parse_utc_time

# What an absent consent key means in a dialect (decision 0001, "Unticked").
ALWAYS_SENT, OMITTED, UNSPECIFIED = "always_sent", "omitted", "unspecified"


@dataclass(frozen=True, slots=True)
class Dialect:
    """`signed`: Standard Webhooks; otherwise a secret header or path segment. `parse_time`: its unambiguous time."""

    key: str
    signed: bool
    unticked: str
    parse_time: Callable[[str], int]


DIALECTS: Mapping[str, Dialect] = {
    dialect.key: dialect
    for dialect in (
        Dialect("generic", signed=True, unticked=UNSPECIFIED, parse_time=parse_offset_time),
        # "date_created" is UTC without saying so: measured on Gravity Forms 2.10 with another site time zone.
        Dialect("gravity_forms", signed=False, unticked=ALWAYS_SENT, parse_time=parse_utc_time),
        Dialect("contact_form_7", signed=False, unticked=ALWAYS_SENT, parse_time=parse_offset_time),
    )
}
