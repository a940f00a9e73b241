"""A request answered with no: the reason in plain words, and where to complain (GDPR Article 12(4))."""

from ledger.log import entry_by_id
from ledger.outbox import Relay
from schemas.entry import parse_leaf
from workers.context import Context
from workers.mails.letter import Letter, addressee, right_names, to_person


def refusal(context: Context, claimed: Relay) -> Letter:
    with context.database.write() as connection:
        addressed = addressee(context, connection, claimed)
        entry = parse_leaf(entry_by_id(connection, claimed.cause).leaf)
    return to_person(addressed, "refusal", {"rights": right_names(claimed), "reason": entry.reason})
