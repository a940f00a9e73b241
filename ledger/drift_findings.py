"""What a comparison with a processor found, recorded and acted on: only ever towards withdrawal.

Undone there, a withdrawal is carried again. Withdrawn there, a consent is withdrawn here too, if it had certainly been
there before; otherwise that is only reported. Nobody is ever subscribed again.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from sqlalchemy import Connection, select

from ledger import links, outbox
from ledger.carrying import GIVE, RESTRICT, UNRESTRICT, WITHDRAW, carry
from ledger.drift import mark_compared
from ledger.expectation import Expectation, Wanted, expectations
from ledger.links import split
from ledger.log import NewEntry, lock_head, new_id
from ledger.recorder import RECEIPT, Recorder, append, fold, send_mail
from ledger.tables import ledger_entry, relay, subject
from schemas.entry import Entry, Kind

SOURCE = "drift"
# What was found there, as the entry says it.
GIVEN_THERE, WITHDRAWN_THERE, ABSENT = "given_at_processor", "withdrawn_at_processor", "absent_at_processor"
NO_CONSENT = "no_consent_known"
# What became of a comparison; the keys of a sweep's counts.
SAME, REPAIRED, WITHDRAWN, REPORTED, BUSY, GONE = "same", "repaired", "withdrawn", "reported", "busy", "gone"
FAILED = "failed"  # the processor could not say
OUTCOMES = (SAME, REPAIRED, WITHDRAWN, REPORTED, BUSY, GONE, FAILED)
DONE = "done"
_STEERING = (GIVE, WITHDRAW, RESTRICT, UNRESTRICT, "erase")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One person and one processor. `given`, `withdrawn`: the purposes of which it says so.

    `expected`: what the ledger wanted when the processor was asked. `addresses`: by which it was asked.
    """

    handle: bytes
    processor: str
    expected: Mapping[str, Expectation]
    given: Collection[str]
    withdrawn: Collection[str]
    addresses: Sequence[str] = ()


def record(connection: Connection, recorder: Recorder, found: Comparison) -> Counter[str]:
    """What became of it, by word: how many purposes. One write transaction: what is no longer so is not acted on."""
    lock_head(connection)
    known = select(subject.c.handle).where(subject.c.handle == found.handle)
    if connection.execute(known).one_or_none() is None:
        return Counter({GONE: 1})
    mark_compared(connection, found.handle, found.processor, recorder.now_ms)
    if _is_steered(connection, found):
        return Counter({BUSY: 1})
    now = expectations(connection, found.handle, found.expected)
    still = {purpose: one for purpose, one in now.items() if one == found.expected[purpose]}
    counts: Counter[str] = Counter()
    for wanted, action in ((Wanted.STOPPED, WITHDRAW), (Wanted.RESTRICTED, RESTRICT)):
        undone = [purpose for purpose in still if still[purpose].wanted is wanted and purpose in found.given]
        counts += _undone(connection, recorder, found, undone, action, still)
    counts += _not_there(connection, recorder, found, still)
    unknown = [purpose for purpose in still if still[purpose].wanted is Wanted.NOTHING and purpose in found.given]
    counts += _report(connection, recorder, found, unknown, NO_CONSENT, still)
    return counts or Counter({SAME: 1})


def _is_steered(connection: Connection, found: Comparison) -> bool:
    """Whether something is on its way there, or waits for an operator: then what it says now proves nothing."""
    unfinished = relay.c.status.in_((outbox.PENDING, outbox.PARKED)) & relay.c.action.in_(_STEERING)
    own = (relay.c.subject == found.handle) & (relay.c.processor == found.processor)
    return connection.execute(select(relay.c.id).where(own, unfinished).limit(1)).first() is not None


def _undone(
    connection: Connection,
    recorder: Recorder,
    found: Comparison,
    purposes: Sequence[str],
    action: str,
    still: Mapping[str, Expectation],
) -> Counter[str]:
    """Said again, there and nowhere else, before anything that is not urgent."""
    if not purposes:
        return Counter()
    processor = recorder.policy.processors[found.processor]
    if action not in processor.actions:  # nothing of ours can mend it: told once
        return _report(connection, recorder, found, purposes, GIVEN_THERE, still)
    new = [NewEntry(_found(recorder, found, purpose, GIVEN_THERE)) for purpose in purposes]
    positions = append(connection, recorder, new)
    there = replace(recorder.policy, processors=MappingProxyType({processor.key: processor}))
    carry(
        connection,
        replace(recorder, policy=there),
        found.handle,
        action,
        new[0].entry.id,
        positions[0],
        purposes=purposes,
        addresses=found.addresses,
    )
    return Counter({REPAIRED: len(purposes)})


