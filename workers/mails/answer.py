"""The answer to a request for access or portability: it waits behind a link, whose key nobody else has."""

import json
from base64 import urlsafe_b64encode

from ledger import answers
from ledger.answers import NewAnswer, Waiting
from ledger.errors import NotFoundError
from ledger.log import entry_by_id
from ledger.outbox import Relay
from ledger.recorder import DAY_MS
from workers.answers.making import make
from workers.context import Context, now_ms
from workers.ending import Superseded
from workers.mails.letter import Letter, addressee, link_url, right_names, to_person
from workers.relays.action import RelayError

WHOLE_WITHIN_MS = DAY_MS  # so long a processor that fails is asked again; then the answer goes, and names it
ASK_AGAIN_S = 15 * 60.0


def answer(context: Context, claimed: Relay) -> Letter:
    with context.database.write() as connection:
        waiting = answers.find(connection, context.keyring["kek"], claimed.id)
        request_id = bytes.fromhex(json.loads(entry_by_id(connection, claimed.cause).leaf)["ref"])
    if waiting is None:
        waiting = _made(context, claimed, request_id)
    if waiting.key is None:
        raise Superseded("answer_left")
    with context.database.write() as connection:
        addressed = addressee(context, connection, claimed)
    key = urlsafe_b64encode(waiting.key).rstrip(b"=").decode("ascii")
    values = {
        "answer_url": f"{link_url(context, 'a', waiting.id)}.{key}",
        "answer_days": context.policy.retention.answer_days,
        "rights": right_names(claimed),
    }
    return to_person(addressed, "answer", values)


def answer_left(context: Context, claimed: Relay) -> None:
    """The mail has left: nobody but its reader can open the answer from here on."""
    with context.database.write() as connection:
        answers.forget_key(connection, claimed.id)


def _made(context: Context, claimed: Relay, request_id: bytes) -> Waiting:
    """Raises RelayError while a processor that should answer does not, Superseded once the person is gone."""
    (right,) = claimed.purposes
    try:
        made = make(context, claimed.subject, right, request_id)
    except NotFoundError:
        raise Superseded("subject_gone") from None
    if made.failed and now_ms() - claimed.created_at_ms < WHOLE_WITHIN_MS:
        raise RelayError("answer_not_whole", retry_after_s=ASK_AGAIN_S)
    new = NewAnswer(claimed.id, request_id, claimed.subject, made.bundle)
    with context.database.write() as connection:
        addressee(context, connection, claimed)  # an erasure may have come meanwhile
        return answers.store(connection, context.keyring["kek"], new, now_ms(), context.policy.retention.answer_days)
