"""What a person sees of a withdrawal: which purposes, since when, and which processors have confirmed it.

Nothing here needs a key: states and relays are about a random handle.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from ledger import outbox
from ledger.carrying import WITHDRAW
from ledger.check import pending_of
from ledger.state import GIVEN, STOPPED, read_states
from ledger.tables import relay

CONFIRMED, TOLD, BY_HAND = "confirmed", "told", "by_hand"


@dataclass(frozen=True, slots=True)
class Processed:
    """How far one processor is. `state`: confirmed, told (on its way), or by_hand (a person of ours has to do it)."""

    processor: str
    state: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """`purposes`: purpose -> when it was withdrawn. `processors`: of the newest withdrawal."""

    purposes: dict[str, int]
    processors: Sequence[Processed]


def given_purposes(connection: Connection, subject: bytes) -> set[str]:
    """Without what a withdrawal has stopped that is accepted and not yet recorded."""
    given = {purpose for purpose, state in read_states(connection, subject).items() if state.state == GIVEN}
    return given - pending_of(connection, subject) if given else given


def withdrawn(connection: Connection, subject: bytes, purposes: Sequence[str]) -> Withdrawn | None:
    """None while any of these purposes is given, or none was ever withdrawn. `purposes`: empty for all.

    Of what is accepted and not yet recorded there is nothing to tell but that it counts.
    """
    known = read_states(connection, subject)
    states = {purpose: state for purpose, state in known.items() if not purposes or purpose in purposes}
    given = {purpose for purpose, state in states.items() if state.state == GIVEN}
    if given and given <= pending_of(connection, subject):
        return Withdrawn({}, ())
    stopped = {purpose: state.effective_at_ms for purpose, state in states.items() if state.state in STOPPED}
    if given or not stopped:
        return None
    return Withdrawn(stopped, _processed(connection, subject))


def _processed(connection: Connection, subject: bytes) -> list[Processed]:
    own = (relay.c.subject == subject) & (relay.c.action == WITHDRAW)
    rows = connection.execute(select(relay).where(own).order_by(relay.c.sequence))
    newest = {row.processor: row for row in rows if row.status != outbox.SUPERSEDED}
    return [Processed(name, _state(row.status), row.updated_at_ms) for name, row in sorted(newest.items())]


def _state(status: str) -> str:
    return {outbox.CONFIRMED: CONFIRMED, outbox.PARKED: BY_HAND}.get(status, TOLD)
