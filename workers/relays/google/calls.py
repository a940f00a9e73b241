"""Calls to Google for one account: one token per account and scope, and what each refusal means."""

import json
import re
from collections.abc import Callable, Mapping, MutableMapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Protocol

import google.auth.exceptions
import google.auth.transport.requests
import google.oauth2.credentials
import requests
from google.oauth2 import service_account

from workers.outgoing import OutgoingError, OutgoingSession
from workers.relays.action import RETRY_AFTER_MAX_S, RelayError, error_for_status, error_for_transport

TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - where tokens are fetched, and no token
USER, SERVICE_ACCOUNT = "authorized_user", "service_account"

_PREFIX = "https://www.googleapis.com/auth/"
MEMBERS = _PREFIX + "admin.directory.group.member"
READING, SENDING, MODIFYING = _PREFIX + "gmail.readonly", _PREFIX + "gmail.send", _PREFIX + "gmail.modify"
EVERYTHING = "https://mail.google.com/"  # the only scope that may delete a mail for good
CONTACTS, OTHER_CONTACTS = _PREFIX + "contacts", _PREFIX + "contacts.other.readonly"
# Which part of the connection each scope is for: `<part>_scope_missing` when it was not granted.
PARTS: Mapping[str, str] = {
    MEMBERS: "groups",
    READING: "reading",
    SENDING: "sending",
    MODIFYING: "mailbox",
    EVERYTHING: "permanent_deletion",
    CONTACTS: "contacts",
    OTHER_CONTACTS: "other_contacts",
}

# A 403 that means "slower" (https://developers.google.com/workspace/admin/directory/v1/limits).
RATE_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "RATE_LIMIT_EXCEEDED"})
DAILY_LIMIT_REASON = "dailyLimitExceeded"  # lifted at midnight in California; asked again every hour
DAILY_LIMIT_PAUSE_S = 3600.0
SCOPE_REASONS = frozenset({"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"})
PRECONDITION_REASONS = frozenset({"failedPrecondition", "FAILED_PRECONDITION"})
PRECONDITION_FAILED = "precondition_failed"
# A delegation without the scope; a refresh token that never had it (RFC 6749, 6).
UNGRANTED = frozenset({"unauthorized_client", "invalid_scope"})
# Gmail says it in the message only: https://developers.google.com/workspace/gmail/api/guides/handle-errors
RETRY_AFTER = re.compile(r"Retry after (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z)")


class GoogleAccount(Protocol):
    """`credentials_info`: as `credentials_of` makes it. `subject`: whose account it is, and the only one for whom the
    credentials are ever used. `made` keeps them."""

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


