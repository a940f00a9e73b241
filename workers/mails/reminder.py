"""Reminders: since when somebody has said yes, to what, and how to stop it with one click."""

from ledger.check import pending_of
from ledger.outbox import Relay
from ledger.state import GIVEN, ConsentState, read_states
from workers.context import Context
from workers.ending import Superseded
from workers.mails.letter import Letter, addressee, purpose_names, to_person


def reminder(context: Context, claimed: Relay) -> Letter:
    (purpose,) = claimed.purposes
    with context.database.write() as connection:
        state = read_states(connection, claimed.subject).get(purpose, ConsentState())
        if state.state != GIVEN or purpose in pending_of(connection, claimed.subject):
            raise Superseded("withdrawn_meanwhile")
        addressed = addressee(context, connection, claimed)
    values = {"purposes": purpose_names(context, claimed), "since_ms": state.effective_at_ms}
    return to_person(addressed, "reminder", values)
