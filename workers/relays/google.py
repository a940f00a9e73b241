"""Google Workspace: takes the person out of the groups that stand for the withdrawn purposes."""

import json
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import google.auth.exceptions
import google.auth.transport.requests
import requests
from google.oauth2 import service_account

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

SCOPE = "https://www.googleapis.com/auth/admin.directory.group.member"
# A 403 that means "slower" (https://developers.google.com/workspace/admin/directory/v1/limits).
RATE_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"})
DAILY_LIMIT_REASON = "dailyLimitExceeded"  # lifted at midnight in California; asked again every hour
DAILY_LIMIT_PAUSE_S = 3600.0


@dataclass(frozen=True, slots=True)
class GoogleConnection:
    """A service account with domain-wide delegation for SCOPE only, and the administrator it acts as.

    `credentials_info` is the key file as parsed JSON; its `token_uri` is where tokens are fetched. `groups`
    maps a purpose to the address of its group.
    """

    credentials_info: Mapping[str, str] = field(repr=False)
    subject: str
    api_base: str
    groups: Mapping[str, str]
    session: OutgoingSession = field(repr=False)
    clock: Callable[[], int] = field(default=system_clock_ms, repr=False)
    # The credentials are made once, so that their token serves until it expires.
    made: MutableMapping[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)


def withdraw(action: RelayAction, connection: GoogleConnection) -> RelayResult:
    """Remove every address from the group of every purpose that has one. Raises RelayError.

    Repeating it is harmless, but then answers not_found: Google does not remember who left.
    """
    named = (connection.groups[purpose] for purpose in action.purposes if purpose in connection.groups)
    groups = tuple(dict.fromkeys(named))
    if not groups:
        return RelayResult(Outcome.NOT_COVERED, "no_group")
    members = tuple(dict.fromkeys(address.lower() for address in action.emails))
    removed = [_leave(group, member, connection) for group in groups for member in members]
    return RelayResult(Outcome.REMOVED if any(removed) else Outcome.NOT_FOUND)


def _leave(group: str, member: str, connection: GoogleConnection) -> bool:
    """Delete the membership and read that back; whether there was one."""
    url = f"{connection.api_base.rstrip('/')}/admin/directory/v1/groups/{_part(group)}/members/{_part(member)}"
    deleted = _call("DELETE", url, connection)
    was_member = not _is_absent(deleted, connection)
    found = _call("GET", url, connection)
    if not _is_absent(found, connection):
        # Any page may answer 200; only a member is proof that the removal did not hold.
        known = _document(found).get("kind") == "admin#directory#member"
        raise RelayError("read_back_failed" if known else "unexpected_answer")
    return was_member


def _part(text: str) -> str:
    return quote(text, safe="")


def _is_absent(response: requests.Response, connection: GoogleConnection) -> bool:
    """True for "no such member", False for success. Raises RelayError for anything else."""
    if response.status_code in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
        return False
    if response.status_code == HTTPStatus.NOT_FOUND:
        # The same status tells of a wrong group, and only the message says which was not found.
        message = str(_error(response).get("message"))
        if "memberKey" in message:
            return True
        halt = "groupKey" in message
        raise RelayError("group_not_found" if halt else "rejected", permanent=not halt, halt=halt, status=404)
    raise _relay_error(response, connection)


def _relay_error(response: requests.Response, connection: GoogleConnection) -> RelayError:
    retry_after = response.headers.get("Retry-After")
    details = _error(response).get("errors")
    reasons = {str(each.get("reason")) for each in details or () if isinstance(each, dict)}
    if response.status_code == HTTPStatus.FORBIDDEN and reasons & RATE_REASONS:
        return error_for_status(HTTPStatus.TOO_MANY_REQUESTS, retry_after, connection.clock())
    if response.status_code == HTTPStatus.FORBIDDEN and DAILY_LIMIT_REASON in reasons:
        return RelayError("daily_limit", retry_after_s=DAILY_LIMIT_PAUSE_S, status=response.status_code)
    return error_for_status(response.status_code, retry_after, connection.clock())


def _document(response: requests.Response) -> Mapping[str, Any]:
    try:
        document = json.loads(response.content)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _error(response: requests.Response) -> Mapping[str, Any]:
    error = _document(response).get("error")
    return error if isinstance(error, dict) else {}


def _call(method: str, url: str, connection: GoogleConnection) -> requests.Response:
    """One call; a refused token is replaced once."""
    headers: dict[str, str] = {}
    credentials = _credentials(connection)
    fetch = _token_request(connection)
    try:
        credentials.before_request(fetch, method, url, headers)
        response = connection.session.request(method, url, headers=headers)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            credentials.refresh(fetch)
            credentials.apply(headers)
            response = connection.session.request(method, url, headers=headers)
    except OutgoingError as error:
        raise error_for_transport(error) from None
    except google.auth.exceptions.GoogleAuthError as error:
        raise _token_error(error) from None
    except (TypeError, ValueError):  # how google-auth takes a token answer that is not a JSON object
        raise RelayError("unexpected_answer") from None
    return response


def _credentials(connection: GoogleConnection) -> Any:
    if not connection.subject:
        # Without one google-auth would also call another host in the background.
        raise RelayError("subject_missing", halt=True)
    if "credentials" not in connection.made:
        try:
            kind: Any = service_account.Credentials  # google-auth leaves its functions untyped
            made = kind.from_service_account_info(
                connection.credentials_info, scopes=[SCOPE], subject=connection.subject
            )
        except (ValueError, TypeError, google.auth.exceptions.GoogleAuthError):
            raise RelayError("credentials_unusable", halt=True) from None
        connection.made["credentials"] = made
    return connection.made["credentials"]


def _token_request(connection: GoogleConnection) -> Callable[..., Any]:
    """google-auth's transport on our session, for the token address only."""
    transport = google.auth.transport.requests.Request(session=connection.session)

    def fetch(url: str, **keywords: Any) -> Any:
        if url != connection.credentials_info["token_uri"]:
            raise RelayError("host_not_allowed", halt=True)
        response = transport(url, **keywords)
        if response.status == HTTPStatus.TOO_MANY_REQUESTS or response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            # google-auth would sleep and try thrice here, deaf to Retry-After.
            raise error_for_status(response.status, response.headers.get("Retry-After"), connection.clock())
        return response

    return fetch


def _token_error(error: google.auth.exceptions.GoogleAuthError) -> RelayError:
    if isinstance(error.__cause__, OutgoingError):
        return error_for_transport(error.__cause__)
    # invalid_grant, unauthorized_client: the key, the delegation or the subject is wrong, for every person.
    return RelayError("token_unavailable") if error.retryable else RelayError("token_refused", halt=True)
