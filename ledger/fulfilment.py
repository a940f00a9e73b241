"""Fulfilment: a confirmed rights request is carried out at once, unless policy.toml leaves it to an operator.

What cannot be done by itself stays confirmed, with its deadline, for an operator: nothing that was asked is ever lost.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, select

from ledger import links, request_answers, requests, withdrawal
from ledger.erasure import erase
from ledger.errors import NotFoundError, RefusedError
from ledger.recorder import ANSWER, Recorder, send_mail
from ledger.rectification import Correction, rectify
from ledger.restriction import REASONS, restrict_as_asked
from ledger.tables import ledger_entry, rights_request
from schemas.address import parse_address
from schemas.entry import Kind, parse_leaf
from schemas.message import Message, MessageType

ANSWERED_BY_LETTER = ("access", "portability")
SOURCE = "link"
GROUND = "requested"
Details = Mapping[str, str]


def confirm(connection: Connection, recorder: Recorder, message: Message) -> list[int]:
    """As ledger.requests.confirm, and what follows from it in the same transaction."""
    link = links.find_link(connection, bytes.fromhex(message.link_id or ""))
    positions = requests.confirm(connection, recorder, message)
    if positions and link is not None:
        after = replace(recorder, first_ordinal=recorder.first_ordinal + len(positions))
        (request_id,) = link.request_ids
        carry_out(connection, after, bytes.fromhex(request_id), message.details or {})
    return positions


def carry_out(
    connection: Connection,
    recorder: Recorder,
    request_id: bytes,
    details: Details,
    *,
    source: str = SOURCE,
    by_operator: bool = False,
) -> bool:
    """Whether it is done, or is answered by a letter that is on its way; False: it waits for an operator.

    `details`: what is right, or why to restrict. `by_operator`: one has decided that it is done. The caller holds the
    head's lock. Raises NotFoundError.
    """
    row = connection.execute(select(rights_request).where(rights_request.c.id == request_id)).one_or_none()
    if row is None:
        raise NotFoundError("request_not_found")
    if row.right in recorder.policy.rights.by_operator and not by_operator:
        return False
    try:
        with connection.begin_nested():
            return _DEEDS[row.right](connection, recorder, row, details, source)
    except (RefusedError, NotFoundError):  # somebody else has the new address, it is restricted already: people decide
        return False


def _answer(connection: Connection, recorder: Recorder, row: Row[Any], _details: Details, _source: str) -> bool:
    """The letter gathers the answer, and ends the request when it has left."""
    cause, position = _confirmed_by(connection, row)
    send_mail(connection, recorder, row.subject, ANSWER, [row.right], cause.hex(), position)
    return True


def _erase(connection: Connection, recorder: Recorder, row: Row[Any], _details: Details, source: str) -> bool:
    """The receipt of the erasure says that it is done; nobody is left to write anything else to."""
    erase(connection, recorder, row.subject, reason=GROUND, source=source)
    request_answers.complete(connection, recorder, row.id, told=True)
    return True


def _restrict(connection: Connection, recorder: Recorder, row: Row[Any], details: Details, source: str) -> bool:
    reason = details.get("reason")
    if reason not in REASONS:
        return False
    restrict_as_asked(connection, recorder, row.subject, reason, source)
    request_answers.complete(connection, recorder, row.id, told=False)
    return True


def _rectify(connection: Connection, recorder: Recorder, row: Row[Any], details: Details, _source: str) -> bool:
    email = parse_address(details["email"]) if details.get("email") else None
    profile = {name: value for name, value in details.items() if name in recorder.policy.personal_data}
    profile.pop("email", None)
    if email is None and not profile:
        return False
    rectify(connection, recorder, row.subject, Correction(profile, email))
    request_answers.complete(connection, recorder, row.id, told=False)
    return True


def _object(connection: Connection, recorder: Recorder, row: Row[Any], _details: Details, source: str) -> bool:
    """All that we do by consent is marketing, and to that an objection is final (GDPR Article 21(2) and (3))."""
    link_id = links.withdraw_link(connection, row.subject, recorder.now_ms)
    message = Message(MessageType.LINK_WITHDRAWAL, source, link_id=link_id.hex(), method="web_form")
    withdrawal.withdraw_by_link(connection, recorder, message)
    request_answers.complete(connection, recorder, row.id, told=False)
    return True


_DEEDS = {
    **dict.fromkeys(ANSWERED_BY_LETTER, _answer),
    "erasure": _erase,
    "objection": _object,
    "rectification": _rectify,
    "restriction": _restrict,
}


def _confirmed_by(connection: Connection, row: Row[Any]) -> tuple[bytes, int]:
    """(id, position) of the entry that confirmed it."""
    own = (ledger_entry.c.subject == row.subject) & (ledger_entry.c.kind == Kind.REQUEST_CONFIRMED)
    query = select(ledger_entry.c.id, ledger_entry.c.position, ledger_entry.c.leaf).where(own)
    for entry in connection.execute(query.order_by(ledger_entry.c.position.desc())):
        if parse_leaf(entry.leaf).ref == row.id.hex():
            return entry.id, entry.position
    raise NotFoundError("request_not_confirmed")
