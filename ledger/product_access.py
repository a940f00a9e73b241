"""Product access: what a payment gives, on the basis of contract, and what its refund or cancellation takes back.

Never a consent. Events come twice, and a refund may come before the checkout: what has ended gives nothing any more.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, exists, select, update

from ledger import outbox, product_rows, reports, restriction, vault
from ledger.carrying import GRANT_ACCESS, NO_ADDRESS, REVOKE_ACCESS, allowed, carry, leave_to_people
from ledger.identity import address_tags
from ledger.log import NewEntry, new_id
from ledger.product_rows import ENDED, GRANTED, NOBODY, REVOKED, Payment
from ledger.recorder import Recorder, append, find_or_create, sealed
from ledger.state import effective_at_ms
from ledger.tables import relay, subject
from schemas.address import parse_address
from schemas.entry import Entry, Kind
from schemas.message import Message


def grant(connection: Connection, recorder: Recorder, message: Message, first_ordinal: int = 0) -> list[int]:
    """What a payment gives that it has not given yet. RefusedError while a restriction by Article 18 lasts.

    Without an address there is nobody to give it to: a task for people, not an error.
    """
    payment = product_rows.payment_of(recorder.keyring["index_pepper"], message.payments)
    given = product_rows.given_by(connection, payment)
    new = []
    for product in message.products:
        if product in given:  # another event about the same payment, which may name it in another way
            row = given[product]
            product_rows.write(connection, payment, product, row.grant, row.subject, row.status)
        elif ENDED not in given and product in recorder.policy.products:
            new.append(product)
    return _grant(connection, recorder, message, payment, new, first_ordinal) if new else []


def _grant(
    connection: Connection,
    recorder: Recorder,
    message: Message,
    payment: Payment,
    products: Sequence[str],
    first_ordinal: int,
) -> list[int]:
    person = _buyer(connection, recorder, message)
    handle = person.handle if person else vault.new_handle()
    new = []
    for product in products:
        if product_rows.adopt(connection, payment, product, handle):
            continue
        entry = _entry(recorder, message, Kind.ACCESS_GRANTED, handle, product)
        new.append(sealed(person, entry, {"email": message.email}) if person else NewEntry(entry))
    positions = append(connection, recorder, new, first_ordinal)
    for one, position in zip(new, positions, strict=True):
        product = one.entry.product or ""
        product_rows.write(connection, payment, product, bytes.fromhex(one.entry.id), handle)
        tell(connection, recorder, handle, GRANT_ACCESS, one.entry.id, position, product)
    return positions


def _buyer(connection: Connection, recorder: Recorder, message: Message) -> vault.Subject | None:
    if message.email is None:
        return None
    tags = address_tags(recorder.keyring["index_pepper"], parse_address(message.email))
    person = find_or_create(connection, recorder, tags, message.language)
    restriction.require_open_to_grants(connection, person)
    if person.restricted:  # what was kept as proof is in use again, for the contract
        restriction.lift(connection, person.handle, "product_access", recorder.recorded_at_ms, message.source)
    return person


def end(connection: Connection, recorder: Recorder, message: Message) -> list[int]:
    """A payment was given back, or its subscription has ended: a report, and what it gave is taken back.

    Not where another payment gives the same product to the same person.
    """
    reported = reports.report(connection, recorder, message)
    payment = product_rows.payment_of(recorder.keyring["index_pepper"], message.payments)
    given = product_rows.given_by(connection, payment)
    product_rows.write(connection, payment, ENDED, NOBODY, NOBODY, REVOKED)
    new = []
    for product, row in given.items():
        if product != ENDED and row.status == GRANTED:
            product_rows.revoke(connection, row.grant)
            entry = _entry(
                recorder, message, Kind.ACCESS_REVOKED, row.subject, product, row.grant.hex(), message.reported
            )
            new.append(NewEntry(entry))
    positions = append(connection, recorder, new, first_ordinal=len(reported))
    for one, position in zip(new, positions, strict=True):
        handle, product = one.entry.subject or NOBODY, one.entry.product or ""
        if not product_rows.is_granted(connection, handle, product):
            _take_back(connection, recorder, handle, one.entry.id, position, product)
    return reported + positions


def _take_back(
    connection: Connection, recorder: Recorder, handle: bytes, cause: str, position: int, product: str
) -> None:
    """A task to give it that nobody has done yet is over; where that was all, there is nothing to take back."""
    undone = (
        (relay.c.subject == handle)
        & (relay.c.product == product)
        & (relay.c.action == GRANT_ACCESS)
        & (relay.c.status == outbox.PARKED)
        & (relay.c.reason == NO_ADDRESS)
    )
    over = {"status": outbox.SUPERSEDED, "reason": "access_revoked", "updated_at_ms": recorder.now_ms}
    if connection.execute(update(relay).where(undone).values(over)).rowcount == 0:
        tell(connection, recorder, handle, REVOKE_ACCESS, cause, position, product)


def tell(
    connection: Connection, recorder: Recorder, handle: bytes, action: str, cause: str, position: int, product: str
) -> None:
    """The processors; or people, where nobody knows who paid, which is a row that begins parked, and an entry."""
    if connection.execute(select(exists().where(subject.c.handle == handle))).scalar_one():
        carry(connection, recorder, handle, action, cause, position, product=product)
        return
    reasons = dict.fromkeys(allowed(recorder, action), NO_ADDRESS)
    leave_to_people(connection, recorder, handle, action, cause, position, reasons, product=product)


def _entry(
    recorder: Recorder,
    message: Message,
    kind: Kind,
    handle: bytes,
    product: str,
    ref: str | None = None,
    reason: str | None = None,
) -> Entry:
    return Entry(
        id=new_id(recorder.recorded_at_ms),
        kind=kind,
        recorded_at_ms=recorder.recorded_at_ms,
        subject=handle,
        occurred_at_ms=effective_at_ms(message.sent_at_ms, recorder.received_at_ms),
        received_at_ms=recorder.received_at_ms,
        basis="contract",
        source=message.source,
        method=message.method,
        product=product,
        ref=ref,
        reason=reason,
    )
