"""What a WordPress site answers, told apart: a document, a route that is not there, or why it refused.

WP_Error in the REST API is `{"code": ..., "message": ..., "data": ...}` (wp-includes/rest-api.php); of that only the
code counts.
"""

import json
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import requests

from workers.relays.action import RelayError, error_for_status
from workers.relays.wordpress.connection import WordPressConnection

SKEW_MAX_MS = 5 * 60 * 1000  # Standard Webhooks: older or younger is not taken
# wp-includes/user.php: the password was looked at, and is wrong. Any other 401 says that nobody was logged in, which
# WordPress 6.8.12 also says of a wrong password (measured): it looks for the error before it looks at the password.
WRONG_PASSWORD = frozenset({"incorrect_password", "invalid_username", "invalid_email", "invalid_application_password"})
EXISTS = frozenset({"existing_user_email", "existing_user_login"})  # measured on WordPress 6.8.12: with HTTP 500


class NoRouteError(RelayError):
    """The site answered, and has no such route: the plugin that brings it is not there."""

    def __init__(self) -> None:
        super().__init__("no_plugin", permanent=True)


class GoneError(RelayError):
    """There is no such thing (any more)."""

    def __init__(self) -> None:
        super().__init__("gone", permanent=True)


class ExistsError(RelayError):
    """There is a user of that address or name already."""

    def __init__(self) -> None:
        super().__init__("exists", permanent=True)


def read_answer(response: requests.Response, connection: WordPressConnection) -> Any:
    """The JSON document, an object or a list. Raises RelayError, NoRouteError, GoneError, ExistsError."""
    try:
        document = json.loads(response.content)
    except (ValueError, RecursionError):
        document = None
    status = response.status_code
    # A login or maintenance page, or nothing at all, also comes with 200.
    if status in (HTTPStatus.OK, HTTPStatus.CREATED) and isinstance(document, dict | list):
        return document
    code = document.get("code") if isinstance(document, dict) else None
    code = code if isinstance(code, str) else ""
    if status == HTTPStatus.NOT_FOUND and code == "rest_no_route":
        raise NoRouteError
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE) and code:
        raise GoneError
    if code in EXISTS:
        raise ExistsError
    if status == HTTPStatus.NOT_IMPLEMENTED:  # a network of sites deletes no user this way (WP_REST_Users_Controller)
        raise RelayError("not_possible_here", permanent=True, status=status)
    if status == HTTPStatus.UNAUTHORIZED:
        raise RelayError(_why_unauthorized(response, code, connection), halt=True, status=status)
    raise error_for_status(status, response.headers.get("Retry-After"), connection.clock())


def _why_unauthorized(response: requests.Response, code: str, connection: WordPressConnection) -> str:
    if not code and "basic" in response.headers.get("WWW-Authenticate", "").lower():
        return "site_password_protected"  # in front of WordPress: it wants the header that we need ourselves
    if code.startswith("samtykke_"):
        return "clock_skew" if _is_skewed(response.headers.get("Date"), connection.clock()) else "unauthorized"
    if not code or code in WRONG_PASSWORD:
        return "unauthorized"
    return "authorization_not_forwarded"


def _is_skewed(date: str | None, now_ms: int) -> bool:
    try:
        theirs_ms = parsedate_to_datetime(date or "").timestamp() * 1000
    except (ValueError, OverflowError):
        return False
    return abs(theirs_ms - now_ms) > SKEW_MAX_MS
