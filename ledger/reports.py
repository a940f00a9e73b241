"""Reports: what a processor says has happened at its end. About nobody here; whose it was, the processor knows."""

from sqlalchemy import Connection

from ledger.log import NewEntry, new_id
from ledger.recorder import Recorder, append, dropped_entries
from ledger.state import effective_at_ms
from schemas.entry import Entry, Kind
from schemas.message import Message


def report(connection: Connection, recorder: Recorder, message: Message) -> list[int]:
    entry = Entry(
        id=new_id(recorder.recorded_at_ms),
        kind=Kind.REPORTED,
        recorded_at_ms=recorder.recorded_at_ms,
        occurred_at_ms=effective_at_ms(message.sent_at_ms, recorder.received_at_ms),
        received_at_ms=recorder.received_at_ms,
        source=message.source,
        method=message.method,
        processor=message.source,
        reason=message.reported,
    )
    return append(connection, recorder, [NewEntry(entry), *dropped_entries(recorder, message, None)])
