"""The question whether a sign-up was the person's own: only its link makes it a consent."""

from ledger import links, vault
from ledger.check import pending_purposes
from ledger.outbox import Relay
from workers.context import Context
from workers.mails.letter import Letter, addressee, link_url, open_question, purpose_names, to_person
from workers.relays.action import RelayError


def confirmation(context: Context, claimed: Relay) -> Letter:
    with context.database.write() as connection:
        addressed = addressee(context, connection, claimed)
        # A withdrawal that is accepted and not yet recorded will close the question: it is not asked meanwhile.
        wide = vault.wide_tags(connection, claimed.subject)
        if pending_purposes(connection, vault.siblings(connection, claimed.subject), wide) & set(claimed.purposes):
            raise RelayError("withdrawal_pending")
        confirm_url = link_url(context, "c", open_question(context, connection, claimed, links.CONFIRM))
    values = {
        "confirm_url": confirm_url,
        "expires_days": context.policy.retention.unconfirmed_request_days,
        "purposes": purpose_names(context, claimed),
    }
    return to_person(addressed, "confirmation", values)
