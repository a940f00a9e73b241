"""The proof: what is left of a person after the last withdrawal, for the years that policy.toml says, and then nothing.

The profile goes; addresses stay sealed, restricted, with the entries that show when consent was given and withdrawn.
"""

import datetime
from collections.abc import Iterable

from sqlalchemy import Case, ColumnElement, Connection, case, exists, func, select

from ledger import links, outbox, product_rows, requests, vault
from ledger.erasure import shred
from ledger.log import NewEntry, append_many, new_id
from ledger.recorder import Recorder
from ledger.redaction import Payload, redact
from ledger.restriction import WITHDRAWN, restrict
from ledger.state import GIVEN, STOPPED, read_states
from ledger.tables import consent_state, link, pending_withdrawal, relay, subject
from schemas.entry import Entry, Kind

BATCH_ROWS = 50
ADDRESSES = ("email", vault.SPELLING)
SOURCE = "retention"


def keep_proof(connection: Connection, recorder: Recorder) -> int:
    """Restrict who has withdrawn everything. Returns how many. The caller holds the head's lock."""
    handles = _all_withdrawn(connection, recorder)
    for handle in handles:
        person = vault.load_subject(connection, recorder.keyring["kek"], handle)
        redact(connection, recorder, person, "proof_only", addresses_only)
        until_ms = keep_until_ms(connection, recorder, handle)
        restrict(connection, handle, WITHDRAWN, recorder.recorded_at_ms, SOURCE, until_ms)
    return len(handles)


def end_proof(connection: Connection, recorder: Recorder) -> int:
    """Shred the proofs that have had their time. Returns how many. The caller holds the head's lock."""
    waiting = exists().where(pending_withdrawal.c.subject == subject.c.handle)
    due = (subject.c.keep_until_ms <= recorder.now_ms) & (subject.c.restricted_reason == WITHDRAWN) & ~waiting
    due &= ~requests.has_open(subject.c.handle)
    handles = list(connection.execute(select(subject.c.handle).where(due).limit(BATCH_ROWS)).scalars())
    ended = 0
    for handle in handles:
        if keep_until_ms(connection, recorder, handle) > recorder.now_ms:
            continue  # withdrawn again since: by a link, or by another address
        entry = Entry(
            id=new_id(recorder.recorded_at_ms),
            kind=Kind.SUBJECT_EXPIRED,
            recorded_at_ms=recorder.recorded_at_ms,
            subject=handle,
            source=SOURCE,
            reason="proof_years",
        )
        append_many(connection, [NewEntry(entry)])
        shred(connection, handle)
        ended += 1
    return ended


def _all_withdrawn(connection: Connection, recorder: Recorder) -> list[bytes]:
    """Who has stopped something and gives nothing, once nothing is left to be done or asked."""
    counted = (
        select(consent_state.c.subject)
        .group_by(consent_state.c.subject)
        .having(func.max(_is(consent_state.c.state, [GIVEN])) == 0)
        .having(func.max(_is(consent_state.c.state, STOPPED)) == 1)
    )
    asked_since_ms = recorder.now_ms - recorder.policy.retention.unconfirmed_request_days * 24 * 3600 * 1000
    asked = exists().where(
        link.c.subject == subject.c.handle,
        link.c.kind == links.CONFIRM,
        link.c.status == "open",
        link.c.created_at_ms > asked_since_ms,
    )
    carried = exists().where(relay.c.subject == subject.c.handle, relay.c.status == outbox.PENDING)
    waiting = exists().where(pending_withdrawal.c.subject == subject.c.handle)
    # Whoever has asked what we hold is not to be answered with what we have deleted since.
    claimed = requests.has_open(subject.c.handle)
    # Whoever has paid for something is not only proof.
    using = product_rows.has_any(subject.c.handle)
    query = select(subject.c.handle).where(
        subject.c.restricted_at_ms.is_(None),
        ~asked,
        ~carried,
        ~waiting,
        ~claimed,
        ~using,
        subject.c.handle.in_(counted),
    )
    return list(connection.execute(query.order_by(subject.c.handle).limit(BATCH_ROWS)).scalars())


def _is(column: ColumnElement[str], states: Iterable[str]) -> Case[int]:
    return case((column.in_(states), 1), else_=0)


def addresses_only(payload: Payload) -> Payload:
    return {name: payload[name] for name in ADDRESSES if name in payload}


def keep_until_ms(connection: Connection, recorder: Recorder, handle: bytes) -> int:
    """The last withdrawal, and so many years."""
    stops = [state for state in read_states(connection, handle).values() if state.state in STOPPED]
    last_ms = max((state.effective_at_ms for state in stops), default=recorder.now_ms)
    return _years_later(last_ms, recorder.policy.retention.proof_years)


def _years_later(at_ms: int, years: int) -> int:
    """The same day so many years later; of a 29 February, the day after."""
    moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(milliseconds=at_ms)
    try:
        later = moment.replace(year=moment.year + years)
    except ValueError:
        later = moment.replace(year=moment.year + years, month=3, day=1)
    return (later - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(milliseconds=1)
