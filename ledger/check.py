"""May I send this person this? One answer with one reason, for mailers, relays and operators.

Sending stops on anything that may mean no: a wide match, a suppression, or a withdrawal not yet recorded.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, or_, select

from ledger import vault
from ledger.identity import address_tags, suppression_tag
from ledger.keyring import Keyring
from ledger.links import split
from ledger.log import entry_at
from ledger.state import GIVEN, WITHDRAWN, ConsentState, read_states
from ledger.tables import pending_withdrawal, suppression
from schemas.address import Address


@dataclass(frozen=True, slots=True)
class Answer:
    """`reason`: given, never_asked, requested, refused, withdrawn, withdrawal_pending or suppressed."""

    allowed: bool
    reason: str
    since_ms: int | None = None
    entry: str | None = None


def check_address(connection: Connection, keyring: Keyring, address: Address, purpose: str) -> Answer:
    tags = address_tags(keyring["index_pepper"], address)
    handles = vault.find_by_wide(connection, tags.wide)
    own = vault.find_by_narrow(connection, tags.narrow)
    if purpose in pending_purposes(connection, handles, [tags.wide]):
        return Answer(False, "withdrawal_pending")
    suppressed = (suppression.c.tag == suppression_tag(keyring["suppression"], address)) & (
        suppression.c.purpose == purpose
    )
    stop = connection.execute(select(suppression.c.effective_at_ms).where(suppression.c.tag.is_not(None), suppressed))
    since_ms = stop.scalar_one_or_none()
    if since_ms is not None:
        return Answer(False, "suppressed", since_ms)
    if own is None:
        return Answer(False, "never_asked")
    return _answer(connection, read_states(connection, own).get(purpose, ConsentState()))


def _answer(connection: Connection, state: ConsentState) -> Answer:
    if state.position < 0:
        return Answer(False, state.state)
    entry = entry_at(connection, state.position).id.hex()
    return Answer(state.state == GIVEN, state.state, state.effective_at_ms, entry)


def pending_purposes(connection: Connection, handles: list[bytes], wide: list[bytes]) -> set[str]:
    """Purposes that an accepted but not yet recorded withdrawal has stopped already."""
    matches = or_(pending_withdrawal.c.subject.in_(handles), pending_withdrawal.c.wide.in_(wide))
    rows = connection.execute(select(pending_withdrawal.c.purposes).where(matches))
    return {purpose for text in rows.scalars() for purpose in split(text)}


def withdrawn_purposes(connection: Connection, handle: bytes, purposes: tuple[str, ...]) -> tuple[str, ...]:
    """The purposes that are still withdrawn when a relay is about to act on them.

    Someone without a subject row (a suppression) has no states: what was withdrawn stays withdrawn.
    """
    states = read_states(connection, handle)
    if not states:
        return purposes
    siblings = vault.siblings(connection, handle)
    pending = pending_purposes(connection, siblings, vault.wide_tags(connection, handle))
    return tuple(
        purpose for purpose in purposes if purpose in pending or states.get(purpose, ConsentState()).state == WITHDRAWN
    )
