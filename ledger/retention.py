"""Retention: what has had its time is shredded. Unconfirmed requests after days, parked bodies after days.

A request that nobody confirmed is the only thing that expires without being asked (decision 0001).
"""

from sqlalchemy import Connection, exists, func, select, update

from ledger import answers, product_rows, quarantine, requests
from ledger import inbox as deliveries
from ledger.database import Database
from ledger.erasure import shred
from ledger.log import NewEntry, append_many, lock_head, new_id
from ledger.restriction import WAITING
from ledger.state import DECISIVE
from ledger.tables import consent_state, inbox, ledger_entry, pending_withdrawal, subject
from schemas.entry import Entry, Kind
from schemas.policy import Policy

DAY_MS = 24 * 3600 * 1000
BATCH_ROWS = 100
UNCONFIRMED = "unconfirmed"


def expire(database: Database, policy: Policy, now_ms: int) -> tuple[int, int]:
    """(subjects shredded, parked bodies wiped)."""
    with database.write() as connection:
        if quarantine.reason_of(connection) is not None:
            return 0, 0
        lock_head(connection)  # nobody may be confirming what is found expired here
        recorded_until_ms = _recorded_until_ms(connection, now_ms)
        before_ms = recorded_until_ms - policy.retention.unconfirmed_request_days * DAY_MS
        requests.expire(connection, before_ms, now_ms)
        answers.expire(connection, now_ms)
        subjects = _expired_subjects(connection, before_ms)
        for handle in subjects:
            _shred(connection, handle, now_ms)
        wiped = connection.execute(
            update(inbox)
            .where(
                inbox.c.status == deliveries.PARKED,
                inbox.c.box.is_not(None),
                inbox.c.reason.is_distinct_from(WAITING),  # the person decides how long that waits
                inbox.c.received_at_ms < now_ms - policy.retention.parked_days * DAY_MS,
            )
            .values(box=None)
        ).rowcount
    return len(subjects), wiped


def _recorded_until_ms(connection: Connection, now_ms: int) -> int:
    """Until when everything is recorded: a confirmation that was accepted in time may wait in the inbox still."""
    oldest_ms = connection.execute(select(func.min(inbox.c.received_at_ms)).where(inbox.c.status == deliveries.NEW))
    return min(now_ms, oldest_ms.scalar() or now_ms)


def _expired_subjects(connection: Connection, before_ms: int) -> list[bytes]:
    """Subjects of whom nothing but unconfirmed or refused requests is known, the last of them older than that."""
    decided = exists().where(consent_state.c.subject == subject.c.handle, consent_state.c.state.in_(DECISIVE))
    newer = exists().where(
        ledger_entry.c.subject == subject.c.handle,
        ledger_entry.c.recorded_at_ms >= before_ms,
        ledger_entry.c.kind != Kind.REQUEST_EXPIRED,  # our own word, and the reason why nothing keeps them
    )
    stopping = exists().where(pending_withdrawal.c.subject == subject.c.handle)
    asking = requests.has_open(subject.c.handle)
    using = product_rows.has_any(subject.c.handle)
    free = subject.c.restricted_at_ms.is_(None)
    query = select(subject.c.handle).where(
        subject.c.created_at_ms < before_ms, free, ~decided, ~newer, ~stopping, ~asking, ~using
    )
    return list(connection.execute(query.limit(BATCH_ROWS)).scalars())


def _shred(connection: Connection, handle: bytes, now_ms: int) -> None:
    """Boxes, key, tags and links in one transaction with the entry that says so."""
    purposes = connection.execute(
        select(consent_state.c.purpose).where(consent_state.c.subject == handle).order_by(consent_state.c.purpose)
    )
    entries = [
        Entry(id=new_id(now_ms), kind=Kind.EXPIRED, recorded_at_ms=now_ms, subject=handle, purpose=purpose)
        for purpose in purposes.scalars()
    ]
    if not entries:  # a request was all that there was
        entries = [Entry(new_id(now_ms), Kind.SUBJECT_EXPIRED, now_ms, handle, source="retention", reason=UNCONFIRMED)]
    append_many(connection, [NewEntry(entry) for entry in entries])
    shred(connection, handle)
