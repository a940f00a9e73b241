"""What has been withdrawn at the moment when a relay is about to act: also what is accepted and not yet recorded."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, or_, select

from ledger.links import split
from ledger.state import STOPPED, ConsentState, read_states
from ledger.tables import pending_withdrawal, subject_address


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
