"""POST /consents/check: may I send these people this? For mailers and shops that hold a key.

Addresses stand in the body, never in the URL. A question changes nothing, and is not recorded.
"""

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify, request

from ledger.senders import fingerprint
from ledger.sending import MALFORMED, Answer, may_send
from schemas.address import Address, AddressRefused, mailbox_kind, parse_address
from schemas.api_keys import CHECK, CHECK_MANY, ApiKey
from schemas.entry import format_time
from schemas.refusal import Refused
from schemas.sending import Question, QuestionRefused, read_question
from webhooks.door import Door
from webhooks.requests import JSON, content_type, parse_body, raw_body
from webhooks.routes import verified
from webhooks.signatures import verify_secret


def consents_blueprint(door: Door) -> Blueprint:
    blueprint = Blueprint("consents", __name__, url_prefix="/consents")
    keys = {fingerprint(key.secret): key for key in door.settings.api_keys}

    @blueprint.post("/check")
    @verified
    def check() -> Response:
        key = keys[_verify_bearer(door)]
        door.limit.admit(f"api:{key.name}")
        question = _question(parse_body(raw_body(request), content_type(request, (JSON,))))
        _require_scope(key, question)
        if question.purpose not in door.policy.purposes:
            raise Refused(422, "purpose_unknown")
        answers = _answers(door, question)
        return jsonify(answers[0] if question.is_single else {"answers": answers})

    @blueprint.after_request
    def _challenge(response: Response) -> Response:
        if response.status_code == 401:  # RFC 9110, 15.5.2: must say what would let the caller in
            response.headers["WWW-Authenticate"] = 'Bearer realm="consents"'
        return response

    return blueprint


def _verify_bearer(door: Door) -> str:
    """RFC 6750, 2.1. Returns which key it was."""
    scheme, _, presented = request.headers.get("Authorization", "").partition(" ")
    signed = verify_secret(
        presented if scheme.lower() == "bearer" else "", [one.secret for one in door.settings.api_keys]
    )
    assert signed.key_id is not None  # a secret that matched has a fingerprint
    return signed.key_id


def _question(document: object) -> Question:
    try:
        return read_question(document)
    except QuestionRefused as refused:
        raise Refused(422, refused.reason) from None


def _require_scope(key: ApiKey, question: Question) -> None:
    """Long lists need a scope of their own: who may ask them can find out who is known here."""
    if (CHECK if question.is_single else CHECK_MANY) not in key.scopes:
        raise Refused(403, "scope_missing")


def _answers(door: Door, question: Question) -> list[dict[str, Any]]:
    """In the order asked. In a list, what is no address is a no of its own: lists are never clean."""
    read: list[Address | None] = []
    for email in question.emails:
        try:
            read.append(parse_address(email))
        except AddressRefused as refused:
            if question.is_single:
                raise Refused(422, refused.reason) from None
            read.append(None)
    known = [address for address in read if address is not None]
    with door.database.read() as connection:
        found = iter(may_send(connection, door.keyring, known, question.purpose))
    roles = door.policy.role_mailboxes
    return [
        _document(Answer(False, MALFORMED), None) if one is None else _document(next(found), mailbox_kind(one, roles))
        for one in read
    ]


def _document(answer: Answer, mailbox: str | None) -> dict[str, Any]:
    told = asdict(answer) | {"mailbox": mailbox}
    for name in ("since", "customer_since"):
        at_ms = told.pop(f"{name}_ms")
        told[name] = None if at_ms is None else format_time(at_ms)
    return told
