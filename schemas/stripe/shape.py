"""What every Stripe event has in common: an id, a type, a time, a mode, and the object that it is about.

https://docs.stripe.com/api/events/object and https://docs.stripe.com/api/v2/core/events/object (thin events).
"""

import re
from collections.abc import Mapping
from typing import Any

from schemas.address import AddressRefused, parse_address
from schemas.entry import parse_time
from schemas.refusal import NotUnderstood

SOURCE = "stripe"
CREATED_MAX_MS = 10**14  # a time in milliseconds taken for one in seconds is far beyond
_EVENT_ID = re.compile(r"evt_[A-Za-z0-9_]{1,200}")
# Never a closed list: Stripe sends types that its own SDK does not name. Brackets: v2.core.account[identity].updated.
_EVENT_TYPE = re.compile(r"[a-z0-9_.\[\]]{1,200}")

Event = Mapping[str, Any]


def mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise NotUnderstood("not_an_object")
    return value


def part(value: object) -> Mapping[str, Any]:
    """A part that may be null or absent: then it is empty."""
    return {} if value is None else mapping(value)


def read_event_id(document: object) -> str:
    event_id = mapping(document).get("id")
    if not isinstance(event_id, str) or not _EVENT_ID.fullmatch(event_id):
        raise NotUnderstood("event_id_missing")
    return event_id


def read_event_type(event: Event) -> str:
    kind = event.get("type")
    if not isinstance(kind, str) or not _EVENT_TYPE.fullmatch(kind):
        raise NotUnderstood("event_type_missing")
    return kind


def counts_in(event: Event, mode: str) -> bool:
    """Whether an event of this mode counts here. `mode`: live, test or any."""
    return mode == "any" or event.get("livemode") is (mode == "live")


def subject_of(event: Event) -> Mapping[str, Any]:
    """The object that the event is about, as it was then."""
    return mapping(mapping(event.get("data")).get("object"))


def changes_of(event: Event) -> Mapping[str, Any]:
    """What was different before. Only the names may be read: the values are what somebody has put right."""
    return part(mapping(event.get("data")).get("previous_attributes"))


def created_ms(event: Event) -> int:
    """When it happened, by Stripe's clock: whole seconds, or in a thin event RFC 3339."""
    created = event.get("created")
    at_ms = 0
    if isinstance(created, int) and not isinstance(created, bool):
        at_ms = created * 1000
    elif isinstance(created, str):
        try:
            at_ms = parse_time(created)
        except (ValueError, OverflowError):
            at_ms = 0
    if not 0 < at_ms < CREATED_MAX_MS:
        raise NotUnderstood("event_created_missing")
    return at_ms


def read_email(value: object) -> str:
    if not isinstance(value, str):
        raise NotUnderstood("email_missing")
    try:
        return parse_address(value).verbatim
    except AddressRefused as refused:
        raise NotUnderstood(refused.reason) from None


def email_if_any(value: object) -> str | None:
    """Where an address is welcome and not needed: None for anything that is none."""
    try:
        return read_email(value)
    except NotUnderstood:
        return None
