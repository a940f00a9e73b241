"""Mail from and to a person in one mailbox: found by search, told apart by the exact address, one mail at a time.

Never by the thread: a thread holds other people's mail too. https://developers.google.com/workspace/gmail/api/reference/rest
"""

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import getaddresses
from typing import Any
from urllib.parse import quote

from workers.relays.action import RelayError, RelayWait
from workers.relays.google.calls import EVERYTHING, MODIFYING, USER, answer, objects
from workers.relays.google.connection import MailboxConnection

ADDRESS_HEADERS = ("From", "To", "Cc", "Bcc")
HEADERS = (*ADDRESS_HEADERS, "Subject", "Date", "Message-ID")
OPERATORS = ("from", "to", "cc", "bcc")
PLAIN = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+")
LIST_SIZE = 500
BATCH_SIZE = 1000  # of batchModify, by its description; batchDelete names no limit
BUDGET_S = 12.0  # for each of searching, doing and reading back; a minute on somebody else would begin
TRASH, INBOX = "TRASH", "INBOX"
RESTRICTED, RESTRICTED_INBOX = "Restricted", "Restricted/Inbox"  # the second: where it goes back to
GONE, MORE_MAIL = "gone", "more_mail"


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail. `headers`: those of HEADERS, in their order."""

    id: str
    labels: frozenset[str]
    size_bytes: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)

    def concerns(self, emails: frozenset[str]) -> bool:
        """Whether one of the addresses (lower case) is exactly one of its senders or recipients."""
        values = [value for name, value in self.headers if name.lower() in OPERATORS]
        # A display name may look like an address; only what stands for the mailbox counts.
        return any(address.lower() in emails for _, address in getaddresses(values))


@dataclass(slots=True)
class Search:
    """The mails of a person that an attempt has time for; `complete` once there were no more."""

    emails: tuple[str, ...] = field(repr=False)
    connection: MailboxConnection
    narrowed: str = ""
    stop_at_s: float | None = None
    complete: bool = False

    def __iter__(self) -> Iterator[Mail]:
        wanted, seen = frozenset(each.lower() for each in self.emails), set[str]()
        for message_id in self._ids():
            if self.stop_at_s is not None and time.monotonic() > self.stop_at_s:
                return
            if message_id in seen:
                continue
            seen.add(message_id)
            mail = read(message_id, self.connection)
            if mail is not None and mail.concerns(wanted):
                yield mail
        self.complete = True

    def _ids(self) -> Iterator[str]:
        for email in dict.fromkeys(each.lower() for each in self.emails):
            for operator in OPERATORS:
                asked: dict[str, Any] = {
                    "q": f"{operator}:{_term(email)}{self.narrowed}",
                    "includeSpamTrash": "true",  # requests would write True, which Google does not know
                    "maxResults": LIST_SIZE,
                }
                # Whole before the first is touched: a page moves up when what stands before it goes.
                yield from list(_pages(asked, self.connection))


def erase(emails: tuple[str, ...], connection: MailboxConnection) -> bool:
    """Whether any mail went: into the trash, or for good where the connection says so. Raises RelayError, RelayWait."""
    permanently = connection.delete_permanently
    narrowed = "" if permanently else " -in:trash"
    search = Search(emails, connection, narrowed, time.monotonic() + BUDGET_S)
    found = [mail for mail in search if permanently or TRASH not in mail.labels]
    for batch in _batches(found) if permanently else ():
        _post("messages/batchDelete", connection, EVERYTHING, json={"ids": [each.id for each in batch]})
    for mail in () if permanently else found:
        _trash(mail.id, connection)
    if not search.complete:
        raise RelayWait(MORE_MAIL, 1.0, {"changed": bool(found)})
    again = Search(emails, connection, narrowed, time.monotonic() + BUDGET_S)
    if any(permanently or TRASH not in mail.labels for mail in again) or not again.complete:
        raise RelayError("read_back_failed")
    return bool(found)


def restrict(emails: tuple[str, ...], connection: MailboxConnection) -> bool:
    """Whether any mail was set aside: out of the inbox, under the label Restricted. Raises RelayError, RelayWait."""
    label, back = _label(RESTRICTED, connection), _label(RESTRICTED_INBOX, connection)
    search = Search(emails, connection, f" -in:trash -label:{RESTRICTED}", time.monotonic() + BUDGET_S)
    found = [mail for mail in search if label not in mail.labels and TRASH not in mail.labels]
    _change([mail for mail in found if INBOX in mail.labels], (label, back), (INBOX,), connection)
    _change([mail for mail in found if INBOX not in mail.labels], (label,), (), connection)
    return _changed(search, found, {label}, {INBOX}, connection)


def unrestrict(emails: tuple[str, ...], connection: MailboxConnection) -> bool:
    """Undo `restrict`: what was in the inbox is there again. Raises RelayError, RelayWait."""
    label, back = _label(RESTRICTED, connection), _label(RESTRICTED_INBOX, connection)
    search = Search(emails, connection, f" label:{RESTRICTED}", time.monotonic() + BUDGET_S)
    found = [mail for mail in search if label in mail.labels]
    _change([mail for mail in found if back in mail.labels], (INBOX,), (label, back), connection)
    _change([mail for mail in found if back not in mail.labels], (), (label,), connection)
    return _changed(search, found, set(), {label, back}, connection)


def read(message_id: str, connection: MailboxConnection) -> Mail | None:
    """None if it is gone. Raises RelayError."""
    asked = {"format": "metadata", "metadataHeaders": HEADERS}
    try:
        message = _get(f"messages/{quote(message_id, safe='')}", connection, GONE, params=asked)
    except RelayError as error:
        if error.reason == GONE:
            return None
        raise
    payload, labels, size = message.get("payload"), message.get("labelIds", []), message.get("sizeEstimate")
    if message.get("id") != message_id or not isinstance(labels, list):
        raise RelayError("unexpected_answer")
    fields = objects(payload, "headers") if isinstance(payload, dict) else []
    headers = tuple((str(each.get("name")), str(each.get("value"))) for each in fields)
    return Mail(message_id, frozenset(map(str, labels)), size if isinstance(size, int) else 0, headers)


def raw_text(message_id: str, connection: MailboxConnection) -> str | None:
    """The whole mail, base64url; None if it is gone. Raises RelayError."""
    try:
        message = _get(f"messages/{quote(message_id, safe='')}", connection, GONE, params={"format": "raw"})
    except RelayError as error:
        if error.reason == GONE:
            return None
        raise
    return str(message.get("raw", ""))


def confirm_owner(connection: MailboxConnection) -> None:
    """A refresh token may be somebody else's; then nothing of theirs is touched. Raises RelayError.

    A service account acts as nobody but its subject.
    """
    if "owner" in connection.made or connection.credentials_info.get("type") != USER:
        return
    found = str(_get("profile", connection).get("emailAddress"))
    if found.lower() != connection.subject.lower():
        raise RelayError("mailbox_of_somebody_else", halt=True)
    connection.made["owner"] = found


def look(connection: MailboxConnection) -> None:
    """Ask for nothing but whether one may ask. Raises RelayError."""
    _get("profile", connection)
    confirm_owner(connection)


def _term(email: str) -> str:
    """In quotation marks where it could be read as more than one word."""
    return email if PLAIN.fullmatch(email) else '"' + email.replace('"', "") + '"'


def _pages(asked: dict[str, Any], connection: MailboxConnection) -> Iterator[str]:
    while True:
        page = _get("messages", connection, params=asked)
        if "resultSizeEstimate" not in page and "messages" not in page:
            raise RelayError("unexpected_answer")
        yield from (each["id"] for each in objects(page, "messages") if isinstance(each.get("id"), str))
        if "nextPageToken" not in page:
            return
        asked = asked | {"pageToken": page["nextPageToken"]}


def _trash(message_id: str, connection: MailboxConnection) -> None:
    try:
        path = f"messages/{quote(message_id, safe='')}/trash"
        trashed = _post(path, connection, missing=GONE)
    except RelayError as error:
        if error.reason == GONE:
            return
        raise
    if TRASH not in trashed.get("labelIds", ()):
        raise RelayError("unexpected_answer")


def _label(name: str, connection: MailboxConnection) -> str:
    """Its id; made at first need. Raises RelayError: `busy` if somebody else made it this moment."""
    for label in objects(_get("labels", connection), "labels"):
        if label.get("name") == name:
            return str(label.get("id"))
    made = _post("labels", connection, json={"name": name})
    if not isinstance(made.get("id"), str):
        raise RelayError("unexpected_answer")
    return str(made["id"])


def _change(mails: list[Mail], added: Iterable[str], removed: Iterable[str], connection: MailboxConnection) -> None:
    for batch in _batches(mails):
        body = {"ids": [each.id for each in batch], "addLabelIds": list(added), "removeLabelIds": list(removed)}
        _post("messages/batchModify", connection, json=body)


def _changed(
    search: Search, found: list[Mail], present: set[str], absent: set[str], connection: MailboxConnection
) -> bool:
    """Read back each mail that was changed."""
    for mail in found:
        now = read(mail.id, connection)
        if now is not None and (not present <= now.labels or absent & now.labels):
            raise RelayError("read_back_failed")
    if not search.complete:
        raise RelayWait(MORE_MAIL, 1.0, {"changed": bool(found)})
    return bool(found)


def _batches(mails: list[Mail]) -> Iterator[list[Mail]]:
    return (mails[start : start + BATCH_SIZE] for start in range(0, len(mails), BATCH_SIZE))


def _get(path: str, connection: MailboxConnection, missing: str | None = None, **arguments: Any) -> Mapping[str, Any]:
    return answer(connection, MODIFYING, "GET", _url(path, connection), missing, **arguments)


def _post(
    path: str, connection: MailboxConnection, scope: str = MODIFYING, missing: str | None = None, **arguments: Any
) -> Mapping[str, Any]:
    return answer(connection, scope, "POST", _url(path, connection), missing, **arguments)


def _url(path: str, connection: MailboxConnection) -> str:
    return f"{connection.gmail_base.rstrip('/')}/gmail/v1/users/me/{path}"
