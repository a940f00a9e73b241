"""Gmail's push, through Pub/Sub: a hint that there is mail. It rings, and nothing of it is kept.

Where to read on from is our own knowledge, never the notification's, and the mail stays at Google: a hint that is
lost costs a minute, a forged one a question to Google.
"""

import binascii
from base64 import b64decode

from flask import Blueprint, Response, jsonify, request

from schemas.refusal import Refused
from schemas.strict_json import SyntaxRefused, parse_json
from webhooks.certificates import Certificates
from webhooks.door import Door
from webhooks.push_tokens import PushSender, verify_push_token
from webhooks.requests import JSON, content_type, parse_body, raw_body
from webhooks.routes import verified
from workers.doorbell import INTAKE


def gmail_blueprint(door: Door, certificates: Certificates) -> Blueprint:
    blueprint = Blueprint("gmail", __name__)
    settings = door.settings

    @blueprint.post("/webhooks/gmail")
    @verified
    def receive() -> Response:
        if settings.gmail_push_account is None or settings.gmail_push_subscription is None:
            raise Refused(404, "sender_not_configured")
        sender = PushSender(settings.gmail_push_account, settings.gmail_push_audience)
        verify_push_token(request.headers.get("Authorization"), certificates.current, sender, door.clock())
        document = parse_body(raw_body(request), content_type(request, (JSON,)))
        if read_subscription(document) != settings.gmail_push_subscription:
            raise Refused(401, "subscription_mismatch")
        door.doorbell.press(INTAKE)
        return jsonify(status="heard")

    return blueprint


def read_subscription(document: object) -> str:
    """The subscription of a whole push, as https://cloud.google.com/pubsub/docs/push#receive_push wraps what
    https://developers.google.com/workspace/gmail/api/guides/push says. Raises Refused 400: push_malformed."""
    match document:
        case {"message": {"data": str(data), "messageId": str()}, "subscription": str(subscription)}:
            match _decode(data):
                case {"emailAddress": str(), "historyId": int() | str()}:
                    return subscription
    raise Refused(400, "push_malformed")


def _decode(data: str) -> object:
    try:
        return parse_json(b64decode(data, validate=True))
    except (binascii.Error, ValueError, SyntaxRefused):
        return None
