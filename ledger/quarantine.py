"""Quarantine: when the ledger is not the one that was signed, nothing is recorded or carried until it is restored.

The door goes on accepting: what it commits to the inbox waits there. See docs/guides/restore.md.
"""

from sqlalchemy import Connection, delete, insert, select

from ledger.checkpoints import SignerState, check_continuation
from ledger.errors import SignerError
from ledger.log import size
from ledger.tables import quarantine

# What the signer, a witness or the mirror says when the tree is not a continuation of the one that it knows.
ANOTHER_HISTORY = frozenset(
    {
        *("ledger_behind_signer", "ledger_forked"),
        *("witness_is_ahead", "witness_saw_another_tree"),
        *("mirror_is_ahead", "mirror_differs"),
    }
)


def enter(connection: Connection, reason: str, at_ms: int) -> bool:
    """Whether this call began it; the first reason stays."""
    if reason_of(connection) is not None:
        return False
    connection.execute(insert(quarantine).values(id=1, reason=reason, since_ms=at_ms))
    return True


def lift(connection: Connection) -> None:
    connection.execute(delete(quarantine))


def reason_of(connection: Connection) -> str | None:
    """Why nothing is recorded or carried, or None."""
    return connection.execute(select(quarantine.c.reason)).scalar_one_or_none()


def assess(connection: Connection, state: SignerState, at_ms: int) -> str | None:
    """Enter quarantine if the ledger does not continue what was signed; returns why."""
    try:
        check_continuation(connection, state, size(connection))
    except SignerError as error:
        if error.reason not in ANOTHER_HISTORY:
            raise
        enter(connection, error.reason, at_ms)
    return reason_of(connection)
