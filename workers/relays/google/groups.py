"""Members of the groups that stand for the purposes (Directory API, members).

https://developers.google.com/workspace/admin/directory/reference/rest/v1/members
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import requests

from workers.relays.action import RelayError
from workers.relays.google.calls import MEMBERS, call, document_of, error_of, relay_error
from workers.relays.google.connection import GoogleConnection


def groups_of(purposes: Iterable[str], connection: GoogleConnection) -> tuple[str, ...]:
    """The groups of the purposes that have one, each once."""
    return tuple(dict.fromkeys(connection.groups[each] for each in purposes if each in connection.groups))


def all_groups(connection: GoogleConnection) -> tuple[str, ...]:
    return tuple(dict.fromkeys(connection.groups.values()))


def leave(groups: Iterable[str], emails: Iterable[str], connection: GoogleConnection) -> bool:
    """Delete every membership and read that back; whether there was one. Raises RelayError."""
    left = [_leave(group, member, connection) for group in groups for member in _keys(emails)]
    return any(left)  # of a list: each must be left, and not only the first


def join(groups: Iterable[str], email: str, connection: GoogleConnection) -> None:
    """Be a member of each, and read it back; who is one already stays one. Raises RelayError."""
    for group in groups:
        body = {"email": email, "role": "MEMBER"}
        inserted = call(connection, MEMBERS, "POST", _url(group, connection), json=body)
        if inserted.status_code != HTTPStatus.CONFLICT and _is_absent(inserted, connection):
            raise RelayError("rejected", permanent=True, status=inserted.status_code)
        if not is_member(group, email, connection):
            raise RelayError("read_back_failed")


def move(emails: Iterable[str], right: str, connection: GoogleConnection) -> bool:
    """Where an address that is no longer right is a member, the right one takes its place. Raises RelayError."""
    moved = False
    wrong = [each for each in _keys(emails) if each != right.lower()]
    for group in all_groups(connection):
        if any(is_member(group, each, connection) for each in wrong):
            join((group,), right, connection)
            moved = leave((group,), wrong, connection) or moved
    return moved


def is_member(group: str, email: str, connection: GoogleConnection) -> bool:
    """Raises RelayError: any page may answer 200, and only a member is proof that there is one."""
    found = call(connection, MEMBERS, "GET", _url(group, connection, email))
    if _is_absent(found, connection):
        return False
    if document_of(found).get("kind") != "admin#directory#member":
        raise RelayError("unexpected_answer")
    return True


def held(emails: Iterable[str], connection: GoogleConnection) -> list[dict[str, Any]]:
    """Every membership as Google tells it. Raises RelayError."""
    memberships = []
    for group in all_groups(connection):
        for email in _keys(emails):
            found = call(connection, MEMBERS, "GET", _url(group, connection, email))
            if not _is_absent(found, connection):
                memberships.append({"group": group, "member": dict(document_of(found))})
    return memberships


def _leave(group: str, member: str, connection: GoogleConnection) -> bool:
    deleted = call(connection, MEMBERS, "DELETE", _url(group, connection, member))
    was_member = not _is_absent(deleted, connection)
    if is_member(group, member, connection):
        raise RelayError("read_back_failed")
    return was_member


def _keys(emails: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.lower() for each in emails))


def _url(group: str, connection: GoogleConnection, member: str | None = None) -> str:
    base = f"{connection.api_base.rstrip('/')}/admin/directory/v1/groups/{quote(group, safe='')}/members"
    return base if member is None else f"{base}/{quote(member.lower(), safe='')}"


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
    raise relay_error(response, connection, MEMBERS)
