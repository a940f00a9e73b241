"""Erasure (GDPR Article 17): in one transaction with the entry that says so, nothing is left that leads to the person.

Boxes, data key, tags, states and links go. What remains is a handle that nobody can connect with anybody, and a
suppression under another key, so that an old list that is read in again does not bring the person back.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from ledger import erasure_work, outbox, suppression, vault
from ledger import inbox as deliveries
from ledger.carrying import ERASE, WITHDRAW
from ledger.errors import SealError
from ledger.log import NewEntry, append_many, new_id
from ledger.recorder import MAIL, OUTCOME, RECEIPT, Recorder, send_mail
from ledger.sealing import unseal_versioned
from ledger.tables import (
    answer,
    consent_state,
    drift_check,
    inbox,
    link,
    product_access,
    profile_fact,
    relay,
    subject,
    subject_address,
)
from ledger.tables import vault as vault_table
from schemas.address import Address, parse_address
from schemas.entry import Entry, Kind

SUBJECT_ERASED = "subject_erased"
# Whatever leads from a handle to a person, or from a person to a handle.
_OF_SUBJECT = (vault_table, link, subject_address, consent_state, product_access, drift_check, answer, profile_fact)


@dataclass(frozen=True, slots=True)
class Erased:
    """Position of the entry, and how many bodies that waited for an operator were wiped with it."""

    position: int
    parked_wiped: int


def erase(connection: Connection, recorder: Recorder, handle: bytes, reason: str, source: str = "operator") -> Erased:
    """Raises NotFoundError. `reason`: the ground, as a word. The caller holds the head's lock."""
    emails = emails_to_erase(connection, recorder, handle)
    entry = Entry(
        id=new_id(recorder.recorded_at_ms),
        kind=Kind.ERASED,
        recorded_at_ms=recorder.recorded_at_ms,
        subject=handle,
        occurred_at_ms=recorder.received_at_ms,
        basis="legal_obligation",
        source=source,
        reason=reason,
    )
    (position,) = append_many(connection, [NewEntry(entry)])
    wiped = carry_out(connection, recorder, entry, emails)
    erasure_work.begin(connection, recorder, entry, position, [email.verbatim for email in emails])
    if emails:
        for action in (RECEIPT, OUTCOME):  # that it is done here now; and later, what each recipient has answered
            send_mail(connection, recorder, handle, action, (), entry.id, position, [emails[-1].verbatim])
    return Erased(position, wiped)


def carry_out(connection: Connection, recorder: Recorder, entry: Entry, emails: Sequence[Address]) -> int:
    """Everything that an entry of an erasure means here; returns how many parked bodies were wiped. It appends none."""
    assert entry.subject is not None
    shred(connection, entry.subject)
    at_ms = entry.occurred_at_ms or recorder.received_at_ms
    for email in emails:
        stop = suppression.Suppression(suppression.EVERY_PURPOSE, at_ms, suppression.ERASED)
        suppression.keep(connection, recorder.keyring["suppression"], email, stop)
    wiped = _wipe_parked(connection, recorder, emails)
    _end_older_relays(connection, recorder, entry.subject, emails)
    return wiped


def emails_to_erase(connection: Connection, recorder: Recorder, handle: bytes) -> list[Address]:
    """Raises NotFoundError. Opened without an entry of its own: the erasure's is it."""
    person = vault.for_erasure(vault.load_subject(connection, recorder.keyring["kek"], handle))
    return [parse_address(one) for one in vault.emails(connection, person)]


def shred(connection: Connection, handle: bytes) -> None:
    """Delete every row that is about a person. The caller has appended the entry that says why."""
    for table in _OF_SUBJECT:
        connection.execute(delete(table).where(table.c.subject == handle))
    connection.execute(delete(subject).where(subject.c.handle == handle))


def _wipe_parked(connection: Connection, recorder: Recorder, emails: Sequence[Address]) -> int:
    """Bodies that wait for an operator and are this person's: only their boxes know of whom they are."""
    condition = (inbox.c.status == deliveries.PARKED) & inbox.c.box.is_not(None)
    mine = [row.id for row in connection.execute(select(inbox).where(condition)) if _is_of(recorder, row, emails)]
    if mine:
        connection.execute(update(inbox).where(inbox.c.id.in_(mine)).values(box=None))
    return len(mine)


def _is_of(recorder: Recorder, row: "Row[Any]", emails: Sequence[Address]) -> bool:
    """By the text of the body, whatever its form: it may be one that nobody understood."""
    try:
        text = deliveries.open_box(recorder.keyring, row).decode().casefold()
    except (SealError, UnicodeDecodeError):  # what cannot be read cannot be found; it is wiped in its time
        return False
    spellings = {re.escape(one.casefold()) for email in emails for one in (email.verbatim, email.narrow)}
    return re.search(rf"(?<![\w.+-])(?:{'|'.join(spellings)})(?![\w.-]*\w)", text) is not None if spellings else False


def _end_older_relays(connection: Connection, recorder: Recorder, handle: bytes, emails: Sequence[Address]) -> None:
    """What waits for this person, and withdrawals of the same address from when it was nobody's.

    The erasure carries all that they would have done, and they may not keep the address. What is being attempted just
    now ends by itself; an older erasure of the same address is a work item of its own.
    """
    parked = relay.c.status == outbox.PARKED
    waits = (relay.c.status == outbox.PENDING) & (relay.c.claimed_until_ms <= recorder.now_ms)
    own = (relay.c.subject == handle) & (relay.c.action != ERASE) & (parked | waits)
    withdrawals = (relay.c.action == WITHDRAW) & (parked | waits)
    unread = (relay.c.processor == MAIL) & parked  # the receipt of an older erasure
    condition = own | (relay.c.box.is_not(None) & (withdrawals | unread))
    narrow = {one.narrow for one in emails}
    ended = []
    for row in connection.execute(select(relay.c.id, relay.c.subject, relay.c.box).where(condition)):
        if row.subject == handle or _addresses(recorder, row.id, row.box) & narrow:
            ended.append(row.id)
    if ended:
        gone = {"box": None, "notes": None}
        values = {"status": outbox.SUPERSEDED, "reason": SUBJECT_ERASED, "updated_at_ms": recorder.now_ms, **gone}
        connection.execute(update(relay).where(relay.c.id.in_(ended)).values(values))


def _addresses(recorder: Recorder, relay_id: bytes, box: bytes) -> set[str]:
    opened = unseal_versioned(recorder.keyring["kek"], box, relay_id).decode()
    return {parse_address(one).narrow for one in opened.splitlines()}
