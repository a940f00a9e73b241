"""Redaction: a sealed payload makes way for what may remain of it, and an entry says of which."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, delete, select, update

from ledger.log import NewEntry, append_many, new_id
from ledger.recorder import Recorder, sealed
from ledger.tables import ledger_entry, profile_fact, vault
from ledger.vault import Subject, open_payload
from schemas.entry import Entry, Kind

Payload = Mapping[str, Any]


def redact(
    connection: Connection, recorder: Recorder, person: Subject, reason: str, remains: Callable[[Payload], Payload]
) -> int:
    """How many payloads were put in the place of others. `remains`: what may be kept of one; if nothing, no box.

    From the first that changes on, all are sealed anew: their order tells which address is the newest.
    """
    boxes = [
        (position, entry_id, payload, remains(payload))
        for position, entry_id, payload in open_boxes(connection, person)
    ]
    first = next((at for at, (_, _, before, after) in enumerate(boxes) if before != after), len(boxes))
    new: list[NewEntry] = []
    for _, entry_id, _, after in boxes[first:]:
        entry = Entry(
            id=new_id(recorder.recorded_at_ms),
            kind=Kind.REDACTED,
            recorded_at_ms=recorder.recorded_at_ms,
            subject=person.handle,
            reason=reason,
            ref=entry_id.hex(),
        )
        new.append(sealed(person, entry, after) if after else NewEntry(entry))
    positions = append_many(connection, new)
    gone = [position for position, *_ in boxes[first:]]
    if gone:
        connection.execute(delete(vault).where(vault.c.position.in_(gone)))
    for (old, *_, after), position in zip(boxes[first:], positions, strict=True):
        fact = profile_fact.c.position == old  # what somebody told about themselves lies in its new box now
        moved = update(profile_fact).where(fact).values(position=position)
        connection.execute(moved if "fact" in after else delete(profile_fact).where(fact))
    return len(new)


def open_boxes(connection: Connection, person: Subject) -> list[tuple[int, bytes, Payload]]:
    """(position, entry id, payload) of every box of a person, oldest first."""
    rows = connection.execute(
        select(vault.c.position, ledger_entry.c.id, vault.c.box)
        .join(ledger_entry, ledger_entry.c.position == vault.c.position)
        .where(vault.c.subject == person.handle)
        .order_by(vault.c.position)
    )
    return [(row.position, row.id, json.loads(open_payload(person, row.id, row.box)[1])) for row in rows]
