"""Answers: one table from what became of a delivery to what its sender reads, and one shape for every refusal."""

import json
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Response, jsonify, request
from prometheus_client import Counter
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from ledger.errors import DatabaseAwayError
from ledger.inbox import Acceptance
from schemas.log_line import error_fields, log
from schemas.refusal import ErrorBody, Refused
from webhooks.limits import FailureLimit, LogSample
from webhooks.metrics import ANSWERS, REGISTRY
from webhooks.pages.rendering import page

RETRY_AFTER_S = 30
REFUSED = Counter("samtykke_refused", "Refusals by route and reason.", ["route", "reason"], registry=REGISTRY)
PAGES = frozenset({"withdraw", "preferences", "confirm", "rights", "answer", "receipt"})
# Whoever is told one of these has not proved anything. 401 is the rest.
_UNPROVED = ("link_unknown", "form_unknown")

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
    failures, sample = FailureLimit(), LogSample()
    app.before_request(_one_spelling)
    app.after_request(_finish)
    app.wsgi_app = _with_headers(app.wsgi_app)  # type: ignore[assignment, method-assign]

    @app.errorhandler(Refused)
    def _refused(refused: Refused) -> Response:
        if told := _count(sample, refused.reason):
            log.info("refused", status=refused.status, **told)
        if refused.status == 401 or refused.reason in _UNPROVED:
            refused = failures.told_to(request.remote_addr or "", refused)
        return _for_people(app, refused)

    @app.errorhandler(DatabaseAwayError)
    def _database_away(error: DatabaseAwayError) -> Response:
        if told := _count(sample, error.reason):
            log.error("database_away", **told)
        return _for_people(app, Refused(503, error.reason, RETRY_AFTER_S))

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> Response:
        status = error.code or 500
        reason = _REASONS.get(status, "request_refused")
        REFUSED.labels(route=_route(), reason=reason).inc()
        response = _for_people(app, Refused(status, reason))
        if isinstance(error, MethodNotAllowed):  # RFC 9110, 15.5.6: must name the methods that are allowed
            response.allow.update(error.valid_methods or ())
        return response

    @app.errorhandler(Exception)
    def _unexpected(error: Exception) -> Response:
        if told := _count(sample, "internal_error"):
            log.error("request_failed", **told, **error_fields(error))
        return refusal(Refused(500, "internal_error"))


def _for_people(app: Flask, refused: Refused) -> Response:
    """A page where a browser asks for one of the person's pages; the same reason in JSON otherwise."""
    wants_page = request.accept_mimetypes.quality("text/html") > request.accept_mimetypes.quality("application/json")
    if request.blueprint not in PAGES or not wants_page:
        return refusal(refused)
    response = page(app.extensions["door"], "refused.html", status=refused.status, reason=refused.reason)
    if refused.retry_after_s is not None:
        response.headers["Retry-After"] = str(refused.retry_after_s)
    return response


def _one_spelling() -> None:
    """werkzeug takes "//metrics" for "/metrics", and a proxy may not."""
    if request.environ["PATH_INFO"].startswith("//"):
        raise NotFound


def _finish(response: Response) -> Response:
    ANSWERS.labels(route=_route(), status=response.status_code).inc()
    return response


def _with_headers(application: WSGIApplication) -> WSGIApplication:
    """Every answer gets HEADERS, but for those of which it has its own. Here, because werkzeug looks into each header
    that it is given, and these are always the same.
    """

    def answer_with(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
            own = {name.title() for name, _ in headers}
            headers = headers + [one for one in HEADERS.items() if one[0] not in own]
            return start_response(status, headers, exc_info)

        return application(environ, start)

    return answer_with


def _count(sample: LogSample, reason: str) -> dict[str, object]:
    """Count every one; of the first few of a minute, what their line says."""
    REFUSED.labels(route=_route(), reason=reason).inc()
    suppressed = sample.take(reason)
    return {} if suppressed is None else {"route": _route(), "reason": reason, "suppressed": suppressed}


def _route() -> str:
    """The rule, not the path: a path may hold a token or a secret."""
    return request.url_rule.rule if request.url_rule else "unknown"
