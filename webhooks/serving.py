"""gunicorn's worker, with our answer to what it cannot read: its own repeats the line or header to the sender."""

import contextlib
import json
from typing import Any

from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from schemas.refusal import ErrorBody

PHRASES = {
    400: "Bad Request",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
}


def error_response(status: int, reason: str) -> bytes:
    """A whole HTTP/1.1 answer in the one shape of our refusals."""
    body = json.dumps(ErrorBody(status, reason).document()).encode()
    head = (
        f"HTTP/1.1 {status} {PHRASES[status]}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Cache-Control: no-store\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


class QuietWorker(ThreadWorker):  # type: ignore[misc]
    """Threads, as gunicorn's gthread; only the answer to unreadable requests is ours."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Any) -> None:
        if isinstance(exc, LimitRequestLine):
            status, reason = 414, "request_line_too_long"
        elif isinstance(exc, LimitRequestHeaders):
            status, reason = 431, "request_headers_too_large"
        elif isinstance(exc, ParseException):
            status, reason = 400, "request_malformed"
        else:
            status, reason = 500, "internal_error"
        if status == 500:
            self.log.exception("Error handling request")
        else:
            self.log.warning("Invalid request")
        with contextlib.suppress(OSError):  # the sender may be gone
            write_nonblock(client, error_response(status, reason))
