"""An erasure as a work item: begun with the person's entry, done when every processor of the register has answered.

Some answer at once, some need months (a payment at Stripe can be redacted 90 days after it at the earliest), and some
leave it to a person. Until all of them have, nothing says that the erasure is complete. The register counts as it was
when the erasure began: what is added to policy.toml later never had the person.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, exists, insert, select, update

from ledger.carrying import ERASE, NO_ADDRESS, NOT_ALLOWED, WITHDRAW, allowed, carry, leave_to_people
from ledger.errors import NotFoundError
from ledger.log import NewEntry, append_many, lock_head, new_id
from ledger.outbox import CONFIRMED
from ledger.recorder import Recorder
from ledger.residual import REMOVED, RETAINED, Answer, retained_until_ms
from ledger.tables import erasure, relay
from schemas.entry import Entry, Kind
from schemas.policy import Policy

NOT_FOUND = "not_found"
ENDS = frozenset({REMOVED, RETAINED, NOT_FOUND})


@dataclass(frozen=True, slots=True)
class Standing:
    """One erasure. `id`: that of its `subject.erased` entry; `answers`: one for each processor of the register."""

    id: bytes
    subject: bytes
    started_at_ms: int
    completed_at_ms: int | None
    answers: tuple[Answer, ...]

    @property
    def answered(self) -> int:
        """How many processors have done what they will do."""
        return sum(answer.outcome is not None for answer in self.answers)


def begin(connection: Connection, recorder: Recorder, entry: Entry, position: int, addresses: Sequence[str]) -> None:
    """In the transaction of the erasure. A processor that cannot be asked gets a task for people in its place."""
    assert entry.subject is not None
    _insert(connection, entry)
    if not addresses:  # nothing was ever sealed, or no key opens it: there is nothing to search by
        reasons = dict.fromkeys(recorder.policy.processors, NO_ADDRESS)
        leave_to_people(connection, recorder, entry.subject, ERASE, entry.id, position, reasons)
        return
    asked = allowed(recorder, ERASE)
    tell = partial(carry, connection, recorder, entry.subject, purposes=tuple(recorder.policy.purposes))
    tell(ERASE, entry.id, position, addresses=addresses)
    others = dict.fromkeys((key for key in recorder.policy.processors if key not in asked), NOT_ALLOWED)
    leave_to_people(connection, recorder, entry.subject, ERASE, entry.id, position, others, addresses=addresses)
    # Until somebody has done it there, at least nothing is sent from there.
    tell(WITHDRAW, entry.id, position, addresses=addresses, without=asked)


def begin_again(
    connection: Connection,
    recorder: Recorder,
    entry: Entry,
    position: int,
    addresses: Sequence[str],
    completed_at_ms: int | None,
) -> None:
    """After a restore. One that was complete is carried again all the same, to whoever may have been restored too."""
    if completed_at_ms is None:
        begin(connection, recorder, entry, position, addresses)
        return
    assert entry.subject is not None
    _insert(connection, entry, completed_at_ms)
    if addresses:
        purposes = tuple(recorder.policy.purposes)
        carry(connection, recorder, entry.subject, ERASE, entry.id, position, purposes=purposes, addresses=addresses)


def begun_since(connection: Connection, at_ms: int) -> bool:
    """Whether an erasure has begun since then, or in that very millisecond."""
    return bool(connection.execute(select(exists().where(erasure.c.started_at_ms >= at_ms))).scalar_one())


def mark_completed(connection: Connection, erasure_id: bytes, completed_at_ms: int) -> None:
    """As an entry says. Nothing, where the erasure has no row."""
    connection.execute(update(erasure).where(erasure.c.id == erasure_id).values(completed_at_ms=completed_at_ms))


def _insert(connection: Connection, entry: Entry, completed_at_ms: int | None = None) -> None:
    row = {"id": bytes.fromhex(entry.id), "subject": entry.subject, "started_at_ms": entry.recorded_at_ms}
    connection.execute(insert(erasure), row | {"completed_at_ms": completed_at_ms})


def complete_if_done(connection: Connection, erasure_id: bytes, policy: Policy, now_ms: int) -> bool:
    """Whether this was the last answer: then the entry that says so is appended. For whoever has ended an erase relay.

    False for what is no erasure of ours, is complete already, or was carried to nobody at all.
    """
    lock_head(connection)  # two last answers at once: the second sees the first
    open_ = (erasure.c.id == erasure_id) & erasure.c.completed_at_ms.is_(None)
    row = connection.execute(select(erasure).where(open_)).one_or_none()
    if row is None:
        return False
    answers = _answers(connection, erasure_id, policy)
    if not answers or any(answer.outcome is None for answer in answers):
        return False
    retained = [answer for answer in answers if answer.outcome == RETAINED]
    entry = Entry(
        id=new_id(now_ms),
        kind=Kind.ERASURE_COMPLETED,
        recorded_at_ms=now_ms,
        subject=row.subject,
        ref=erasure_id.hex(),
        outcome=RETAINED if retained else REMOVED,
        retained_until_ms=max((one.retained_until_ms for one in retained if one.retained_until_ms), default=None),
    )
    append_many(connection, [NewEntry(entry)])
    mark_completed(connection, erasure_id, now_ms)
    return True


def status(connection: Connection, erasure_id: bytes, policy: Policy) -> Standing:
    """Raises NotFoundError."""
    row = connection.execute(select(erasure).where(erasure.c.id == erasure_id)).one_or_none()
    if row is None:
        raise NotFoundError("erasure_not_found")
    return _standing(connection, row, policy)


def newest(connection: Connection, policy: Policy, limit: int, open_only: bool = False) -> list[Standing]:
    """The newest first."""
    query = select(erasure).order_by(erasure.c.started_at_ms.desc(), erasure.c.id).limit(limit)
    if open_only:
        query = query.where(erasure.c.completed_at_ms.is_(None))
    return [_standing(connection, row, policy) for row in connection.execute(query).all()]


def _standing(connection: Connection, row: Row[Any], policy: Policy) -> Standing:
    answers = tuple(_answers(connection, row.id, policy))
    return Standing(row.id, row.subject, row.started_at_ms, row.completed_at_ms, answers)


def _answers(connection: Connection, erasure_id: bytes, policy: Policy) -> list[Answer]:
    """An outcome counts once its relay is confirmed: read back, or done and said by an operator."""
    query = select(relay).where(relay.c.cause == erasure_id, relay.c.action == ERASE).order_by(relay.c.processor)
    return [
        Answer(
            processor=row.processor,
            status=row.status,
            outcome=row.outcome if row.status == CONFIRMED and row.outcome in ENDS else None,
            reason=row.reason,
            retained_until_ms=retained_until_ms(row.reason, row.retained_until_ms, row.updated_at_ms, policy)
            if row.status == CONFIRMED and row.outcome == RETAINED
            else None,
            at_ms=row.updated_at_ms,
        )
        for row in connection.execute(query)
    ]
