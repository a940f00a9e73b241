"""More time for the answer to a request: why, and until when (GDPR Article 12(3))."""

from sqlalchemy import select

from ledger.log import entry_by_id
from ledger.outbox import Relay
from ledger.tables import rights_request
from schemas.entry import parse_leaf
from workers.context import Context
from workers.ending import Superseded
from workers.mails.letter import Letter, addressee, right_names, to_person


def extension(context: Context, claimed: Relay) -> Letter:
    with context.database.write() as connection:
        addressed = addressee(context, connection, claimed)
        entry = parse_leaf(entry_by_id(connection, claimed.cause).leaf)
        request_id = bytes.fromhex(entry.ref or "")
        query = select(rights_request.c.due_at_ms).where(rights_request.c.id == request_id)
        due_at_ms = connection.execute(query).scalar_one_or_none()
    if due_at_ms is None:
        raise Superseded("not_asked_any_more")
    values = {"rights": right_names(claimed), "reason": entry.reason, "due_at_ms": due_at_ms}
    return to_person(addressed, "extension", values)
