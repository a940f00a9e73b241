"""Echoes: Stripe tells us of the changes that we have made there ourselves.

What our relay writes is a mark in a customer's metadata, under an idempotency key that Stripe repeats in the event.
"""

import re
from collections.abc import Mapping

REFERENCE_MARK = "consent_reference"
# As workers.relays.action writes it: relay:<reference>:<step>-<customer>:<epoch>.
_OUR_KEY = re.compile(r"relay:[0-9a-f]{32}:[a-z]{1,30}-(?P<customer>cus_[A-Za-z0-9_]{1,250}):[0-9]{1,9}")


def mark_of(purpose: str) -> str:
    """The metadata key that says whether a purpose was withdrawn."""
    return f"consent_{purpose}"


def is_echo(event: object) -> bool:
    """Whether a verified event tells of our own change: of that customer, under our key.

    The reference in the metadata would not do: it stays there, so later changes by others would seem ours.
    """
    key = _at(event, "request", "idempotency_key")
    found = _OUR_KEY.fullmatch(key) if isinstance(key, str) else None
    return found is not None and found["customer"] == _at(event, "data", "object", "id")


def _at(value: object, *names: str) -> object:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
