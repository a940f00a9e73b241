"""Rights requests (GDPR Articles 15 to 21): asked in somebody's name, and theirs once the mailed link is confirmed.

Whoever knows an address can ask; only whoever reads its mailbox can confirm. From then on the month runs.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, exists, func, insert, select, update

from ledger import links, suppression
from ledger.deadlines import due_at_ms
from ledger.errors import RefusedError
from ledger.identity import AddressTags, address_tags
from ledger.log import NewEntry, append_many, new_id
from ledger.recorder import (
    DAY_MS,
    REQUEST,
    RESEND_AFTER_MS,
    Recorder,
    append,
    dropped_entries,
    find_or_create,
    sealed,
    send_mail,
)
from ledger.state import effective_at_ms
from ledger.suppression import Suppression
from ledger.tables import rights_request
from schemas.address import parse_address
from schemas.entry import Entry, Kind
from schemas.message import Message

ASKED, CONFIRMED, EXPIRED, REFUSED, COMPLETED = "asked", "confirmed", "expired", "refused", "completed"
OPEN = (ASKED, CONFIRMED)
STATUSES = (*OPEN, EXPIRED, REFUSED, COMPLETED)
BATCH_ROWS = 100


@dataclass(frozen=True, slots=True)
class Standing:
    """Confirmed requests that nobody has ended: how many, how many of them too late, and when the next is due."""

    confirmed: int
    overdue: int
    next_due_at_ms: int | None


def ask(connection: Connection, recorder: Recorder, message: Message) -> list[int]:
    """Received, from whomever; a mailed link asks whether it was the person. Somebody unknown is asked too."""
    request, positions = _receive(connection, recorder, message)
    assert request.subject is not None
    assert request.right is not None
    address = parse_address(message.email or "")
    tags = address_tags(recorder.keyring["index_pepper"], address)
    suppressed = suppression.find(connection, recorder.keyring["suppression"], address)
    if not _asked_lately(connection, recorder, tags, request.right, suppressed):
        rights = [request.right]
        links.create_link(connection, links.REQUEST, request.subject, recorder.recorded_at_ms, rights, [request.id])
        send_mail(connection, recorder, request.subject, REQUEST, rights, request.id, positions[0])
    return positions


def ask_checked(connection: Connection, recorder: Recorder, message: Message) -> list[int]:
    """Received from somebody whose identity an operator has checked: confirmed at once, and no link asks."""
    request, positions = _receive(connection, recorder, message)
    assert request.subject is not None
    assert request.right is not None
    received = len(positions)
    return [
        *positions,
        *_confirm(connection, recorder, message, request.subject, request.right, request.id, first_ordinal=received),
    ]


def _receive(connection: Connection, recorder: Recorder, message: Message) -> tuple[Entry, list[int]]:
    """The entry and all positions.

    Of a request only the address is kept: what else came with it may be a stranger's word about the person.
    """
    if message.right is None:
        raise RefusedError("right_missing")
    tags = address_tags(recorder.keyring["index_pepper"], parse_address(message.email or ""))
    person = find_or_create(connection, recorder, tags, message.language)
    entry = Entry(
        id=new_id(recorder.recorded_at_ms),
        kind=Kind.REQUEST_RECEIVED,
        recorded_at_ms=recorder.recorded_at_ms,
        subject=person.handle,
        occurred_at_ms=effective_at_ms(message.sent_at_ms, recorder.received_at_ms),
        received_at_ms=recorder.received_at_ms,
        basis="legal_obligation",
        source=message.source,
        method=message.method,
        right=message.right,
    )
    new = sealed(person, entry, {"email": message.email})
    positions = append(connection, recorder, [new, *dropped_entries(recorder, message, person.handle)])
    write_row(connection, new.entry, recorder.policy.deadlines.rights_request_months)
    return new.entry, positions


def _asked_lately(
    connection: Connection, recorder: Recorder, tags: AddressTags, right: str, suppressed: list[Suppression]
) -> bool:
    """A form must not become a way to fill a mailbox; one that said stop gets one mail a day, whatever it is about."""
    since_ms = recorder.recorded_at_ms - (DAY_MS if suppressed else RESEND_AFTER_MS)
    asked = links.asked_since(connection, tags.wides, since_ms)
    return any(suppressed or (link.kind == links.REQUEST and right in link.purposes) for link in asked)


def confirm(connection: Connection, recorder: Recorder, message: Message) -> list[int]:
    """The mailed link was confirmed: it was the person. A restricted person's request counts like any other."""
    link = links.find_link(connection, bytes.fromhex(message.link_id or ""))
    if link is None or link.kind != links.REQUEST:
        return []
    if not link.can_confirm(recorder.received_at_ms, recorder.policy.retention.unconfirmed_request_days):
        return []
    (right,), (request_id,) = link.purposes, link.request_ids
    links.use(connection, link.id)
    links.close_requests(connection, link.subject, right)
    return _confirm(connection, recorder, message, link.subject, right, request_id)


