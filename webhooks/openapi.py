"""What the door takes and says, as OpenAPI 3.1 at /openapi.json: made from the routes, so that it cannot name another.

https://spec.openapis.org/oas/v3.1.1.html. Each answer names every status that its route can give, and every reason
of each; `schemathesis` holds the document against the door (tests/webhooks/test_openapi.py).
"""

import functools
import re
from collections.abc import Mapping
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Blueprint, Response, current_app, jsonify
from werkzeug.routing import Map, Rule

from ledger.inbox import Acceptance
from ledger.sending import REASONS
from schemas.policy import SECRET_HEADER
from schemas.presented_receipt import PresentedReceiptSchema
from schemas.refusal import ErrorBody
from schemas.sending import CheckSchema
from webhooks.operations import OPERATIONS, PARAMETERS, Operation, Schema, schema_named

VERSION = "1"  # of the interface; it grows, and changes only if something is taken away
CACHE = "public, max-age=3600"
METHODS = ("GET", "POST")  # HEAD and OPTIONS are answered by the framework
Document = dict[str, Any]
_VARIABLE = re.compile(r"<(?:[a-z]+(?:\([^)]*\))?:)?([a-z_]+)>")
_ABOUT = (
    "A self-hosted consent service. No address of a person is ever in a URL, GET never changes anything, and no answer "
    "repeats what was sent. Any other path is 404 `not_found`, any other method 405 `method_not_allowed`; anything "
    "that HTTP itself forbids is `request_refused`. Explained in docs/reference/http.md."
)


def openapi_blueprint(public_url: str) -> Blueprint:
    blueprint = Blueprint("openapi", __name__)

    @functools.cache  # made when first asked for: then every route is known
    def made() -> Document:
        return describe(current_app.url_map, public_url)

    @blueprint.get("/openapi.json")
    def document() -> Response:
        response = jsonify(made())
        response.headers["Cache-Control"] = CACHE
        return response

    return blueprint


def describe(routes: Map, public_url: str) -> Document:
    """The document of every route that webhooks.operations tells about; a test fails if one is not told about."""
    spec = APISpec(
        "Samtykke",
        VERSION,
        "3.1.1",
        info={"description": _ABOUT, "license": {"name": "MIT", "identifier": "MIT"}},
        servers=[{"url": public_url}],
        plugins=[MarshmallowPlugin(schema_name_resolver=_schema_name)],
    )
    spec.components.schema("PresentedReceipt", schema=PresentedReceiptSchema)
    spec.components.schema("Check", schema=CheckSchema)
    for name, schema in _SCHEMAS.items():
        spec.components.schema(name, schema)
    for name, scheme in _SECURITY.items():
        spec.components.security_scheme(name, scheme)
    refusals: dict[tuple[int, tuple[str, ...]], str] = {}
    for rule in routes.iter_rules():
        for method in METHODS:
            if method in (rule.methods or ()) and (found := OPERATIONS.get((method, rule.rule))):
                spec.path(path_of(rule), operations={method.lower(): _operation(rule, method, found, refusals)})
    for (status, reasons), name in refusals.items():
        spec.components.response(name, _refusal(status, reasons))
    document: Document = spec.to_dict()
    return document


def path_of(rule: Rule) -> str:
    """`/w/<token>` -> `/w/{token}`."""
    return _VARIABLE.sub(r"{\1}", rule.rule)


def _operation(
    rule: Rule, method: str, operation: Operation, refusals: dict[tuple[int, tuple[str, ...]], str]
) -> Document:
    """`refusals`: (status, reasons) -> name. Most routes refuse alike, so each refusal stands in the document once."""
    refused: Document = {}
    for status, reasons in operation.reasons().items():
        name = refusals.setdefault((status, reasons), f"Refused{len(refusals) + 1}")
        refused[str(status)] = {"$ref": f"#/components/responses/{name}"}
    told: Document = {
        "operationId": f"{method.lower()}_{rule.endpoint.replace('.', '_')}",
        "summary": operation.summary,
        "parameters": [_parameter(name) for name in _VARIABLE.findall(rule.rule)],
        "security": [{name: [] for name in together} for together in operation.security],
        "responses": {str(status): _answer(*content) for status, content in operation.answers.items()} | refused,
    }
    if operation.body:
        content = {media_type: {"schema": schema} for media_type, schema in operation.body.items()}
        told["requestBody"] = {"required": True, "content": content}
    return told


