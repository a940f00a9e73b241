"""Gmail's search, as far as it is asked: which mails a query names.

Facts: https://support.google.com/mail/answer/7190 (the operators); trash and spam only with `includeSpamTrash`
(https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages/list).
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

TERM = re.compile(r'(-?)([a-z0-9]+):(?:"([^"]*)"|(\S+))(?:\s+|$)')
HIDDEN = frozenset({"SPAM", "TRASH"})
SYSTEM_LABELS = frozenset({"INBOX", "SENT", "TRASH", "SPAM", "UNREAD", "DRAFT", "STARRED", "IMPORTANT"})

Mail = Mapping[str, Any]


class UnknownQuery(ValueError):
    """A query that is not simulated."""


def labels_of(mail: Mail) -> list[str]:
    return list(mail.get("labels", ["INBOX", "UNREAD"]))


def received_at_ms(mail: Mail) -> int:
    return int((time.time() - mail.get("age_days", 0) * 24 * 3600) * 1000)


def header_values(mail: Mail, name: str) -> list[str]:
    return [value for each, value in mail["headers"] if each.lower() == name.lower()]


def found(mailbox: Mapping[str, Any], query: str, hidden_too: bool) -> list[Mail]:
    """Newest first. Raises UnknownQuery."""
    terms = TERM.findall(query + " ")
    if "".join(TERM.sub("", query + " ").split()):
        raise UnknownQuery(query)
    tests = [(minus, _test(mailbox, operator, quoted or plain)) for minus, operator, quoted, plain in terms]
    return [
        mail
        for mail in reversed(mailbox["mails"])
        if (hidden_too or not HIDDEN & set(labels_of(mail)))
        and all(test(mail) is (minus == "") for minus, test in tests)
    ]


def _test(mailbox: Mapping[str, Any], operator: str, value: str) -> Callable[[Mail], bool]:
    """What one term asks of a mail. That an address is found anywhere in its header field, so in a display name or
    inside a longer address too, is assumed: Gmail compares words and says not how it cuts them."""
    match operator:
        case "from" | "to" | "cc" | "bcc":
            return lambda mail: any(value.lower() in each.lower() for each in header_values(mail, operator))
        case "rfc822msgid":
            return lambda mail: any(each.strip("<> ") == value for each in header_values(mail, "Message-ID"))
        case "after" if value.isdecimal():
            return lambda mail: received_at_ms(mail) > int(value) * 1000
        case "in" | "label":
            names = {label["name"].lower(): label["id"] for label in mailbox.get("labels", [])}
            known = names | {each.lower(): each for each in SYSTEM_LABELS}
            return lambda mail: known.get(value.lower()) in labels_of(mail)
    raise UnknownQuery(operator)
