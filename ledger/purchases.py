"""Purchases: on the basis of contract, and never a consent; and since when somebody is a customer.

That is the second answer of marketing law (markedsføringsloven section 15: an existing customer may be written to about
what was bought), which stands beside the first, the consent, and is never mixed with it.
"""

from sqlalchemy import Connection

from ledger import product_access, restriction, vault
from ledger.consent import sign_up
from ledger.identity import address_tags
from ledger.log import NewEntry, new_id
from ledger.recorder import Recorder, append
from ledger.state import effective_at_ms
from schemas.address import parse_address
from schemas.entry import Entry, Kind
from schemas.message import Message


def purchase(connection: Connection, recorder: Recorder, message: Message) -> list[int]:
    """A paid checkout: no person is made by it; one whom we know has become a customer.

    A newsletter box at the checkout is a sign-up of its own, beside it. `message.reported`: whether the shop's terms
    were accepted, which belongs to the contract. Only who is given access to a product by it becomes known.
    """
    first = sign_up(connection, recorder, message)
    first += product_access.grant(connection, recorder, message, first_ordinal=len(first))
    new = [_entry(recorder, message, Kind.PURCHASE, reason=message.reported)]
    handle = _known(connection, recorder, message.email)
    if handle is not None:
        new.append(_entry(recorder, message, Kind.CUSTOMER, subject=handle))
    return first + append(connection, recorder, new, first_ordinal=len(first))


def _known(connection: Connection, recorder: Recorder, email: str | None) -> bytes | None:
    """The handle of whoever has exactly this address; None for somebody restricted, of whom nothing new is kept."""
    if email is None:
        return None
    tags = address_tags(recorder.keyring["index_pepper"], parse_address(email))
    handle = vault.find_by_narrow(connection, tags)
    if handle is None or restriction.reason_of(connection, handle) is not None:
        return None
    return handle


def _entry(
    recorder: Recorder, message: Message, kind: Kind, *, subject: bytes | None = None, reason: str | None = None
) -> NewEntry:
    return NewEntry(
        Entry(
            id=new_id(recorder.recorded_at_ms),
            kind=kind,
            recorded_at_ms=recorder.recorded_at_ms,
            subject=subject,
            occurred_at_ms=effective_at_ms(message.sent_at_ms, recorder.received_at_ms),
            received_at_ms=recorder.received_at_ms,
            basis="contract",
            source=message.source,
            method=message.method,
            reason=reason,
        )
    )
