"""Consent state: a pure reducer over consent events, and the rows that keep its result.

State of (subject, purpose) = the decisive event with the greatest (effective time, withdrawn before given).
The order in which events are recorded does not matter; ties mean stopped (docs/decisions/0001-record.md).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from ledger.tables import consent_state, subject_address
from schemas.entry import Kind

NEVER, REQUESTED, REFUSED, GIVEN, REVOKED, WITHDRAWN = (
    "never_asked",
    "requested",
    "refused",
    "given",
    "revoked",
    "withdrawn",
)

# Undecided states rank below every decision; among decisions of one time, a stop is greater, the person's own most.
_RANK = {NEVER: 0, REFUSED: 1, REQUESTED: 2, GIVEN: 3, REVOKED: 4, WITHDRAWN: 5}
_STATE_OF_RANK = {rank: state for state, rank in _RANK.items()}
# No longer given: the person withdrew it, or it was revoked for them (a bounce, a complaint, an operator).
STOPPED = frozenset({REVOKED, WITHDRAWN})
DECISIVE = STOPPED | {GIVEN}
STATE_OF_KIND: Mapping[Kind, str] = {
    Kind.REQUESTED: REQUESTED,
    Kind.REFUSED: REFUSED,
    Kind.GIVEN: GIVEN,
    Kind.REVOKED: REVOKED,
    Kind.WITHDRAWN: WITHDRAWN,
}


@dataclass(frozen=True, slots=True)
class ConsentState:
    """What is in force for one purpose, since when (effective time), by which entry."""

    state: str = NEVER
    effective_at_ms: int = 0
    position: int = -1

    @property
    def order(self) -> "Order":
        return order_of(self.state, self.effective_at_ms, self.position)


Order = tuple[int, int, int, int]


def order_of(state: str, effective_at_ms: int, position: int) -> Order:
    """The greatest of several is the state in force: a total order, so that how they arrive decides nothing."""
    if state in DECISIVE:
        return (1, effective_at_ms, _RANK[state], position)
    return (0, _RANK[state], effective_at_ms, position)


def state_of(order: Order) -> ConsentState:
    """The inverse of order_of."""
    decided, first, second, position = order
    rank, effective_at_ms = (second, first) if decided else (first, second)
    return ConsentState(_STATE_OF_RANK[rank], effective_at_ms, position)


def reduce_state(current: ConsentState, event: ConsentState) -> ConsentState:
    """The later of two by the rule above. Commutative and associative: max over a total order."""
    return max(current, event, key=lambda one: one.order)


def effective_at_ms(sent_at_ms: int | None, received_at_ms: int) -> int:
    """min(sender's trusted time, received_at); a sender that gives no trusted time takes received_at."""
    return received_at_ms if sent_at_ms is None else min(sent_at_ms, received_at_ms)


# Prepared once: SQLAlchemy takes longer to put a statement together than SQLite to run it.
_READ = select(consent_state).where(consent_state.c.subject == bindparam("handle"))
_REMOVE = delete(consent_state).where(
    consent_state.c.subject == bindparam("handle"), consent_state.c.purpose == bindparam("name")
)
_STORE = insert(consent_state)
_LAST_WITHDRAWALS = (
    select(consent_state.c.purpose, func.max(consent_state.c.effective_at_ms).label("at_ms"))
    .join(subject_address, subject_address.c.subject == consent_state.c.subject)
    .where(subject_address.c.wide.in_(bindparam("wides", expanding=True)), consent_state.c.state.in_(STOPPED))
    .group_by(consent_state.c.purpose)
)


def read_states(connection: Connection, subject: bytes) -> dict[str, ConsentState]:
    rows = connection.execute(_READ, {"handle": subject})
    return {row.purpose: ConsentState(row.state, row.effective_at_ms, row.position) for row in rows}


def last_withdrawals(connection: Connection, wides: Sequence[bytes]) -> dict[str, int]:
    """When each purpose was last stopped for anybody whom an address may mean, if that still stands for them."""
    return {row.purpose: row.at_ms for row in connection.execute(_LAST_WITHDRAWALS, {"wides": list(wides)})}


def write_states(connection: Connection, subject: bytes, events: Iterable[tuple[str, ConsentState]]) -> None:
    """Fold events into the stored states of one subject, inside the transaction that appends them."""
    states = read_states(connection, subject)
    for purpose, event in events:
        folded = reduce_state(states.get(purpose, ConsentState()), event)
        if folded == states.get(purpose):
            continue
        if purpose in states:
            connection.execute(_REMOVE, {"handle": subject, "name": purpose})
        connection.execute(
            _STORE,
            {
                "subject": subject,
                "purpose": purpose,
                "state": folded.state,
                "effective_at_ms": folded.effective_at_ms,
                "position": folded.position,
            },
        )
        states[purpose] = folded
