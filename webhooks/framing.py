"""What the server itself says and reads, before and behind the application: its refusals, and the body."""

import json
from typing import Any

from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException

from schemas.refusal import ErrorBody, Refused
from webhooks.answers import REFUSED

PHRASES = {
    400: "Bad Request",
    408: "Request Timeout",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
}


def error_response(status: int, reason: str) -> bytes:
    """A whole HTTP/1.1 answer in the one shape of our refusals, and counted like them."""
    REFUSED.labels(route="unknown", reason=reason).inc()
    body = json.dumps(ErrorBody(status, reason).document()).encode()
    head = (
        f"HTTP/1.1 {status} {PHRASES[status]}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Cache-Control: no-store\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


class BodyReader:
    """gunicorn's reader of a body; what it finds wrong with it is a refusal, not a fault of ours."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def read(self, size: int) -> bytes:
        missing = min(size, getattr(self._reader, "length", 0))
        try:
            data: bytes = self._reader.read(size)
        except (ParseException, OSError):
            raise Refused(400, "request_malformed") from None
        if len(data) < missing:
            raise Refused(400, "body_incomplete")
        return data


def refusal_of(error: BaseException) -> tuple[int, str]:
    """Status and reason for what gunicorn's parser raises; 500 for anything else."""
    if isinstance(error, LimitRequestLine):
        return 414, "request_line_too_long"
    if isinstance(error, LimitRequestHeaders):
        return 431, "request_headers_too_large"
    if isinstance(error, ParseException):
        return 400, "request_malformed"
    return 500, "internal_error"
