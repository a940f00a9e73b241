"""The profile: what people tell about themselves, kept only while they agree to profiling (GDPR Article 6(1)(a)).

Each fact has an entry that says where it came from, and a box of its own. Nothing that a third party says is one: the
recorder refuses it, and so does the database.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, insert, or_, select

from ledger import vault
from ledger.errors import RefusedError
from ledger.log import NewEntry, append_many, new_id
from ledger.recorder import DAY_MS, Recorder, append, sealed
from ledger.redaction import Payload
from ledger.state import GIVEN, STOPPED, ConsentState, read_states
from ledger.tables import consent_state, ledger_entry, profile_fact
from ledger.tables import vault as vault_table
from schemas.entry import Entry, Kind
from schemas.message import Message

PROFILING = "profiling"
BATCH_ROWS = 100
THIRD_PARTY, NOT_CONSENTED = "profile_from_third_party", "profiling_not_consented"


def origin_of(source: str) -> str:
    """Where the person said it: form, link or operator. RefusedError for anybody else's word."""
    origin = "form" if source.startswith("form:") else source
    if origin not in ("form", "link", "operator"):
        raise RefusedError(THIRD_PARTY)
    return origin


def record(
    connection: Connection, recorder: Recorder, person: vault.Subject, message: Message, ordinal: int
) -> list[int]:
    """Keep the facts of a message, in the place of what the person said about the same before.

    Only of somebody who agrees to profiling, or has just been asked to confirm that they do; otherwise the ledger says
    that something was dropped. `ordinal`: of the delivery's next entry.
    """
    if not message.facts:
        return []
    origin = origin_of(message.source)
    asked = any(one.purpose == PROFILING and one.state == GIVEN for one in message.decisions)
    if not asked and read_states(connection, person.handle).get(PROFILING, ConsentState()).state != GIVEN:
        return append(connection, recorder, [_dropped(recorder, person, message.facts, message.source)], ordinal)
    own = profile_fact.c.subject == person.handle
    _delete(connection, recorder, _rows(connection, own & profile_fact.c.fact.in_(message.facts)), "told_anew")
    new = [
        sealed(person, _entry(recorder, person, message, fact), {"fact": fact, "values": list(values)})
        for fact, values in sorted(message.facts.items())
    ]
    positions = append(connection, recorder, new, ordinal)
    rows = [
        {"position": position, "subject": person.handle, "fact": one.entry.fact, "origin": origin}
        for one, position in zip(new, positions, strict=True)
    ]
    connection.execute(insert(profile_fact), rows)
    return positions


def sweep(connection: Connection, recorder: Recorder) -> int:
    """Delete what nobody agrees to any more, and what was never confirmed in its time. Returns how many facts.

    The caller holds the head's lock.
    """
    before_ms = recorder.now_ms - recorder.policy.retention.unconfirmed_request_days * DAY_MS
    state = consent_state.c.state
    never = or_(state.is_(None), state != GIVEN) & (ledger_entry.c.recorded_at_ms < before_ms)
    return _delete(connection, recorder, _rows(connection, or_(state.in_(STOPPED), never)), "profiling_ended")


def told(payloads: Sequence[Payload]) -> dict[str, tuple[str, ...]]:
    """Fact -> what the person said of it last, from the payloads of their boxes, oldest first."""
    return {str(one["fact"]): tuple(one["values"]) for one in payloads if "fact" in one}


def _rows(connection: Connection, condition: ColumnElement[bool]) -> list[Row[Any]]:
    """(position, subject, entry id) of facts."""
    profiling = and_(consent_state.c.subject == profile_fact.c.subject, consent_state.c.purpose == PROFILING)
    query = (
        select(profile_fact.c.position, profile_fact.c.subject, ledger_entry.c.id)
        .join(ledger_entry, ledger_entry.c.position == profile_fact.c.position)
        .join(consent_state, profiling, isouter=True)
        .where(condition)
    )
    return list(connection.execute(query.order_by(profile_fact.c.position).limit(BATCH_ROWS)))


def _delete(connection: Connection, recorder: Recorder, rows: Sequence[Row[Any]], reason: str) -> int:
    at_ms = recorder.recorded_at_ms
    entries = [Entry(new_id(at_ms), Kind.REDACTED, at_ms, row.subject, reason=reason, ref=row.id.hex()) for row in rows]
    append_many(connection, [NewEntry(entry) for entry in entries])
    positions = [row.position for row in rows]
    connection.execute(delete(vault_table).where(vault_table.c.position.in_(positions)))
    connection.execute(delete(profile_fact).where(profile_fact.c.position.in_(positions)))
    return len(rows)


def _entry(recorder: Recorder, person: vault.Subject, message: Message, fact: str) -> Entry:
    return Entry(
        id=new_id(recorder.recorded_at_ms),
        kind=Kind.PROFILE_RECORDED,
        recorded_at_ms=recorder.recorded_at_ms,
        subject=person.handle,
        purpose=PROFILING,
        received_at_ms=recorder.received_at_ms,
        basis="consent",
        source=message.source,
        method=message.method,
        fact=fact,
    )


def _dropped(recorder: Recorder, person: vault.Subject, facts: Mapping[str, Any], source: str) -> NewEntry:
    entry = Entry(new_id(recorder.recorded_at_ms), Kind.DROPPED, recorder.recorded_at_ms, person.handle)
    return NewEntry(replace(entry, source=source, field="other", rule=NOT_CONSENTED, count=len(facts)))
