"""What Google is asked to do for a person: each deed over all parts that are connected.

Every part is tried, so that a fault of one does not keep the others from being done; then the fault counts.
"""

from collections.abc import Callable, Mapping, Sequence

from workers.relays.action import Outcome, Presence, RelayAction, RelayError, RelayResult, RelayWait
from workers.relays.google import contacts, groups, mailbox
from workers.relays.google.connection import GoogleConnection, MailboxConnection

NOTHING_CONNECTED, NO_GROUP = RelayResult(Outcome.NOT_COVERED, "nothing_connected"), "no_group"
BY_HAND = "other_contact_by_hand"
IN_TRASH = "in_trash"
OWNER_PAUSE_S = 300.0  # an operator must act; a scope that was just granted can take a day

Part = Callable[[], bool]


def withdraw(action: RelayAction, connection: GoogleConnection) -> RelayResult:
    """Remove every address from the group of every purpose that has one. Raises RelayError.

    Repeating it is harmless, but then answers not_found: Google does not remember who left.
    """
    named = groups.groups_of(action.purposes, connection)
    if not named:
        return RelayResult(Outcome.NOT_COVERED, NO_GROUP)
    left = groups.leave(named, action.emails, connection)
    return RelayResult(Outcome.REMOVED if left else Outcome.NOT_FOUND)


def give(action: RelayAction, connection: GoogleConnection) -> RelayResult:
    """Make the newest address a member of the group of every purpose that has one. Raises RelayError."""
    named = groups.groups_of(action.purposes, connection)
    if not named:
        return RelayResult(Outcome.NOT_COVERED, NO_GROUP)
    groups.join(named, action.emails[-1], connection)
    return RelayResult(Outcome.DONE)


def observe(action: RelayAction, connection: GoogleConnection) -> Mapping[str, Presence]:
    """By purpose; one without a group is left out. Raises RelayError.

    Nobody's membership says `withdrawn`: Google does not tell who left from who never came.
    """
    seen = {}
    for purpose in action.purposes:
        for group in groups.groups_of((purpose,), connection):
            given = any(groups.is_member(group, email, connection) for email in action.emails)
            seen[purpose] = Presence.GIVEN if given else Presence.UNKNOWN
    return seen


def erase(action: RelayAction, connection: GoogleConnection) -> RelayResult:
    """Out of every group, the contacts deleted, the mail in the trash or gone. Raises RelayError, RelayWait.

    Mail in the trash counts as removed: what Google keeps of it, and until when, is among the residual copies that
    policy.toml lists. An "other contact" is left to a person: until it is gone the answer is not_covered.
    """
    own = connection.mailbox
    parts, left_over = _group_parts(action, connection), [False]
    if own is not None:
        parts.append(lambda: _erase_mail(action, own))
        if own.people_base:
            parts.append(lambda: _with_owner(own, lambda: contacts.erase(action.emails, own)))
            parts.append(lambda: _with_owner(own, lambda: _look_for_others(action, own, left_over)))
    if not parts:
        return NOTHING_CONNECTED
    changed = _all(parts, action)
    if left_over[0]:
        return RelayResult(Outcome.NOT_COVERED, BY_HAND)
    if not changed:
        return RelayResult(Outcome.NOT_FOUND)
    in_trash = own is not None and not own.delete_permanently
    return RelayResult(Outcome.REMOVED, IN_TRASH if in_trash else None)


def restrict(action: RelayAction, connection: GoogleConnection) -> RelayResult:
    """Out of every group, and the mail out of sight under a label. Raises RelayError, RelayWait."""
    own = connection.mailbox
    parts = _group_parts(action, connection)
    if own is not None:
        parts.append(lambda: _with_owner(own, lambda: mailbox.restrict(action.emails, own)))
    return _done(parts, action)


