"""Reminders: where policy.toml asks for it, somebody who said yes long ago is told so once. It never ends a consent.

Datatilsynet recommends it; a consent lasts until it is withdrawn all the same.
"""

from sqlalchemy import Connection, select, update

from ledger.deadlines import months_before_ms
from ledger.log import NewEntry, append_many, new_id
from ledger.recorder import REMINDER, Recorder, send_mail
from ledger.state import GIVEN
from ledger.tables import consent_state, subject
from schemas.entry import Entry, Kind

BATCH_ROWS = 100
REASON = "consent_reminder"


def remind(connection: Connection, recorder: Recorder) -> int:
    """Mail the reminders that are due. Returns how many. The caller holds the head's lock."""
    count = 0
    for purpose in recorder.policy.purposes.values():
        if purpose.reminder_months is None:
            continue
        before_ms = months_before_ms(recorder.now_ms, purpose.reminder_months)
        due = (
            (consent_state.c.purpose == purpose.key)
            & (consent_state.c.state == GIVEN)
            & (consent_state.c.effective_at_ms <= before_ms)
            & consent_state.c.reminded_at_ms.is_(None)
            & subject.c.restricted_at_ms.is_(None)
        )
        query = select(consent_state.c.subject).join(subject, subject.c.handle == consent_state.c.subject).where(due)
        handles = list(connection.execute(query.limit(BATCH_ROWS)).scalars())
        for handle in handles:
            _remind_one(connection, recorder, handle, purpose.key)
        count += len(handles)
    return count


def _remind_one(connection: Connection, recorder: Recorder, handle: bytes, purpose: str) -> None:
    at_ms = recorder.recorded_at_ms
    entry = Entry(new_id(at_ms), Kind.TOLD, at_ms, handle, purpose=purpose, source="retention", reason=REASON)
    (position,) = append_many(connection, [NewEntry(entry)])
    mark(connection, handle, purpose, at_ms)
    send_mail(connection, recorder, handle, REMINDER, [purpose], entry.id, position)


def mark(connection: Connection, handle: bytes, purpose: str, at_ms: int) -> None:
    """That the person was reminded of this state: when it happens, and again after a restore."""
    own = (consent_state.c.subject == handle) & (consent_state.c.purpose == purpose)
    connection.execute(update(consent_state).where(own).values(reminded_at_ms=at_ms))
