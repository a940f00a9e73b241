"""Accounts of the site, by core's REST API (https://developer.wordpress.org/rest-api/reference/users/)."""

import html
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from workers.relays.action import Outcome, RelayAction, RelayError, RelayResult
from workers.relays.wordpress.answers import ExistsError, GoneError
from workers.relays.wordpress.rest import Rest, object_in
from workers.relays.wordpress.tally import Tally

USERS = "wp/v2/users"
NAMES = ("first_name", "last_name")
# They may change the site. policy.toml maps what a payment gives, and a slip there must not make an administrator.
STAFF_ROLES = frozenset({"administrator", "editor", "author", "contributor", "shop_manager"})
STAFF = "staff_account"


def find(rest: Rest, emails: Sequence[str]) -> list[dict[str, Any]]:
    """The accounts of these addresses. The search finds parts of addresses too, so it is compared again."""
    found: dict[int, dict[str, Any]] = {}
    wanted = {email.casefold() for email in emails}
    for email in emails:
        for user in rest.pages(USERS, search=email, search_columns=["email"], context="edit"):
            if plain(user.get("email")).casefold() in wanted:
                found[user["id"]] = user
    return list(found.values())


def plain(value: object) -> str:
    """REST answers escape some texts of a user: `O'Neil &amp; Co` (measured on WordPress 6.8.12)."""
    return html.unescape(value) if isinstance(value, str) else ""


def is_staff(user: Mapping[str, Any]) -> bool:
    capabilities = user.get("capabilities")
    if not isinstance(capabilities, dict):
        raise RelayError("unexpected_answer")
    return bool(capabilities.get("edit_posts")) or not STAFF_ROLES.isdisjoint(user.get("roles", ()))


def erase(rest: Rest, emails: Sequence[str], tally: Tally) -> None:
    """Delete the accounts; what they wrote goes to the administrator whose password this is. Those of people who work
    on the site are left to a person."""
    found = find(rest, emails)
    if not found:
        return
    our_id = object_in(rest.read(f"{USERS}/me", context="edit"))["id"]
    for user in found:
        if user["id"] == our_id or is_staff(user):
            tally.left.append(STAFF)
            continue
        tally.uncertain = True
        rest.delete(f"{USERS}/{user['id']}", force=True, reassign=our_id)
        tally.removed = True
    if any(not is_staff(user) for user in find(rest, emails)):
        raise RelayError("read_back_failed")


def rectify(rest: Rest, action: RelayAction) -> RelayResult:
    """Core mails the address that an account had before, if that changes."""
    profile = {name: value for name, value in action.profile.items() if name in (*NAMES, "email")}
    found = find(rest, action.emails)
    if not found:
        return RelayResult(Outcome.NOT_FOUND)
    if any(is_staff(user) for user in found):
        return RelayResult(Outcome.NOT_COVERED, STAFF)
    if "email" in profile and len(find(rest, [*action.emails, profile["email"]])) > 1:
        return RelayResult(Outcome.NOT_COVERED, "several_accounts")  # an address can be that of one account only
    for user in found:
        if profile and not _is_so(user, profile):
            try:
                rest.write(f"{USERS}/{user['id']}", **profile)
            except ExistsError:
                return RelayResult(Outcome.NOT_COVERED, "several_accounts")
            if not _is_so(object_in(rest.read(f"{USERS}/{user['id']}", context="edit")), profile):
                raise RelayError("read_back_failed")
    return RelayResult(Outcome.DONE)


def _is_so(user: Mapping[str, Any], profile: Mapping[str, str]) -> bool:
    return all(plain(user.get(name)) == value for name, value in profile.items())


def grant_role(rest: Rest, action: RelayAction, role: str) -> RelayResult:
    """Make the account where there is none: WordPress mails nobody then, and the person asks for a password."""
    if role in STAFF_ROLES:
        raise RelayError("role_not_allowed", permanent=True)
    found = find(rest, action.emails) or [_create(rest, action)]
    for user in found:
        _set_roles(rest, user, [*_roles(user), role] if role not in _roles(user) else _roles(user))
    return RelayResult(Outcome.DONE)


def revoke_role(rest: Rest, action: RelayAction, role: str) -> RelayResult:
    found = find(rest, action.emails)
    for user in found:
        _set_roles(rest, user, [each for each in _roles(user) if each != role])
    return RelayResult(Outcome.DONE if found else Outcome.NOT_FOUND)


def _create(rest: Rest, action: RelayAction) -> dict[str, Any]:
    members = {
        # No address in it: the name of an account is part of public URLs.
        "username": f"member-{action.reference[:16]}",
        "email": action.emails[-1],  # the newest
        "password": secrets.token_urlsafe(32),
        "roles": ["subscriber"],
    }
    try:
        return object_in(rest.write(USERS, **members, context="edit"))
    except ExistsError:  # an earlier attempt made it, and we never heard
        found = find(rest, action.emails)
        if not found:
            raise RelayError("account_not_found") from None
        return found[0]


def _roles(user: Mapping[str, Any]) -> list[str]:
    roles = user.get("roles")
    if not isinstance(roles, list):
        raise RelayError("unexpected_answer")
    return roles


def _set_roles(rest: Rest, user: Mapping[str, Any], roles: list[str]) -> None:
    """The list is replaced, so it must be whole. Raises RelayError."""
    route = f"{USERS}/{user['id']}"
    try:
        if set(_roles(user)) != set(roles):
            rest.write(route, roles=roles)
        if set(_roles(object_in(rest.read(route, context="edit")))) != set(roles):
            raise RelayError("read_back_failed")
    except GoneError:
        raise RelayError("account_not_found") from None
