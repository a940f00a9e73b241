"""Calls to Google as a service account that acts for somebody: one token per scope, and what each refusal means."""

import json
from collections.abc import Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any, Protocol

import google.auth.exceptions
import google.auth.transport.requests
import requests
from google.oauth2 import service_account

from workers.outgoing import OutgoingError, OutgoingSession
from workers.relays.action import RelayError, error_for_status, error_for_transport

# A 403 that means "slower" (https://developers.google.com/workspace/admin/directory/v1/limits).
RATE_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"})
DAILY_LIMIT_REASON = "dailyLimitExceeded"  # lifted at midnight in California; asked again every hour
DAILY_LIMIT_PAUSE_S = 3600.0


class GoogleAccount(Protocol):
    """`credentials_info`: the key file as parsed JSON. `subject`: for whom it acts. `made` keeps the credentials."""

    @property
    def credentials_info(self) -> Mapping[str, str]: ...
    @property
    def subject(self) -> str: ...
    @property
    def session(self) -> OutgoingSession: ...
    @property
    def clock(self) -> Callable[[], int]: ...
    @property
    def made(self) -> MutableMapping[str, Any]: ...


def call(account: GoogleAccount, scope: str, method: str, url: str, **arguments: Any) -> requests.Response:
    """One call; a refused token is replaced once. `arguments` as requests takes them. Raises RelayError."""
    headers: dict[str, str] = {}
    credentials = _credentials(account, scope)
    fetch = _token_request(account)
    try:
        credentials.before_request(fetch, method, url, headers)
        response = account.session.request(method, url, headers=headers, **arguments)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            credentials.refresh(fetch)
            credentials.apply(headers)
            response = account.session.request(method, url, headers=headers, **arguments)
    except OutgoingError as error:
        raise error_for_transport(error) from None
    except google.auth.exceptions.GoogleAuthError as error:
        raise _token_error(error) from None
    except (TypeError, ValueError):  # how google-auth takes a token answer that is not a JSON object
        raise RelayError("unexpected_answer") from None
    return response


def _credentials(account: GoogleAccount, scope: str) -> Any:
    if not account.subject:
        # Without one google-auth would also call another host in the background.
        raise RelayError("subject_missing", halt=True)
    if "credentials" not in account.made:
        try:
            kind: Any = service_account.Credentials  # google-auth leaves its functions untyped
            made = kind.from_service_account_info(account.credentials_info, scopes=[scope], subject=account.subject)
        except (ValueError, TypeError, google.auth.exceptions.GoogleAuthError):
            raise RelayError("credentials_unusable", halt=True) from None
        account.made["credentials"] = made
    return account.made["credentials"]


def _token_request(account: GoogleAccount) -> Callable[..., Any]:
    """google-auth's transport on our session, for the token address only."""
    transport = google.auth.transport.requests.Request(session=account.session)

    def fetch(url: str, **keywords: Any) -> Any:
        if url != account.credentials_info["token_uri"]:
            raise RelayError("host_not_allowed", halt=True)
        response = transport(url, **keywords)
        if response.status == HTTPStatus.TOO_MANY_REQUESTS or response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            # google-auth would sleep and try thrice here, deaf to Retry-After.
            raise error_for_status(response.status, response.headers.get("Retry-After"), account.clock())
        return response

    return fetch


def _token_error(error: google.auth.exceptions.GoogleAuthError) -> RelayError:
    if isinstance(error.__cause__, OutgoingError):
        return error_for_transport(error.__cause__)
    # invalid_grant, unauthorized_client: the key, the delegation or the subject is wrong, for every person.
    return RelayError("token_unavailable") if error.retryable else RelayError("token_refused", halt=True)


def relay_error(response: requests.Response, account: GoogleAccount) -> RelayError:
    """What an answer that is not success means."""
    retry_after = response.headers.get("Retry-After")
    details = error_of(response).get("errors")
    reasons = {str(each.get("reason")) for each in details or () if isinstance(each, dict)}
    if response.status_code == HTTPStatus.FORBIDDEN and reasons & RATE_REASONS:
        return error_for_status(HTTPStatus.TOO_MANY_REQUESTS, retry_after, account.clock())
    if response.status_code == HTTPStatus.FORBIDDEN and DAILY_LIMIT_REASON in reasons:
        return RelayError("daily_limit", retry_after_s=DAILY_LIMIT_PAUSE_S, status=response.status_code)
    return error_for_status(response.status_code, retry_after, account.clock())


def document_of(response: requests.Response) -> Mapping[str, Any]:
    """Of whatever is no JSON object, an empty one."""
    try:
        document = json.loads(response.content)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def error_of(response: requests.Response) -> Mapping[str, Any]:
    error = document_of(response).get("error")
    return error if isinstance(error, dict) else {}
