"""The question whether a rights request was the person's own: from its confirmation on the month runs."""

from ledger import links
from ledger.outbox import Relay
from workers.context import Context
from workers.mails.letter import Letter, addressee, link_url, open_question, right_names, to_person


def request(context: Context, claimed: Relay) -> Letter:
    with context.database.write() as connection:
        addressed = addressee(context, connection, claimed)
        confirm_url = link_url(context, "r", open_question(context, connection, claimed, links.REQUEST))
    values = {
        "confirm_url": confirm_url,
        "expires_days": context.policy.retention.unconfirmed_request_days,
        "months": context.policy.deadlines.rights_request_months,
        "rights": right_names(claimed),
    }
    return to_person(addressed, "request", values)
