"""What the ledger wants to be true of a person at every processor, and by which addresses to ask whether it is."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from ledger import restriction, vault
from ledger.check import pending_purposes
from ledger.state import GIVEN, STOPPED, ConsentState, read_states


class Wanted(StrEnum):
    """What the ledger wants to be true of a purpose at every processor."""

    GIVEN = "given"
    STOPPED = "stopped"
    RESTRICTED = "restricted"  # given, and not to be used: Article 18
    NOTHING = "nothing"  # never decided


@dataclass(frozen=True, slots=True)
class Expectation:
    """`since_ms`: when the person said it. `position`: of the consent entry that says so; -1 where there is none."""

    wanted: Wanted
    since_ms: int
    position: int


def expectations(connection: Connection, handle: bytes, purposes: Collection[str]) -> dict[str, Expectation]:
    """For every purpose. A withdrawal that is accepted and not recorded yet counts."""
    states = read_states(connection, handle)
    siblings, wides = vault.siblings(connection, handle), vault.wide_tags(connection, handle)
    pending = pending_purposes(connection, siblings, wides)
    restricted = restriction.reason_of(connection, handle) in restriction.REASONS
    found = {}
    for purpose in purposes:
        state = states.get(purpose, ConsentState())
        wanted = Wanted.NOTHING
        if purpose in pending or state.state in STOPPED:
            wanted = Wanted.STOPPED
        elif state.state == GIVEN:
            wanted = Wanted.RESTRICTED if restricted else Wanted.GIVEN
        found[purpose] = Expectation(wanted, state.effective_at_ms, state.position)
    return found


def addresses_to_ask(connection: Connection, person: vault.Subject) -> tuple[str, ...]:
    """By which a processor is asked: also spellings that a withdrawal may have meant, unless their owner said yes."""
    others = [one for one in vault.siblings(connection, person.handle) if one != person.handle]
    for other in others:
        if any(state.state == GIVEN for state in read_states(connection, other).values()):
            return vault.emails(connection, person)
    return vault.emails_to_stop(connection, person)
