"""What each entry of the ledger means to the person it is about, as one line in their language."""

from collections.abc import Mapping
from typing import Any

from schemas.entry import Kind
from schemas.texts import mark, text

_MEANINGS: Mapping[str, str] = {
    Kind.REQUESTED: mark("You were asked to confirm a consent"),
    Kind.GIVEN: mark("You gave a consent"),
    Kind.REFUSED: mark("You said no to a consent"),
    Kind.WITHDRAWN: mark("You withdrew a consent"),
    Kind.REVOKED: mark("We ended a consent"),
    Kind.EXPIRED: mark("A consent lapsed without being confirmed"),
    Kind.PURCHASE: mark("You bought something"),
    Kind.CUSTOMER: mark("You became a customer"),
    Kind.REQUEST_RECEIVED: mark("A request came in your name"),
    Kind.REQUEST_CONFIRMED: mark("You confirmed a request"),
    Kind.REQUEST_EXPIRED: mark("A request lapsed without being confirmed"),
    Kind.REQUEST_EXTENDED: mark("We took more time for a request"),
    Kind.REQUEST_REFUSED: mark("We refused a request"),
    Kind.REQUEST_COMPLETED: mark("A request was answered"),
    Kind.REPORTED: mark("A supplier told us of a change"),
    Kind.PROFILE_RECORDED: mark("You told us something about yourself"),
    Kind.ACCESS_GRANTED: mark("You got access to a product"),
    Kind.ACCESS_REVOKED: mark("Your access to a product ended"),
    Kind.DROPPED: mark("Something that we do not store was removed"),
    Kind.RELAY_COMPLETED: mark("Something was done at a supplier, or mailed to you"),
    Kind.RELAY_PARKED: mark("A supplier could not be told by itself"),
    Kind.RELAY_RESOLVED: mark("We told a supplier by hand"),
    Kind.REVEALED: mark("We opened what we hold about you"),
    Kind.OPENED: mark("We opened what we hold about you, though its use is restricted"),
    Kind.REDACTED: mark("Something was removed from what we hold"),
    Kind.RECTIFIED: mark("What we hold about you was put right"),
    Kind.RESTRICTED: mark("The use of what we hold was restricted"),
    Kind.UNRESTRICTED: mark("The restriction ended"),
    Kind.TOLD: mark("You were told"),
}


def happening(entry: Mapping[str, Any], language: str) -> str:
    """Of an entry of docs/ledger-format.md. What has no words of its own is named as the ledger names it."""
    kind = str(entry["kind"])
    meaning = text(_MEANINGS.get(kind, kind), language)
    details = [entry[name] for name in ("purpose", "right", "fact", "processor", "action", "source") if name in entry]
    return f"{meaning} ({', '.join(details)})" if details else meaning
