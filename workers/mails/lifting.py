"""Told before a restriction ends (GDPR Article 18(3))."""

from ledger.log import lock_head
from ledger.outbox import Relay
from ledger.restriction import REASONS, mark_told, reason_of
from workers.context import Context, now_ms
from workers.ending import Superseded
from workers.mails.letter import Letter, addressee, to_person


def lifting(context: Context, claimed: Relay) -> Letter:
    with context.database.write() as connection:
        if reason_of(connection, claimed.subject) not in REASONS:
            raise Superseded("not_restricted")
        addressed = addressee(context, connection, claimed)
    return to_person(addressed, "lifting", {})


def lifting_left(context: Context, claimed: Relay) -> None:
    """The person has been told: from now on an operator may lift it."""
    with context.database.write() as connection:
        lock_head(connection)
        mark_told(connection, claimed.subject, now_ms())
