"""Stripe: snapshot events, verified over the raw bytes, projected by an allow-list, accepted."""

from flask import Blueprint, Response, request

from schemas.stripe_event import SOURCE
from webhooks.answers import answer
from webhooks.door import Door
from webhooks.requests import JSON, content_type, parse_body, raw_body
from webhooks.routes import verified
from webhooks.signatures import verify_stripe


def stripe_blueprint(door: Door) -> Blueprint:
    blueprint = Blueprint("stripe", __name__)

    @blueprint.post("/webhooks/stripe")
    @verified
    def receive() -> Response:
        raw = raw_body(request)
        signed = verify_stripe(raw, request.headers.get, door.settings.stripe_webhook_secrets, door.clock())
        document = parse_body(raw, content_type(request, (JSON,)))
        return answer(door.receive(SOURCE, document, signed))

    return blueprint
