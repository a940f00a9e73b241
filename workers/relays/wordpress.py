"""WordPress: asks the companion plugin to withdraw, then asks it again what is true."""

import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import requests
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from workers.outgoing import OutgoingError, OutgoingSession
from workers.relays.action import (
    Outcome,
    RelayAction,
    RelayError,
    RelayResult,
    error_for_status,
    error_for_transport,
    system_clock_ms,
)

WITHDRAW_ROUTE = "samtykke/v1/withdraw"
STATUS_ROUTE = "samtykke/v1/status"
STATES = frozenset({"subscribed", "unsubscribed", "unknown"})


@dataclass(frozen=True, slots=True)
class WordPressConnection:
    """The site's address, and the secret (`whsec_...`) that its companion plugin shares with this service."""

    base_url: str
    secret: str = field(repr=False)
    session: OutgoingSession = field(repr=False)
    clock: Callable[[], int] = field(default=system_clock_ms, repr=False)


class _NoPluginError(Exception):
    """The site answered, and has no such route."""


def withdraw(action: RelayAction, connection: WordPressConnection) -> RelayResult:
    """Withdraw the purposes for every address. Raises RelayError.

    Repeating it is harmless: the plugin sets a state, and each call carries a new webhook-id because the
    plugin takes each id once.
    """
    if not action.emails:
        return RelayResult(Outcome.NOT_FOUND)
    try:
        answer = _call(WITHDRAW_ROUTE, action, connection)
        outcome = _outcome(answer)
        if outcome in (Outcome.REMOVED, Outcome.NOT_FOUND):
            _read_back(outcome, action, connection)
    except _NoPluginError:
        return RelayResult(Outcome.NOT_COVERED, "no_plugin")
    return RelayResult(outcome, _reason(answer.get("reason")))


def _outcome(answer: Mapping[str, Any]) -> Outcome:
    try:
        return Outcome(str(answer.get("outcome")))
    except ValueError:
        raise RelayError("unexpected_answer") from None


def _reason(reason: object) -> str | None:
    # The ledger takes words, not sentences: a plugin's message may name a person.
    if reason is None:
        return None
    return reason if isinstance(reason, str) and re.fullmatch("[a-z][a-z0-9_]{0,63}", reason) else "unspecified"


def _read_back(outcome: Outcome, action: RelayAction, connection: WordPressConnection) -> None:
    states = _call(STATUS_ROUTE, action, connection).get("purposes")
    if not isinstance(states, dict):
        raise RelayError("unexpected_answer")
    told = [states.get(purpose) for purpose in action.purposes]
    if not all(isinstance(state, str) and state in STATES for state in told):
        raise RelayError("unexpected_answer")
    # Where the plugin says that it removed something, it must also know so afterwards.
    if "subscribed" in told or (outcome is Outcome.REMOVED and "unsubscribed" not in told):
        raise RelayError("read_back_failed")


def _call(route: str, action: RelayAction, connection: WordPressConnection) -> Mapping[str, Any]:
    body = {
        "route": route,
        "reference": action.reference,
        "emails": list(action.emails),
        "purposes": list(action.purposes),
    }
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    url = f"{connection.base_url.rstrip('/')}/wp-json/{route}"
    try:
        response = connection.session.post(url, data=text.encode(), headers=_headers(text, connection))
    except OutgoingError as error:
        raise error_for_transport(error) from None
    return _document(response, connection)


def _headers(text: str, connection: WordPressConnection) -> dict[str, str]:
    """Standard Webhooks: `webhook-signature: v1,base64(HMAC-SHA256(secret, "id.timestamp.body"))`."""
    now = datetime.fromtimestamp(connection.clock() // 1000, UTC)
    message_id = f"msg_{secrets.token_hex(16)}"
    try:
        signature = Webhook(connection.secret).sign(message_id, now, text)
    except (ValueError, EmptyWebhookSecretError):
        raise RelayError("secret_unusable", halt=True) from None
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }


def _document(response: requests.Response, connection: WordPressConnection) -> Mapping[str, Any]:
    try:
        document = json.loads(response.content)
    except (ValueError, RecursionError):
        document = None
    known = document if isinstance(document, dict) else {}
    if response.status_code == HTTPStatus.NOT_FOUND and known.get("code") == "rest_no_route":
        raise _NoPluginError
    # A login or maintenance page, or nothing at all, also comes with 200.
    if response.status_code != HTTPStatus.OK or not known:
        raise error_for_status(response.status_code, response.headers.get("Retry-After"), connection.clock())
    return known