def unrestrict(action: RelayAction, connection: GoogleConnection) -> RelayResult:
    """The mail back where it was. Into the groups only a `give` leads, which the ledger sends. Raises as restrict."""
    own = connection.mailbox
    if own is None:
        return RelayResult(Outcome.NOT_FOUND) if connection.groups else NOTHING_CONNECTED
    return _done([lambda: _with_owner(own, lambda: mailbox.unrestrict(action.emails, own))], action)


def rectify(action: RelayAction, connection: GoogleConnection) -> RelayResult:
    """The right address in the groups, the right fields in the contacts. Mail stays as it is. Raises RelayError."""
    own, right = connection.mailbox, action.profile.get("email")
    parts: list[Part] = []
    if connection.groups:
        parts.append(lambda: bool(right) and groups.move(action.emails, str(right), connection))
    if own is not None and own.people_base:
        parts.append(lambda: _with_owner(own, lambda: contacts.rectify(action.emails, action.profile, own)))
    return _done(parts, action)


def probe(connection: GoogleConnection) -> Mapping[str, str | None]:
    """Part to the reason why it does not work, None where it does. It only reads."""
    nobody = ("nobody@example.invalid",)
    own, tried = connection.mailbox, dict[str, Callable[[], object]]()
    if connection.groups:
        tried["groups"] = lambda: groups.held(nobody, connection)
    if own is not None:
        tried["mailbox"] = lambda: mailbox.look(own)
        if own.people_base:
            tried["contacts"] = lambda: contacts.held(nobody, own)
            tried["other_contacts"] = lambda: contacts.others(nobody, own)
    return {part: _reason(attempt) for part, attempt in tried.items()}


def _reason(attempt: Callable[[], object]) -> str | None:
    try:
        attempt()
    except RelayError as error:
        return error.reason
    return None


def _group_parts(action: RelayAction, connection: GoogleConnection) -> list[Part]:
    everywhere = groups.all_groups(connection)
    return [lambda: groups.leave(everywhere, action.emails, connection)] if everywhere else []


def _with_owner(own: MailboxConnection, part: Part) -> bool:
    """A part of the mailbox' account. What is wrong with that does not halt Google: withdrawals go to the groups by
    another account, and must not wait behind an erasure that lacks a scope."""
    try:
        mailbox.confirm_owner(own)
        return part()
    except RelayError as error:
        if not error.halt:
            raise
        raise RelayError(error.reason, retry_after_s=OWNER_PAUSE_S, status=error.status) from None


def _erase_mail(action: RelayAction, own: MailboxConnection) -> bool:
    return _with_owner(own, lambda: mailbox.erase(action.emails, own))


def _look_for_others(action: RelayAction, own: MailboxConnection, left_over: list[bool]) -> bool:
    left_over[0] = bool(contacts.others(action.emails, own))
    return False


def _done(parts: Sequence[Part], action: RelayAction) -> RelayResult:
    if not parts:
        return NOTHING_CONNECTED
    return RelayResult(Outcome.DONE if _all(parts, action) else Outcome.NOT_FOUND)


def _all(parts: Sequence[Part], action: RelayAction) -> bool:
    """Whether anything was changed, in this attempt or, by the notes, in an earlier one. Raises the gravest fault last:
    what helps to be tried again comes before what needs an operator."""
    changed, faults = bool(action.notes.get("changed")), list[RelayError | RelayWait]()
    for part in parts:
        try:
            changed = part() or changed
        except RelayWait as wait:
            changed = changed or bool(wait.notes.get("changed"))
            faults.append(wait)
        except RelayError as error:
            faults.append(error)
    if not faults:
        return changed
    fault = min(faults, key=_rank)
    if isinstance(fault, RelayWait):
        raise RelayWait(fault.reason, fault.wait_s, {"changed": changed})
    raise fault


def _rank(fault: RelayError | RelayWait) -> int:
    if isinstance(fault, RelayWait):
        return 0
    return 3 if fault.permanent else 2 if fault.halt else 1
