"""Sending through Gmail, each mail once: what was sent before is looked for first.

Gmail knows no idempotency keys (https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages/send),
and is said to replace a Message-ID now and then (https://github.com/huacnlee/omamail/pull/85): a field of ours is kept.
Its search may be some seconds behind, so an attempt whose end is unknown is repeated a minute later, and not at once.
"""

import base64
from email.message import EmailMessage
from typing import Any, Protocol
from urllib.parse import quote

from workers.relays.action import RelayError
from workers.relays.google.calls import MODIFYING, READING, SENDING, GoogleAccount, answer, objects

OWN_FIELD = "X-Samtykke-Mail"
LOOK_BACK_S = 31 * 24 * 3600  # longer than any mail is tried
SEARCH_DELAY_S = 60.0
# Of sending: 2,000 mails a day (https://support.google.com/a/answer/166852). Gmail says when, or it is asked hourly.
LIMIT_PAUSE_S = 3600.0
# After these nobody knows whether the mail left.
UNKNOWN = frozenset({"deadline", "connection_lost", "server_error", "unexpected_answer", "response_too_large"})


class SendingAccount(GoogleAccount, Protocol):
    """The mailbox as which mail is sent; `api_base` is where Gmail's API is."""

    @property
    def api_base(self) -> str: ...


def send(account: SendingAccount, mail: EmailMessage, *, leaves_no_copy: bool = False) -> None:
    """Send it unless it was sent. Raises RelayError.

    `leaves_no_copy`: the copy in the mailbox goes into the trash, for a person who has just been erased.
    """
    del mail[OWN_FIELD]
    mail[OWN_FIELD] = str(mail["Message-ID"]).strip("<> ")
    sent_id = _find(account, mail)
    if sent_id is None:
        sent_id = _send(account, mail)
    if leaves_no_copy:
        _call(account, MODIFYING, "POST", f"messages/{quote(sent_id, safe='')}/trash")


def _find(account: SendingAccount, mail: EmailMessage) -> str | None:
    """Gmail's id of it if it was sent: by its Message-ID; and where Gmail made one of its own, by our field."""
    by_id = f"rfc822msgid:{str(mail['Message-ID']).strip('<> ')}"
    for message_id in _search(account, by_id):
        return message_id
    begun_s = account.clock() // 1000 - LOOK_BACK_S
    for message_id in _search(account, f"in:sent to:{mail['To']} after:{begun_s}"):
        asked = {"format": "metadata", "metadataHeaders": [OWN_FIELD]}
        found = _call(account, READING, "GET", f"messages/{quote(message_id, safe='')}", params=asked)
        payload = found.get("payload")
        fields = objects(payload, "headers") if isinstance(payload, dict) else []
        if any(each.get("value") == mail[OWN_FIELD] for each in fields if each.get("name") == OWN_FIELD):
            return message_id
    return None


def _search(account: SendingAccount, query: str) -> list[str]:
    page = _call(account, READING, "GET", "messages", params={"q": query, "includeSpamTrash": "true"})
    if "resultSizeEstimate" not in page and "messages" not in page:
        raise RelayError("unexpected_answer")
    return [str(each.get("id")) for each in objects(page, "messages")]


def _send(account: SendingAccount, mail: EmailMessage) -> str:
    raw = base64.urlsafe_b64encode(mail.as_bytes()).decode()
    try:
        sent = _call(account, SENDING, "POST", "messages/send", json={"raw": raw})
        if not isinstance(sent.get("id"), str):
            raise RelayError("unexpected_answer")
    except RelayError as error:
        raise _patient(error) from None
    return str(sent["id"])


def _patient(error: RelayError) -> RelayError:
    """The same, with the time after which another attempt does no harm, or can help."""
    waits = {"rate_limited": LIMIT_PAUSE_S} | dict.fromkeys(UNKNOWN, SEARCH_DELAY_S)
    wait_s = waits.get(error.reason)
    if wait_s is None:
        return error
    asked_for = error.retry_after_s if error.retry_after_s is not None else wait_s
    delay_s = asked_for if error.reason not in UNKNOWN else max(asked_for, SEARCH_DELAY_S)
    return RelayError(error.reason, retry_after_s=delay_s, status=error.status)


def _call(account: SendingAccount, scope: str, method: str, path: str, **arguments: Any) -> Any:
    return answer(account, scope, method, f"{account.api_base.rstrip('/')}/gmail/v1/users/me/{path}", **arguments)
