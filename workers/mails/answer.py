"""The answer to a request for access or portability: it waits behind a link, whose key nobody else has."""

import json
from base64 import urlsafe_b64encode
from contextlib import suppress

from sqlalchemy import Connection

from ledger import answers, request_answers
from ledger.answers import NewAnswer, Waiting
from ledger.errors import NotFoundError, RefusedError
from ledger.log import entry_by_id
from ledger.outbox import Relay
from ledger.recorder import DAY_MS, Recorder
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
        request_id = _request_id(connection, claimed)
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
    """The mail has left: nobody but its reader can open the answer from here on, and the request is done."""
    now = now_ms()
    with context.database.write() as connection:
        answers.forget_key(connection, claimed.id)
        with suppress(RefusedError):  # an answer mailed again: the request is done already
            recorder = Recorder(context.keyring, context.policy, now, now)
            request_answers.complete(connection, recorder, _request_id(connection, claimed))


def _request_id(connection: Connection, claimed: Relay) -> bytes:
    """Of the request whose confirmation caused this mail."""
    return bytes.fromhex(json.loads(entry_by_id(connection, claimed.cause).leaf)["ref"])


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
