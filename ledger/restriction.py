"""Restriction: stored, and not used (GDPR Articles 18 and 4(3)).

Nothing of a restricted person is opened before an entry says so, in one transaction with what is done with it.
Withdrawals and erasures still apply; what would grant anything waits, parked, until the restriction is lifted.
"""

from dataclasses import replace

from sqlalchemy import Connection, delete, select, update

from ledger import inbox as deliveries
from ledger.carrying import GIVE, RESTRICT, UNRESTRICT, carry
from ledger.errors import RefusedError
from ledger.log import NewEntry, append_many, new_id
from ledger.outbox import PENDING
from ledger.recorder import LIFTING, MAIL, Recorder, send_mail
from ledger.state import GIVEN, read_states
from ledger.tables import inbox, ledger_entry, relay, subject
from ledger.vault import Subject
from schemas.entry import Entry, Kind

# GDPR Article 18(1)(a) to (d).
REASONS = ("accuracy_contested", "unlawful", "claims", "objection")
# Our own: what is left after the last withdrawal is proof, and no longer used (ledger.proof).
WITHDRAWN = "withdrawn"
WAITING = "subject_restricted"
ENDS = "restriction_ends"  # what the person was told


def reason_of(connection: Connection, handle: bytes) -> str | None:
    """Why somebody is restricted, or None."""
    found = connection.execute(select(subject.c.restricted_reason).where(subject.c.handle == handle))
    return found.scalar_one_or_none()


def restrict(
    connection: Connection, handle: bytes, reason: str, now_ms: int, source: str, keep_until_ms: int | None = None
) -> int:
    """Returns the position of the entry. `keep_until_ms`: when what is left is shredded."""
    values = {"restricted_at_ms": now_ms, "restricted_reason": reason, "keep_until_ms": keep_until_ms}
    return _write(connection, Kind.RESTRICTED, handle, reason, now_ms, source, values)[1]


def lift(connection: Connection, handle: bytes, reason: str, now_ms: int, source: str) -> int:
    """Returns the position of the entry. What waited for this is recorded next."""
    return _lift(connection, handle, reason, now_ms, source)[1]


def restrict_as_asked(connection: Connection, recorder: Recorder, handle: bytes, reason: str, source: str) -> int:
    """By Article 18, and carried to every processor. `reason`: one of REASONS. RefusedError if it is so already."""
    if reason_of(connection, handle) in REASONS:
        raise RefusedError("already_restricted")
    values = {"restricted_at_ms": recorder.now_ms, "restricted_reason": reason, "keep_until_ms": None}
    cause, position = _write(connection, Kind.RESTRICTED, handle, reason, recorder.now_ms, source, values)
    carry(connection, recorder, handle, RESTRICT, cause, position)
    return position


def lift_as_asked(connection: Connection, recorder: Recorder, handle: bytes, source: str) -> int:
    """Carried to every processor, and what is still given with it. RefusedError if Article 18 restricts nothing."""
    if reason_of(connection, handle) not in REASONS:
        raise RefusedError("not_restricted")
    cause, position = _lift(connection, handle, "lifted", recorder.now_ms, source)
    carry(connection, recorder, handle, UNRESTRICT, cause, position)
    given = sorted(purpose for purpose, state in read_states(connection, handle).items() if state.state == GIVEN)
    if given:
        carry(connection, recorder, handle, GIVE, cause, position, purposes=given)
    return position


def announce_lifting(connection: Connection, recorder: Recorder, handle: bytes) -> bool:
    """Whether the person was told already that the restriction ends (Article 18(3)); else a mail tells it now.

    RefusedError if Article 18 restricts nothing, or `telling_under_way` while that mail waits.
    """
    if reason_of(connection, handle) not in REASONS:
        raise RefusedError("not_restricted")
    if connection.execute(select(subject.c.told_at_ms).where(subject.c.handle == handle)).scalar_one() is not None:
        return True
    own = (relay.c.subject == handle) & (relay.c.processor == MAIL) & (relay.c.action == LIFTING)
    if connection.execute(select(relay.c.id).where(own, relay.c.status == PENDING).limit(1)).first() is not None:
        raise RefusedError("telling_under_way")
    cause, position = _newest_restriction(connection, handle)
    again = delete(relay).where(own, relay.c.cause == bytes.fromhex(cause))  # one that could not leave
    connection.execute(again)
    send_mail(connection, recorder, handle, LIFTING, (), cause, position)
    return False


def mark_told(connection: Connection, handle: bytes, now_ms: int) -> None:
    """The mail that tells it has left: an entry, and from now on the restriction may be lifted."""
    if reason_of(connection, handle) in REASONS:
        _write(connection, Kind.TOLD, handle, ENDS, now_ms, "mail", {"told_at_ms": now_ms})


def _newest_restriction(connection: Connection, handle: bytes) -> tuple[str, int]:
    """Id and position of the entry that restricts the person now."""
    own = ledger_entry.c.subject == handle
    query = select(ledger_entry.c.id, ledger_entry.c.position).where(own, ledger_entry.c.kind == Kind.RESTRICTED)
    row = connection.execute(query.order_by(ledger_entry.c.position.desc()).limit(1)).one()
    return row.id.hex(), row.position


def _lift(connection: Connection, handle: bytes, reason: str, now_ms: int, source: str) -> tuple[str, int]:
    values = dict.fromkeys(("restricted_at_ms", "restricted_reason", "keep_until_ms", "told_at_ms"))
    written = _write(connection, Kind.UNRESTRICTED, handle, reason, now_ms, source, values)
    # Which of them are this person's only their boxes know: the others are parked again.
    waits = (inbox.c.status == deliveries.PARKED) & (inbox.c.reason == WAITING) & inbox.c.box.is_not(None)
    connection.execute(update(inbox).where(waits).values(status=deliveries.NEW, reason=None))
    return written


def _write(
    connection: Connection, kind: Kind, handle: bytes, reason: str, now_ms: int, source: str, values: dict[str, object]
) -> tuple[str, int]:
    """(id, position) of the entry."""
    entry = Entry(id=new_id(now_ms), kind=kind, recorded_at_ms=now_ms, subject=handle, reason=reason, source=source)
    connection.execute(update(subject).where(subject.c.handle == handle).values(values))
    return entry.id, append_many(connection, [NewEntry(entry)])[0]


def require_open_to_grants(connection: Connection, person: Subject) -> None:
    """RefusedError while a restriction by Article 18 lasts: it is the person who decides when anything goes on."""
    if person.restricted and reason_of(connection, person.handle) != WITHDRAWN:
        raise RefusedError(WAITING)


def open_restricted(
    connection: Connection, person: Subject, reason: str, now_ms: int, kind: Kind = Kind.OPENED
) -> Subject:
    """The person with boxes that can be opened, once an entry says by which deed."""
    if not person.restricted:
        return person
    entry = Entry(id=new_id(now_ms), kind=kind, recorded_at_ms=now_ms, subject=person.handle, reason=reason)
    append_many(connection, [NewEntry(entry)])
    return replace(person, restricted=False)
