"""What was done about a request, and which recipients were told (GDPR Articles 12(3) and 19)."""

from collections.abc import Mapping

from sqlalchemy import Connection, select

from ledger.carrying import RECTIFY, RESTRICT, WITHDRAW
from ledger.log import entry_by_id
from ledger.outbox import CONFIRMED, Relay
from ledger.tables import relay
from schemas.entry import parse_leaf
from workers.context import Context, now_ms
from workers.mails.erasure_outcome import erasure_outcome
from workers.mails.letter import Letter, addressee, right_names, to_person
from workers.relays.action import RelayWait

# What each right has carried to the recipients.
_CARRIED: Mapping[str, str] = {"rectification": RECTIFY, "restriction": RESTRICT, "objection": WITHDRAW}
# So long the letter waits for the last of them; then it says what is known.
TOLD_WITHIN_MS = 7 * 24 * 3600 * 1000
ASK_AGAIN_S = 15 * 60.0


def outcome(context: Context, claimed: Relay) -> Letter:
    if claimed.box is not None:
        return erasure_outcome(context, claimed)
    (right,) = claimed.purposes
    with context.database.write() as connection:
        told = _told(connection, claimed, _CARRIED.get(right))
        begun_ms = parse_leaf(entry_by_id(connection, claimed.cause).leaf).recorded_at_ms
        if not all(told.values()) and now_ms() - begun_ms < TOLD_WITHIN_MS:
            raise RelayWait("processors_awaited", ASK_AGAIN_S, {})
        addressed = addressee(context, connection, claimed)
    known = context.policy.processors
    recipients = [(known[key].name if key in known else key, is_told) for key, is_told in told.items()]
    values = {"right": right, "rights": right_names(claimed), "recipients": recipients}
    return to_person(addressed, "outcome", values)


def _told(connection: Connection, claimed: Relay, action: str | None) -> dict[str, bool]:
    """Of each processor whether the newest that it had to be told before this letter is done there."""
    own = (relay.c.subject == claimed.subject) & (relay.c.action == action)
    asked = select(relay.c.sequence).where(relay.c.id == claimed.id).scalar_subquery()
    query = select(relay.c.processor, relay.c.status).where(own, relay.c.sequence <= asked)
    return {row.processor: row.status == CONFIRMED for row in connection.execute(query.order_by(relay.c.sequence))}
