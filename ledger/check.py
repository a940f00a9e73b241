"""May I send this person this? One answer with one reason, for mailers, relays and operators.

Sending stops on anything that may mean no: a wide match, a suppression, or a withdrawal not yet recorded.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, or_, select

from ledger import quarantine, restriction, suppression, vault
from ledger.identity import address_tags
from ledger.keyring import Keyring
from ledger.links import split
from ledger.log import entry_at
from ledger.state import GIVEN, STOPPED, ConsentState, read_states
from ledger.tables import pending_withdrawal, subject_address
from schemas.address import Address


@dataclass(frozen=True, slots=True)
class Answer:
    """`reason`: given, never_asked, requested, refused, withdrawn, revoked, withdrawal_pending, suppressed,
    restricted or quarantined."""

    allowed: bool
    reason: str
    since_ms: int | None = None
    entry: str | None = None


def check_address(connection: Connection, keyring: Keyring, address: Address, purpose: str) -> Answer:
    if quarantine.reason_of(connection) is not None:  # the ledger may lack the newest withdrawals
        return Answer(False, "quarantined")
    tags = address_tags(keyring["index_pepper"], address)
    handles = vault.find_by_wide(connection, tags)
    own = vault.find_by_narrow(connection, tags)
    if purpose in pending_purposes(connection, handles, tags.wides):
        return Answer(False, "withdrawal_pending")
    since_ms = suppression.since_ms(suppression.find(connection, keyring["suppression"], address), purpose)
    if since_ms is not None:
        return Answer(False, "suppressed", since_ms)
    if own is None:
        return Answer(False, "never_asked")
    if restriction.reason_of(connection, own) not in (None, restriction.WITHDRAWN):
        return Answer(False, "restricted")
    return _answer(connection, read_states(connection, own).get(purpose, ConsentState()))


def _answer(connection: Connection, state: ConsentState) -> Answer:
    if state.position < 0:
        return Answer(False, state.state)
    entry = entry_at(connection, state.position).id.hex()
    return Answer(state.state == GIVEN, state.state, state.effective_at_ms, entry)


def pending_purposes(connection: Connection, handles: Sequence[bytes], wide: Sequence[bytes]) -> set[str]:
    """Purposes that an accepted but not yet recorded withdrawal has stopped already."""
    matches = or_(pending_withdrawal.c.subject.in_(handles), pending_withdrawal.c.wide.in_(wide))
    rows = connection.execute(select(pending_withdrawal.c.purposes).where(matches))
    return {purpose for text in rows.scalars() for purpose in split(text)}


# Prepared once: this is asked before every relay.
_OWN_WIDES = select(subject_address.c.wide).where(subject_address.c.subject == bindparam("handle"))
_SIBLINGS = select(subject_address.c.subject).where(subject_address.c.wide.in_(_OWN_WIDES))
_PENDING_OF = select(pending_withdrawal.c.purposes).where(
    or_(pending_withdrawal.c.subject.in_(_SIBLINGS), pending_withdrawal.c.wide.in_(_OWN_WIDES))
)


def pending_of(connection: Connection, handle: bytes) -> set[str]:
    """The same of a person: by each of their addresses, and of everybody whom those may mean."""
    return {
        purpose for text in connection.execute(_PENDING_OF, {"handle": handle}).scalars() for purpose in split(text)
    }


def withdrawn_purposes(connection: Connection, handle: bytes, purposes: tuple[str, ...]) -> tuple[str, ...]:
    """The purposes that are still withdrawn when a relay is about to act on them.

    Someone without a subject row (a suppression) has no states: what was withdrawn stays withdrawn.
    """
    states = read_states(connection, handle)
    if not states:
        return purposes
    pending = pending_of(connection, handle)
    return tuple(
        purpose for purpose in purposes if purpose in pending or states.get(purpose, ConsentState()).state in STOPPED
    )
