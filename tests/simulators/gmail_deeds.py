"""What changes a mailbox: trash, delete for good, labels, send.

Facts: https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages and users.labels.
"""

import base64
import email
import json
from collections.abc import Mapping
from email.policy import default
from typing import Any

from tests.simulators.exchange import Reply, Request
from tests.simulators.gmail_search import SYSTEM_LABELS, labels_of

BATCH_MAX = 1000  # "There is a limit of 1000 ids per request" of batchModify; that of batchDelete is assumed
Refusal = tuple[int, str, str]


def trash(mailbox: dict[str, Any], message_id: str) -> Reply | Refusal:
    """Again is harmless. That the label INBOX goes is assumed."""
    mail = next((each for each in mailbox["mails"] if each["id"] == message_id), None)
    if mail is None:
        return 404, "notFound", "Requested entity was not found."
    mail["labels"] = [each for each in labels_of(mail) if each not in ("INBOX", "TRASH")] + ["TRASH"]
    answer = {"id": mail["id"], "threadId": mail["id"], "labelIds": mail["labels"]}
    return Reply(200, answer, effect="messages.trash")


def delete_many(mailbox: dict[str, Any], request: Request) -> Reply | Refusal:
    """ "Provides no guarantees that messages were not already deleted or even existed at all."""
    ids = json.loads(request.body).get("ids", [])
    if not 0 < len(ids) <= BATCH_MAX:
        return 400, "invalidArgument", "Invalid ids"
    mailbox["mails"] = [each for each in mailbox["mails"] if each["id"] not in ids]
    return Reply(204, effect="messages.batchDelete")


def change_many(mailbox: dict[str, Any], request: Request) -> Reply | Refusal:
    """An id that is not there is passed over: assumed. A label that is not there is refused: assumed."""
    body = json.loads(request.body)
    ids, added, removed = (body.get(name, []) for name in ("ids", "addLabelIds", "removeLabelIds"))
    if not 0 < len(ids) <= BATCH_MAX or not (added or removed):
        return 400, "invalidArgument", "No label add or removes specified"
    known = SYSTEM_LABELS | {each["id"] for each in mailbox.get("labels", [])}
    if not {*added, *removed} <= known:
        return 400, "invalidArgument", "Invalid label"
    for mail in mailbox["mails"]:
        if mail["id"] in ids:
            mail["labels"] = [*dict.fromkeys([each for each in labels_of(mail) if each not in removed] + added)]
    return Reply(204, effect="messages.batchModify")


def make_label(mailbox: dict[str, Any], request: Request) -> Reply | Refusal:
    """The words of the refusal are assumed."""
    name = json.loads(request.body).get("name", "")
    labels: list[dict[str, Any]] = mailbox.setdefault("labels", [])
    if name in {each["name"] for each in labels} | SYSTEM_LABELS or not name:
        return 409, "aborted", "Label name exists or conflicts"
    label = {"id": f"Label_{len(labels) + 1}", "name": name, "type": "user"}
    labels.append(label)
    return Reply(200, label, effect="labels.create")


def list_labels(mailbox: Mapping[str, Any]) -> Reply:
    system = [{"id": each, "name": each, "type": "system"} for each in sorted(SYSTEM_LABELS)]
    return Reply(200, {"labels": system + mailbox.get("labels", [])})


def send(mailbox: dict[str, Any], request: Request) -> Reply | Refusal:
    """Nothing tells a second mail from the first. That the sender's Message-ID is kept is assumed; where the mailbox
    `renames`, it is not (https://github.com/huacnlee/omamail/pull/85). That all other fields are kept is assumed."""
    try:
        raw = base64.urlsafe_b64decode(json.loads(request.body)["raw"])
    except (ValueError, KeyError, TypeError):
        return (
            400,
            "invalidArgument",
            "'raw' RFC822 payload message string or uploading message via /upload/* URL required",
        )
    message = email.message_from_bytes(raw, policy=default)
    if message["To"] is None:
        return 400, "invalidArgument", "Recipient address required"
    headers = [[name, str(value)] for name, value in message.items()]
    if mailbox.get("renames"):
        headers = [[name, "<CA1@mail.gmail.example>" if name == "Message-ID" else value] for name, value in headers]
    number = mailbox["sent"] = mailbox.get("sent", 0) + 1
    mail = {"id": f"19a{number:013x}", "headers": headers, "labels": ["SENT"], "raw": raw.decode("utf-8", "replace")}
    mailbox["mails"].append(mail)
    return Reply(200, {"id": mail["id"], "threadId": mail["id"], "labelIds": ["SENT"]}, effect="messages.send")
