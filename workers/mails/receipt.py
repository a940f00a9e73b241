"""Receipts: what was given, withdrawn or erased, with the proof that the person keeps."""

from ledger.log import entry_by_id
from ledger.outbox import Relay
from schemas.entry import Kind
from workers.context import Context
from workers.mails.letter import Letter, addressee, proof, purpose_names, to_address, to_person


def receipt(context: Context, claimed: Relay) -> Letter:
    if claimed.box is not None:
        return _of_erasure(context, claimed)
    with context.database.write() as connection:
        addressed = addressee(context, connection, claimed)
        attachment = proof(context, connection, claimed, addressed)
        given = entry_by_id(connection, claimed.cause).kind == Kind.GIVEN
    return to_person(addressed, "receipt", {"given": given, "purposes": purpose_names(context, claimed)}, attachment)


def _of_erasure(context: Context, claimed: Relay) -> Letter:
    with context.database.write() as connection:
        attachment = proof(context, connection, claimed)
    policy = context.policy
    values = {"fields": policy.personal_data.values(), "processors": policy.processors.values()}
    return to_address(context, claimed, "erasure", values, attachment)