def _confirm(
    connection: Connection,
    recorder: Recorder,
    message: Message,
    handle: bytes,
    right: str,
    request_id: str,
    first_ordinal: int = 0,
) -> list[int]:
    """From here on it is the person's own, and the month runs."""
    entry = Entry(
        id=new_id(recorder.recorded_at_ms),
        kind=Kind.REQUEST_CONFIRMED,
        recorded_at_ms=recorder.recorded_at_ms,
        subject=handle,
        occurred_at_ms=recorder.received_at_ms,
        received_at_ms=recorder.received_at_ms,
        basis="legal_obligation",
        source=message.source,
        method=message.method,
        right=right,
        ref=request_id,
    )
    positions = append(connection, recorder, [NewEntry(entry)], first_ordinal)
    write_row(connection, entry, recorder.policy.deadlines.rights_request_months)
    return positions


def expire(connection: Connection, before_ms: int, now_ms: int) -> int:
    """Requests asked before that and never confirmed. Returns how many. The caller holds the head's lock."""
    late = (rights_request.c.status == ASKED) & (rights_request.c.asked_at_ms < before_ms)
    query = select(rights_request).where(late).order_by(rights_request.c.asked_at_ms, rights_request.c.id)
    entries = [
        Entry(
            id=new_id(now_ms),
            kind=Kind.REQUEST_EXPIRED,
            recorded_at_ms=now_ms,
            subject=row.subject,
            source="retention",
            right=row.right,
            ref=row.id.hex(),
        )
        for row in connection.execute(query.limit(BATCH_ROWS))
    ]
    append_many(connection, [NewEntry(entry) for entry in entries])
    for entry in entries:
        write_row(connection, entry, months=0)
    return len(entries)


def write_row(connection: Connection, entry: Entry, months: int) -> None:
    """What an entry of a request does to its row: when it is recorded, and again after a restore.

    `months`: how long there is to answer, from the confirmation on.
    """
    if entry.kind is Kind.REQUEST_RECEIVED:
        row = {
            "id": bytes.fromhex(entry.id),
            "subject": entry.subject,
            "right": entry.right,
            "source": entry.source,
            "status": ASKED,
            "asked_at_ms": entry.recorded_at_ms,
        }
        connection.execute(insert(rights_request), row)
        return
    request_id = bytes.fromhex(entry.ref or "")
    values = _changes(connection, request_id, entry, months)
    connection.execute(update(rights_request).where(rights_request.c.id == request_id).values(values))


def _changes(connection: Connection, request_id: bytes, entry: Entry, months: int) -> dict[str, object]:
    at_ms = entry.recorded_at_ms
    if entry.kind is Kind.REQUEST_CONFIRMED:
        confirmed_at_ms = entry.occurred_at_ms or at_ms
        due = due_at_ms(confirmed_at_ms, months)
        return {"status": CONFIRMED, "confirmed_at_ms": confirmed_at_ms, "due_at_ms": due}
    if entry.kind is Kind.REQUEST_EXTENDED:
        query = select(rights_request.c.confirmed_at_ms).where(rights_request.c.id == request_id)
        from_ms = connection.execute(query).scalar_one_or_none() or at_ms
        due = due_at_ms(from_ms, months + (entry.count or 0))
        # The reminders begin anew with the new day.
        return {"extended_at_ms": at_ms, "reason": entry.reason, "due_at_ms": due, "reminded_days": None}
    if entry.kind is Kind.REQUEST_REFUSED:
        return {"status": REFUSED, "ended_at_ms": at_ms, "reason": entry.reason}
    if entry.kind is Kind.REQUEST_COMPLETED:
        return {"status": COMPLETED, "ended_at_ms": at_ms}
    return {"status": EXPIRED}


def has_open(handle: ColumnElement[bytes]) -> ColumnElement[bool]:
    """Of a column of handles: whether that person has asked for something that is not ended."""
    return exists().where(rights_request.c.subject == handle, rights_request.c.status.in_(OPEN))


def standing(connection: Connection, now_ms: int) -> Standing:
    """For whoever must answer in time."""
    late = func.count().filter(rights_request.c.due_at_ms < now_ms)
    columns = (func.count(), late, func.min(rights_request.c.due_at_ms))
    row = connection.execute(select(*columns).where(rights_request.c.status == CONFIRMED)).one()
    return Standing(*row)