def _parameter(name: str) -> Document:
    meaning, schema = PARAMETERS[name]
    return {"name": name, "in": "path", "required": True, "description": meaning, "schema": schema}


def _answer(meaning: str, media_type: str, schema: Schema) -> Document:
    told: Document = {"description": meaning}
    return told | {"content": {one: {"schema": schema} for one in media_type.split(", ")}} if media_type else told


def _refusal(status: int, reasons: tuple[str, ...]) -> Document:
    message = ErrorBody(status, reasons[0]).message
    error = _object(status={"const": status}, reason={"enum": list(reasons)}, message={"const": message})
    told = _answer(message, "application/json", _object(error=error))
    told["headers"] = {"Cache-Control": {"required": True, "schema": {"const": "no-store"}}}
    if status in _HEADERS:
        name, meaning, schema = _HEADERS[status]
        told["headers"][name] = {"required": True, "description": meaning, "schema": schema}
    return told


def _schema_name(schema: Any) -> str:
    return str((schema if isinstance(schema, type) else type(schema)).__name__).removesuffix("Schema")


def _header(name: str, meaning: str) -> Document:
    return {"type": "apiKey", "in": "header", "name": name, "description": meaning}


def _object(**members: Document) -> Document:
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


_TEXT: Document = {"type": "string"}
_MAYBE_TEXT: Document = {"type": ["string", "null"]}
_HASHES: Document = {"type": "array", "items": {"type": "string", "contentEncoding": "base64"}}
_OUTCOMES = [outcome.value for outcome in Acceptance]
_SCHEMAS: Mapping[str, Document] = {
    "Acceptance": _object(status={"enum": _OUTCOMES}),
    "Submitted": _object(status={"enum": [*_OUTCOMES, "ignored"]}),
    "Heard": _object(status={"const": "heard"}),
    "Alive": _object(status={"const": "alive"}),
    "Ready": _object(
        status={"const": "ready"},
        database={"const": "reached"},
        queue={"enum": ["not_rung_yet", "reached", "away"]},
    ),
    "NotReady": _object(
        status={"const": "not_ready"},
        reason={"enum": ["database_away", "database_busy", "database_not_migrated"]},
    ),
    "MaySend": _object(
        allowed={"type": "boolean"},
        reason={"enum": list(REASONS)},
        since=_MAYBE_TEXT,
        entry=_MAYBE_TEXT,
        index={"type": ["integer", "null"], "minimum": 0},
        notice=_MAYBE_TEXT,
        customer_since=_MAYBE_TEXT,
        mailbox={"enum": ["person", "role", None]},
    ),
    "Checked": {
        "oneOf": [
            schema_named("MaySend"),
            _object(answers={"type": "array", "items": schema_named("MaySend")}),
        ]
    },
    "Proofs": _object(
        checkpoint=_TEXT,
        consistency=_HASHES,
        entries={"type": "array", "items": _object(position={"type": "integer", "minimum": 0}, proof=_HASHES)},
    ),
}
_SECURITY: Mapping[str, Document] = {
    "formSecret": _header(SECRET_HEADER, "The form's secret. policy.toml may give the header another name."),
    "webhookId": _header("webhook-id", "Standard Webhooks: the message's id."),
    "webhookTimestamp": _header("webhook-timestamp", "Standard Webhooks: unix seconds, at most 5 minutes off."),
    "webhookSignature": _header("webhook-signature", 'Standard Webhooks: HMAC of "id.timestamp.body".'),
    "wpformsSignature": _header("X-WPForms-Webhook-Signature", "As WPForms makes it, at most 5 minutes off."),
    "woocommerceSignature": _header("X-WC-Webhook-Signature", "As WooCommerce makes it: base64 HMAC of the body."),
    "wpWebhooksSignature": _header("X-WP-Webhook-Signature", "As WP Webhooks makes it: base64 HMAC of the body."),
    "stripeSignature": _header("Stripe-Signature", "As Stripe makes it, at most 5 minutes off."),
    "pushToken": {"type": "http", "scheme": "bearer", "description": "As Google signs it for a push subscription."},
    "apiKey": {"type": "http", "scheme": "bearer", "description": "A key of API_KEYS."},
    "auditorKey": {"type": "http", "scheme": "bearer", "description": "A key of AUDITOR_KEYS."},
}
_HEADERS: Mapping[int, tuple[str, str, Document]] = {
    **dict.fromkeys((429, 503), ("Retry-After", "Seconds.", {"type": "integer", "minimum": 1})),
}
