"""What the companion plugin is asked to do, and asked again whether it is so. Erasure and export: pages.py."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from workers.relays.action import Outcome, Presence, RelayAction, RelayError, RelayResult
from workers.relays.wordpress.connection import WordPressConnection
from workers.relays.wordpress.signed import call

SUBSCRIBED, UNSUBSCRIBED, UNKNOWN = "subscribed", "unsubscribed", "unknown"
PRESENCES: Mapping[str, Presence] = {
    SUBSCRIBED: Presence.GIVEN,
    UNSUBSCRIBED: Presence.WITHDRAWN,
    UNKNOWN: Presence.UNKNOWN,
}
# Of a deed that sets a state; of a withdrawal.
SETTING = frozenset({Outcome.DONE, Outcome.NOT_FOUND, Outcome.NOT_COVERED})
STOPPING = frozenset({Outcome.REMOVED, Outcome.NOT_FOUND, Outcome.NOT_COVERED, Outcome.RETAINED})


def withdraw(action: RelayAction, connection: WordPressConnection) -> RelayResult:
    """Repeating it is harmless: the plugin sets a state."""
    result = _ask(action, connection, "withdraw", STOPPING, purposes=list(action.purposes))
    if result.outcome in (Outcome.REMOVED, Outcome.NOT_FOUND):
        told = set(states(action, connection).values())
        # Where the plugin says that it removed something, it must also know so afterwards.
        if SUBSCRIBED in told or (result.outcome is Outcome.REMOVED and UNSUBSCRIBED not in told):
            raise RelayError("read_back_failed")
    return result


def give(action: RelayAction, connection: WordPressConnection) -> RelayResult:
    """A purpose of which the site has not said what belongs to it is a person's task: the plugin answers not_covered.
    Of one that needs no list there it says unknown, and where that is so of all there was nothing to do."""
    result = _ask(action, connection, "give", SETTING, purposes=list(action.purposes))
    if result.outcome is Outcome.DONE:
        told = set(states(action, connection).values())
        if UNSUBSCRIBED in told:
            raise RelayError("read_back_failed")
        if told == {UNKNOWN}:
            return RelayResult(Outcome.NOT_FOUND, "no_list_needed")
    return result


def restrict(action: RelayAction, connection: WordPressConnection) -> RelayResult:
    result = _ask(action, connection, "restrict", SETTING)
    _check(result, action, connection, lambda account: account.get("restricted") is True)
    return result


def unrestrict(action: RelayAction, connection: WordPressConnection) -> RelayResult:
    result = _ask(action, connection, "unrestrict", SETTING)
    _check(result, action, connection, lambda account: account.get("restricted") is not True, every=True)
    return result


def rectify(action: RelayAction, connection: WordPressConnection) -> RelayResult:
    """The account is asked for by the address that is right now, and must be gone from the others."""
    result = _ask(action, connection, "rectify", SETTING, profile=dict(action.profile))
    if result.outcome is not Outcome.DONE:
        return result
    right = action.profile.get("email")
    for email in dict.fromkeys([*action.emails, *([right] if right else [])]):
        account = _account(connection, email)
        is_old = right is not None and email.casefold() != right.casefold()
        if account.get("user") is not None and (is_old or not _is_as_said(account.get("profile"), action.profile)):
            raise RelayError("read_back_failed")
    return result


def grant_access(action: RelayAction, connection: WordPressConnection) -> RelayResult:
    members = _access(action)
    result = _ask(action, connection, "grant", SETTING, **members)
    _check(result, action, connection, lambda account: _is_granted(account, members), members)
    return result


def revoke_access(action: RelayAction, connection: WordPressConnection) -> RelayResult:
    members = _access(action)
    result = _ask(action, connection, "revoke", SETTING, **members)
    _check(result, action, connection, lambda account: not _is_granted(account, members), members, every=True)
    return result


def observe(action: RelayAction, connection: WordPressConnection) -> Mapping[str, Presence]:
    return {purpose: PRESENCES[state] for purpose, state in states(action, connection).items()}


def states(action: RelayAction, connection: WordPressConnection) -> dict[str, str]:
    """Purpose to what the site says of it, over all addresses. Raises RelayError."""
    members = {"reference": action.reference, "emails": list(action.emails), "purposes": list(action.purposes)}
    told = call(connection, "status", **members).get("purposes")
    if not isinstance(told, dict):
        raise RelayError("unexpected_answer")
    found = {purpose: state for purpose in action.purposes if isinstance(state := told.get(purpose), str)}
    if len(found) < len(set(action.purposes)) or not PRESENCES.keys() >= set(found.values()):
        raise RelayError("unexpected_answer")
    return found


def _ask(
    action: RelayAction, connection: WordPressConnection, route: str, allowed: frozenset[Outcome], **members: object
) -> RelayResult:
    # The newest first: what is given, or made, is for that one.
    emails = list(reversed(action.emails))
    answer = call(connection, route, reference=action.reference, emails=emails, **members)
    try:
        outcome = Outcome(str(answer.get("outcome")))
    except ValueError:
        raise RelayError("unexpected_answer") from None
    if outcome not in allowed:
        raise RelayError("unexpected_answer")
    return RelayResult(outcome, _word(answer.get("reason")))


def _word(reason: object) -> str | None:
    # The ledger takes words, not sentences: a plugin's message may name a person.
    if reason is None:
        return None
    return reason if isinstance(reason, str) and re.fullmatch("[a-z][a-z0-9_]{0,63}", reason) else "unspecified"


def _check(
    result: RelayResult,
    action: RelayAction,
    connection: WordPressConnection,
    is_so: Callable[[Mapping[str, Any]], bool],
    members: Mapping[str, object] | None = None,
    *,
    every: bool = False,
) -> None:
    """It must be so of one of the addresses, or of every one. Raises RelayError."""
    if result.outcome is not Outcome.DONE:
        return
    found = [is_so(account) for account in _accounts(action, connection, members or {})]
    if not (all(found) if every else any(found)):
        raise RelayError("read_back_failed")


def _accounts(
    action: RelayAction, connection: WordPressConnection, members: Mapping[str, object]
) -> Iterator[Mapping[str, Any]]:
    for email in action.emails:
        yield _account(connection, email, **members)


def _account(connection: WordPressConnection, email: str, **members: object) -> Mapping[str, Any]:
    answer = call(connection, "account", email=email, **members)
    user = answer.get("user", ...)
    if user is not None and not (isinstance(user, dict) and isinstance(user.get("roles"), list)):
        raise RelayError("unexpected_answer")
    return answer


def _access(action: RelayAction) -> dict[str, object]:
    assert action.product is not None
    if action.product.role is not None:
        return {"role": action.product.role}
    return {"woocommerce_product": action.product.woocommerce_product}


def _is_granted(account: Mapping[str, Any], members: Mapping[str, object]) -> bool:
    if "role" in members:
        return account["user"] is not None and members["role"] in account["user"]["roles"]
    return account.get("granted") is True


def _is_as_said(told: object, profile: Mapping[str, str]) -> bool:
    """Fields that the site does not keep say nothing."""
    if not isinstance(told, dict):
        raise RelayError("unexpected_answer")
    return all(told[name] == value for name, value in profile.items() if name in told and name != "email")
