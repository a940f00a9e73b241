"""The request, read once: raw bytes under a cap, and a body parsed only after the sender has been verified."""

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from schemas.form_body import parse_form
from schemas.refusal import Refused
from schemas.strict_json import SyntaxRefused, parse_json

BODY_SIZE_MAX_BYTES = 512 * 1024  # the largest Stripe event is smaller; form plugins send a few KB
JSON = "application/json"


def raw_body(request: Request) -> bytes:
    """The bytes as sent, all of them. Raises Refused 400, 413 or 415."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refused(415, "content_encoding_not_accepted")
    # One more than the cap: werkzeug's LimitedStream cuts a chunked body at its limit without a word.
    request.max_content_length = BODY_SIZE_MAX_BYTES + 1
    try:
        raw = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise Refused(413, "body_too_large") from None
    if len(raw) > BODY_SIZE_MAX_BYTES:
        raise Refused(413, "body_too_large")
    if request.content_length not in (None, len(raw)):  # cut off on its way: half an address is another address
        raise Refused(400, "body_incomplete")
    return raw


def content_type(request: Request, accepted: tuple[str, ...]) -> str:
    """The media type, if it is one of `accepted` and UTF-8. Raises Refused 415."""
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype not in accepted or charset not in ("utf-8", "utf8"):
        raise Refused(415, "content_type_not_accepted")
    return request.mimetype


def parse_body(raw: bytes, media_type: str) -> object:
    """A parsed body. Raises Refused 400 with the parser's reason."""
    try:
        return parse_json(raw) if media_type == JSON else parse_form(raw)
    except SyntaxRefused as refused:
        raise Refused(400, refused.reason) from None
