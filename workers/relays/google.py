"""Google Workspace: takes the person out of the groups that stand for the withdrawn purposes."""

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import requests

from workers.google_calls import call, document_of, error_of, relay_error
from workers.outgoing import OutgoingSession
from workers.relays.action import Outcome, RelayAction, RelayError, RelayResult, system_clock_ms

SCOPE = "https://www.googleapis.com/auth/admin.directory.group.member"


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
    deleted = call(connection, SCOPE, "DELETE", url)
    was_member = not _is_absent(deleted, connection)
    found = call(connection, SCOPE, "GET", url)
    if not _is_absent(found, connection):
        # Any page may answer 200; only a member is proof that the removal did not hold.
        known = document_of(found).get("kind") == "admin#directory#member"
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
        message = str(error_of(response).get("message"))
        if "memberKey" in message:
            return True
        halt = "groupKey" in message
        raise RelayError("group_not_found" if halt else "rejected", permanent=not halt, halt=halt, status=404)
    raise relay_error(response, connection)