def credentials_of(text: str, malformed: str) -> Mapping[str, str]:
    """A service account's key file, or a user's refresh token (`type: authorized_user`), with its `token_uri`.

    Raises RelayError with the reason `malformed` for anything else.
    """
    info: Any = None
    try:
        info = json.loads(text)
        usable = info["type"] in (USER, SERVICE_ACCOUNT) and all(isinstance(value, str) for value in info.values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        usable = False
    if not usable:
        raise RelayError(malformed, halt=True)
    usable_info: Mapping[str, str] = {"token_uri": TOKEN_URI} | info
    return usable_info


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
        raise _token_error(error, scope) from None
    except (TypeError, ValueError):  # how google-auth takes a token answer that is not a JSON object
        raise RelayError("unexpected_answer") from None
    return response


def answer(
    account: GoogleAccount, scope: str, method: str, url: str, missing: str | None = None, **arguments: Any
) -> Mapping[str, Any]:
    """The object that a successful call answers; `missing`: the reason of a 404, where it is an answer and no fault.

    A 204 is an empty object, and so is 200 with `{}`; a page of something else is no answer. Raises RelayError.
    """
    response = call(account, scope, method, url, **arguments)
    if response.status_code == HTTPStatus.NOT_FOUND and missing is not None and error_of(response):
        raise RelayError(missing, permanent=True, status=response.status_code)
    if response.status_code == HTTPStatus.NO_CONTENT:
        return {}
    if response.status_code != HTTPStatus.OK:
        raise relay_error(response, account, scope)
    try:
        document = json.loads(response.content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):  # any page may answer 200
        raise RelayError("unexpected_answer")
    return document


def objects(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A list of objects; empty where Google leaves it out. Raises RelayError."""
    listed = document.get(name, [])
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise RelayError("unexpected_answer")
    return listed


def _credentials(account: GoogleAccount, scope: str) -> Any:
    if not account.subject:
        # Without one google-auth would also call another host in the background.
        raise RelayError("subject_missing", halt=True)
    if scope not in account.made:
        try:
            account.made[scope] = _make(account.credentials_info, account.subject, scope)
        except (KeyError, ValueError, TypeError, google.auth.exceptions.GoogleAuthError):
            raise RelayError("credentials_unusable", halt=True) from None
    return account.made[scope]


def _make(info: Mapping[str, str], subject: str, scope: str) -> Any:
    """One object for each scope: a scope that was not granted fails the whole token, and so the others with it."""
    if info.get("type") == USER:
        user: Any = google.oauth2.credentials.Credentials  # google-auth leaves its functions untyped
        names = ("refresh_token", "client_id", "client_secret", "token_uri")
        return user(token=None, scopes=[scope], **{name: info[name] for name in names})
    robot: Any = service_account.Credentials
    return robot.from_service_account_info(info, scopes=[scope], subject=subject)


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


def _token_error(error: google.auth.exceptions.GoogleAuthError, scope: str) -> RelayError:
    if isinstance(error.__cause__, OutgoingError):
        return error_for_transport(error.__cause__)
    if error.retryable:
        return RelayError("token_unavailable")
    details = error.args[1] if len(error.args) > 1 else None
    if isinstance(details, dict) and details.get("error") in UNGRANTED:
        return scope_missing(scope)
    # invalid_grant and the like: the key, the clock, the subject or the refresh token is wrong, for every person.
    return RelayError("token_refused", halt=True)


def scope_missing(scope: str) -> RelayError:
    return RelayError(f"{PARTS[scope]}_scope_missing", halt=True)


def relay_error(response: requests.Response, account: GoogleAccount, scope: str) -> RelayError:
    """What an answer that is not success means."""
    status, reasons = response.status_code, reasons_of(response)
    retry_after = response.headers.get("Retry-After")
    if status == HTTPStatus.FORBIDDEN and reasons & RATE_REASONS:
        return error_for_status(HTTPStatus.TOO_MANY_REQUESTS, retry_after, account.clock())
    if status == HTTPStatus.FORBIDDEN and DAILY_LIMIT_REASON in reasons:
        return RelayError("daily_limit", retry_after_s=DAILY_LIMIT_PAUSE_S, status=status)
    if status == HTTPStatus.FORBIDDEN and reasons & SCOPE_REASONS:
        return scope_missing(scope)
    if status == HTTPStatus.BAD_REQUEST and reasons & PRECONDITION_REASONS:
        # The account has no such service; the one place where it means something else asks for the reason.
        return RelayError(PRECONDITION_FAILED, halt=True, status=status)
    error = error_for_status(status, retry_after, account.clock())
    if status == HTTPStatus.TOO_MANY_REQUESTS and error.retry_after_s is None:
        error.retry_after_s = _wait_in_message(str(error_of(response).get("message")), account.clock())
    return error


def _wait_in_message(message: str, now_ms: int) -> float | None:
    found = RETRY_AFTER.search(message)
    if found is None:
        return None
    try:
        wait_s = datetime.fromisoformat(found[1]).timestamp() - now_ms / 1000
    except ValueError:
        return None
    return min(wait_s, RETRY_AFTER_MAX_S) if wait_s >= 0 else None


def reasons_of(response: requests.Response) -> frozenset[str]:
    """The words by which Google names an error: the older APIs in `errors`, the newer in `status` and `details`."""
    error = error_of(response)
    listed = [each for name in ("errors", "details") for each in error.get(name) or () if isinstance(each, dict)]
    return frozenset(str(each["reason"]) for each in listed if "reason" in each) | {str(error.get("status"))}


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
