"""A call to the companion plugin, signed by Standard Webhooks (docs/reference/companion-plugin.md)."""

import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from workers.outgoing import OutgoingError
from workers.relays.action import RelayError, error_for_transport
from workers.relays.wordpress.answers import ExistsError, GoneError, read_answer
from workers.relays.wordpress.connection import WordPressConnection

PREFIX = "samtykke/v1/"


def call(connection: WordPressConnection, route: str, **members: object) -> Mapping[str, Any]:
    """The plugin's answer, an object. Raises RelayError, and NoRouteError where there is no such route.

    Each call carries a new webhook-id, for the plugin takes each one once.
    """
    text = json.dumps({"route": PREFIX + route, **members}, ensure_ascii=False, separators=(",", ":"))
    try:
        response = connection.session.post(
            connection.url(PREFIX + route), data=text.encode(), headers=_headers(text, connection)
        )
        document = read_answer(response, connection)
    except OutgoingError as error:
        raise error_for_transport(error) from None
    except (GoneError, ExistsError):
        raise RelayError("unexpected_answer") from None
    if not isinstance(document, dict) or not document:
        raise RelayError("unexpected_answer")
    return document


def _headers(text: str, connection: WordPressConnection) -> dict[str, str]:
    """`webhook-signature: v1,base64(HMAC-SHA256(secret, "id.timestamp.body"))`."""
    now = datetime.fromtimestamp(connection.clock() // 1000, UTC)
    message_id = f"msg_{secrets.token_hex(16)}"
    try:
        signature = Webhook(connection.secret or "").sign(message_id, now, text)
    except (ValueError, RuntimeError, EmptyWebhookSecretError):
        raise RelayError("secret_unusable", halt=True) from None
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
