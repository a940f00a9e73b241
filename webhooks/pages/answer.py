"""The page of an answer: it opens with the key in its link, which this process has from nowhere else.

Mail scanners open links, so a GET shows buttons and nothing personal; only a POST shows the answer.
"""

import base64
import binascii
import json
import re
from typing import Any

from flask import Blueprint, Response, request

from ledger.answers import open_answer
from ledger.errors import NotFoundError
from schemas.refusal import Refused
from webhooks.door import Door
from webhooks.pages.rendering import page
from webhooks.pages.tokens import PRESSED_SIZE_MAX_BYTES, verify
from webhooks.routes import verified

PAGE, JSON, PDF = "page", "json", "pdf"
_KEY = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes


def answer_blueprint(door: Door) -> Blueprint:
    blueprint = Blueprint("answer", __name__)

    @blueprint.get("/a/<answer_token>")
    @verified
    def show(answer_token: str) -> Response:
        bundle = _open(door, answer_token)
        language = bundle["readable"]["language"]
        return page(door, "answer.html", language=language, has_pdf=bundle["pdf"] is not None)

    @blueprint.post("/a/<answer_token>")
    @verified
    def read(answer_token: str) -> Response:
        bundle = _open(door, answer_token)
        request.max_content_length = PRESSED_SIZE_MAX_BYTES
        match request.form.get("show"):
            case "page":
                answer = bundle["readable"]
                return page(door, "answer_read.html", language=answer["language"], answer=answer)
            case "json":
                written = json.dumps(bundle["export"], ensure_ascii=False, indent=2)
                return _download(written.encode() + b"\n", "application/json", "answer.json")
            case "pdf" if bundle["pdf"] is not None:
                return _download(base64.b64decode(bundle["pdf"]), "application/pdf", "answer.pdf")
        raise Refused(400, "nothing_confirmed")

    return blueprint


def _open(door: Door, answer_token: str) -> dict[str, Any]:
    """The bundle. Raises Refused 404 alike for a link that is not ours, of another key, or whose time is over."""
    token, _, key = answer_token.partition(".")
    answer_id = verify(door, token)
    try:
        with door.database.read() as connection:
            opened = open_answer(connection, answer_id, _key(key), door.clock())
    except NotFoundError:
        raise Refused(404, "link_unknown") from None
    bundle: dict[str, Any] = json.loads(opened)
    return bundle


def _key(text: str) -> bytes:
    """Empty, which opens nothing, for what is no key."""
    if not _KEY.fullmatch(text):
        return b""
    try:
        return base64.urlsafe_b64decode(text + "=")
    except binascii.Error:
        return b""


def _download(content: bytes, media_type: str, filename: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return Response(content, content_type=media_type, headers=headers)
