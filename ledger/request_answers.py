"""What becomes of a confirmed rights request: more time, a no with its reason, or done (GDPR Article 12(3) and (4))."""

from typing import Any

from sqlalchemy import Connection, Row, select

from ledger import requests
from ledger.errors import NotFoundError, RefusedError
from ledger.log import NewEntry, append_many, new_id
from ledger.recorder import EXTENSION, OUTCOME, REFUSAL, Recorder, send_mail
from ledger.tables import rights_request
from schemas.entry import Entry, Kind

# Article 12(3): "taking into account the complexity and number of the requests".
EXTENSION_REASONS = ("complex", "many_requests")
# Articles 12(5) and 11(2), 17(3)(b) and (e), 15(4), 18(2) and 21(1), as words.
REFUSAL_REASONS = ("unfounded", "excessive", "not_identified", "legal_obligation", "claims", "others_rights")


def extend(connection: Connection, recorder: Recorder, request_id: bytes, reason: str) -> int:
    """More time, counted from the same confirmation; the person is told. Returns the position of the entry.

    `reason`: one of EXTENSION_REASONS. Raises NotFoundError `request_not_found`; RefusedError `request_not_confirmed`,
    `already_extended`, or `extension_too_late` once the first month is over.
    """
    row = _confirmed(connection, request_id)
    if row.extended_at_ms is not None:
        raise RefusedError("already_extended")
    if recorder.recorded_at_ms > row.due_at_ms:
        raise RefusedError("extension_too_late")
    months = recorder.policy.deadlines.extension_months
    return _end(connection, recorder, row, Kind.REQUEST_EXTENDED, EXTENSION, reason=reason, count=months)


def refuse(connection: Connection, recorder: Recorder, request_id: bytes, reason: str) -> int:
    """Answered with no, and the person is told why and where to complain. Returns the position of the entry.

    `reason`: one of REFUSAL_REASONS. Raises NotFoundError `request_not_found`, RefusedError `request_not_confirmed`.
    """
    row = _confirmed(connection, request_id)
    return _end(connection, recorder, row, Kind.REQUEST_REFUSED, REFUSAL, reason=reason)


def complete(connection: Connection, recorder: Recorder, request_id: bytes, *, told: bool = True) -> int:
    """Done. Returns the position of the entry, whose id is the cause of the letter that says so.

    `told`: no letter, because another one tells it: an answer has left, or nobody is left to write to. Raises
    NotFoundError `request_not_found`, RefusedError `request_not_confirmed`.
    """
    row = _confirmed(connection, request_id)
    return _end(connection, recorder, row, Kind.REQUEST_COMPLETED, None if told else OUTCOME)


def require_confirmed(connection: Connection, request_id: bytes) -> str:
    """The right that is asked for, where the request still waits for its answer. Raises as `complete` does."""
    return str(_confirmed(connection, request_id).right)


def _confirmed(connection: Connection, request_id: bytes) -> Row[Any]:
    row = connection.execute(select(rights_request).where(rights_request.c.id == request_id)).one_or_none()
    if row is None:
        raise NotFoundError("request_not_found")
    if row.status != requests.CONFIRMED:
        raise RefusedError("request_not_confirmed")
    return row


def _end(
    connection: Connection,
    recorder: Recorder,
    row: Row[Any],
    kind: Kind,
    letter: str | None,
    *,
    reason: str | None = None,
    count: int | None = None,
) -> int:
    entry = Entry(
        id=new_id(recorder.recorded_at_ms),
        kind=kind,
        recorded_at_ms=recorder.recorded_at_ms,
        subject=row.subject,
        right=row.right,
        ref=row.id.hex(),
        reason=reason,
        count=count,
    )
    (position,) = append_many(connection, [NewEntry(entry)])
    requests.write_row(connection, entry, recorder.policy.deadlines.rights_request_months)
    if letter is not None:
        send_mail(connection, recorder, row.subject, letter, [row.right], entry.id, position)
    return position
