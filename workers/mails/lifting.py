"""Told before a restriction ends (GDPR Article 18(3))."""

from ledger.outbox import Relay
from ledger.restriction import REASONS, reason_of
from workers.context import Context
from workers.ending import Superseded
from workers.mails.letter import Letter, addressee, to_person


def lifting(context: Context, claimed: Relay) -> Letter:
    with context.database.write() as connection:
        if reason_of(connection, claimed.subject) not in REASONS:
            raise Superseded("not_restricted")
        addressed = addressee(context, connection, claimed)
    return to_person(addressed, "lifting", {})
