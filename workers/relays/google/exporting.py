"""What Google holds about a person, as one JSON object: memberships, contacts, and mail as far as it fits."""

from collections.abc import Callable, Mapping
from typing import Any

from workers.relays.action import RelayAction, RelayError
from workers.relays.google import contacts, groups, mailbox
from workers.relays.google.connection import GoogleConnection, MailboxConnection

# Of one mail: what the answer may hold once it is written in base64. Of all: what a person can still be sent.
MAIL_SIZE_MAX_BYTES = 2 * 1024 * 1024
ALL_SIZE_MAX_BYTES = 25 * 1024 * 1024
TOO_LARGE, TOTAL_REACHED = "mail_too_large", "total_too_large"


def export(action: RelayAction, connection: GoogleConnection) -> Mapping[str, Any]:
    """Part to what it holds, or to `{"not_read": reason}` where Google did not let us read it.

    A mail that is too large is told of by its header fields and a `left_out`. `searched` says by which addresses.
    """
    emails, own = action.emails, connection.mailbox
    parts: dict[str, Callable[[], Any]] = {}
    if connection.groups:
        parts["groups"] = lambda: groups.held(emails, connection)
    if own is not None and own.people_base:
        parts["contacts"] = lambda: _contacts(emails, own)
        parts["other_contacts"] = lambda: contacts.others(emails, own, contacts.OTHER_HELD_FIELDS)
    if own is not None:
        parts["mails"] = lambda: _mails(emails, own)
    return {"searched": list(emails)} | {name: _read(part) for name, part in parts.items()}


def _read(part: Callable[[], Any]) -> Any:
    try:
        return part()
    except RelayError as error:
        return {"not_read": error.reason}


def _contacts(emails: tuple[str, ...], connection: MailboxConnection) -> list[contacts.Person]:
    mailbox.confirm_owner(connection)
    return contacts.held(emails, connection)


def _mails(emails: tuple[str, ...], connection: MailboxConnection) -> list[dict[str, Any]]:
    mailbox.confirm_owner(connection)
    told, size_bytes = [], 0
    for mail in mailbox.Search(emails, connection):
        one: dict[str, Any] = {"id": mail.id, "labels": sorted(mail.labels), "headers": [*map(list, mail.headers)]}
        size_bytes += mail.size_bytes
        if mail.size_bytes > MAIL_SIZE_MAX_BYTES:
            one["left_out"], size_bytes = TOO_LARGE, size_bytes - mail.size_bytes
        elif size_bytes > ALL_SIZE_MAX_BYTES:
            one["left_out"] = TOTAL_REACHED
        else:
            one["raw_base64url"] = mailbox.raw_text(mail.id, connection)
        told.append(one)
    return told
