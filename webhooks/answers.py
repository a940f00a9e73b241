"""Answers: one table from what became of a delivery to what its sender reads, and one shape for every refusal."""

import json

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from ledger.errors import DatabaseAwayError
from ledger.inbox import Acceptance
from schemas.log_line import error_fields, log
from schemas.refusal import ErrorBody, Refused
from webhooks.metrics import ANSWERS

RETRY_AFTER_S = 30

# Whatever was authenticated and parsed is 200, recorded or parked: a sender that reads anything else tries again
# for days with the same body, or shows an error to a visitor whose form arrived.
STATUS_OF = {
    Acceptance.ACCEPTED: 200,
    Acceptance.DUPLICATE: 200,
    Acceptance.CONFLICT: 200,
    Acceptance.PARKED: 200,
}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_BODY_OF = {acceptance: json.dumps({"status": acceptance.value}) + "\n" for acceptance in Acceptance}
_REASONS = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}


def answer(acceptance: Acceptance) -> Response:
    return Response(_BODY_OF[acceptance], STATUS_OF[acceptance], content_type="application/json")


def refusal(refused: Refused) -> Response:
    response = jsonify(ErrorBody(refused.status, refused.reason).document())
    response.status_code = refused.status
    if refused.retry_after_s is not None:
        response.headers["Retry-After"] = str(refused.retry_after_s)
    return response


def register_answers(app: Flask) -> None:
    """Every way out of the application: refusals, our own faults, and the headers of each answer."""

    @app.before_request
    def _one_spelling() -> None:
        """werkzeug takes "//metrics" for "/metrics", and a proxy may not."""
        if request.environ["PATH_INFO"].startswith("//"):
            raise NotFound

    @app.errorhandler(Refused)
    def _refused(refused: Refused) -> Response:
        log.info("refused", route=_route(), status=refused.status, reason=refused.reason)
        return refusal(refused)

    @app.errorhandler(DatabaseAwayError)
    def _database_away(error: DatabaseAwayError) -> Response:
        log.error("database_away", route=_route(), reason=error.reason)
        return refusal(Refused(503, error.reason, RETRY_AFTER_S))

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> Response:
        status = error.code or 500
        response = refusal(Refused(status, _REASONS.get(status, "request_refused")))
        if isinstance(error, MethodNotAllowed):  # RFC 9110, 15.5.6: must name the methods that are allowed
            response.allow.update(error.valid_methods or ())
        return response

    @app.errorhandler(Exception)
    def _unexpected(error: Exception) -> Response:
        log.error("request_failed", route=_route(), **error_fields(error))
        return refusal(Refused(500, "internal_error"))

    @app.after_request
    def _finish(response: Response) -> Response:
        own = {name.title() for name, _ in response.headers}
        response.headers.extend([one for one in HEADERS.items() if one[0] not in own])
        ANSWERS.labels(route=_route(), status=response.status_code).inc()
        return response


def _route() -> str:
    """The rule, not the path: a path may hold a token or a secret."""
    return request.url_rule.rule if request.url_rule else "unknown"