def _not_there(
    connection: Connection, recorder: Recorder, found: Comparison, still: Mapping[str, Expectation]
) -> Counter[str]:
    """Given here, and not there. Only where we once read it back does a processor's word end a consent.

    Where it says nothing at all, as a group of somebody who left it, that is reported: silence withdraws nothing.
    """
    missing = [one for one in still if still[one].wanted is Wanted.GIVEN and one not in found.given]
    was_there = [one for one in missing if _was_there(connection, found, one, still[one].position)]
    counts = _withdrawn_there(connection, recorder, found, [one for one in was_there if one in found.withdrawn])
    never = [one for one in missing if one in found.withdrawn and one not in was_there]
    counts += _report(connection, recorder, found, never, WITHDRAWN_THERE, still)
    absent = [one for one in was_there if one not in found.withdrawn]
    return counts + _report(connection, recorder, found, absent, ABSENT, still)


def _withdrawn_there(
    connection: Connection, recorder: Recorder, found: Comparison, purposes: Sequence[str]
) -> Counter[str]:
    """The processor had it, read back, and no longer has: somebody ended it there, and unknowns mean withdrawn.

    The person is told by a receipt, and every other processor too.
    """
    if not purposes:
        return Counter()
    drifts = [NewEntry(_found(recorder, found, purpose, WITHDRAWN_THERE)) for purpose in purposes]
    stops = [
        NewEntry(
            Entry(
                id=new_id(recorder.recorded_at_ms),
                kind=Kind.WITHDRAWN,
                recorded_at_ms=recorder.recorded_at_ms,
                subject=found.handle,
                purpose=one.entry.purpose,
                occurred_at_ms=recorder.received_at_ms,
                received_at_ms=recorder.received_at_ms,
                source=SOURCE,
                ref=one.entry.id,
            )
        )
        for one in drifts
    ]
    positions = append(connection, recorder, [*drifts, *stops])[len(drifts) :]
    fold(connection, recorder, stops, positions)
    links.close_confirmations(connection, found.handle)
    cause = stops[0].entry.id
    carry(connection, recorder, found.handle, WITHDRAW, cause, positions[0], purposes=purposes)
    send_mail(connection, recorder, found.handle, RECEIPT, purposes, cause, positions[0])
    return Counter({WITHDRAWN: len(purposes)})


def _was_there(connection: Connection, found: Comparison, purpose: str, position: int) -> bool:
    """Whether we carried this very consent there and read it back."""
    given = select(relay.c.purposes).where(
        relay.c.subject == found.handle,
        relay.c.processor == found.processor,
        relay.c.action == GIVE,
        relay.c.status == outbox.CONFIRMED,
        relay.c.outcome == DONE,
        relay.c.sequence >= position,
    )
    return any(purpose in split(text) for text in connection.execute(given).scalars())


def _report(
    connection: Connection,
    recorder: Recorder,
    found: Comparison,
    purposes: Sequence[str],
    reason: str,
    still: Mapping[str, Expectation],
) -> Counter[str]:
    """Only said, and once for each consent: nothing that we do would change it."""
    told = _told(connection, found, reason)
    new = [one for one in purposes if told.get(one, -1) <= still[one].position]
    append(connection, recorder, [NewEntry(_found(recorder, found, purpose, reason)) for purpose in new])
    return Counter({REPORTED: len(purposes)}) if purposes else Counter()


def _told(connection: Connection, found: Comparison, reason: str) -> dict[str, int]:
    """Where the ledger last said this of each purpose."""
    said = (ledger_entry.c.subject == found.handle) & (ledger_entry.c.kind == Kind.DRIFT_FOUND.value)
    rows = connection.execute(select(ledger_entry.c.position, ledger_entry.c.leaf).where(said))
    leaves = [(row.position, json.loads(row.leaf)) for row in rows]
    same = [(position, leaf) for position, leaf in leaves if leaf["reason"] == reason]
    return {leaf["purpose"]: position for position, leaf in same if leaf["processor"] == found.processor}


def _found(recorder: Recorder, found: Comparison, purpose: str, reason: str) -> Entry:
    return Entry(
        id=new_id(recorder.recorded_at_ms),
        kind=Kind.DRIFT_FOUND,
        recorded_at_ms=recorder.recorded_at_ms,
        subject=found.handle,
        processor=found.processor,
        purpose=purpose,
        # What the processor is told again is when the person said it, not when we noticed.
        occurred_at_ms=found.expected[purpose].since_ms or None,
        reason=reason,
    )
