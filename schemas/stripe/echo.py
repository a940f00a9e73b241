"""Echoes: Stripe tells us of the changes that we have made there ourselves.

What our relay changes, it changes under an idempotency key that Stripe repeats in the event. A deletion has no such
key: there the event repeats the mark that the erasure has left in the customer's metadata just before.
"""

import re
from collections.abc import Mapping

REFERENCE_MARK = "consent_reference"
ERASURE_MARK = "erasure_reference"
# As workers.relays.action writes it: relay:<reference>:<step>-<what was changed>:<epoch>.
_OUR_KEY = re.compile(
    r"relay:[0-9a-f]{32}:[a-z]{1,30}-(?P<changed>(?:cus|sub|pm|card|src|ba)_[A-Za-z0-9_]{1,250}):[0-9]{1,9}"
)
_REFERENCE = re.compile("[0-9a-f]{32}")


def mark_of(purpose: str) -> str:
    """The metadata key that says whether a purpose was withdrawn."""
    return f"consent_{purpose}"


def is_echo(event: object) -> bool:
    """Whether a verified event tells of our own change: of that very object, under our key.

    The reference in the metadata would not do: it stays there, so later changes by others would seem ours. After a
    deletion there are no later changes.
    """
    if _at(event, "type") == "customer.deleted" and _is_reference(
        _at(event, "data", "object", "metadata", ERASURE_MARK)
    ):
        return True
    key = _at(event, "request", "idempotency_key")
    found = _OUR_KEY.fullmatch(key) if isinstance(key, str) else None
    return found is not None and found["changed"] == _at(event, "data", "object", "id")


def _is_reference(value: object) -> bool:
    return isinstance(value, str) and _REFERENCE.fullmatch(value) is not None


def _at(value: object, *names: str) -> object:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
