"""A mailbox as Gmail's API shows it: history, search by age, single messages, watch.

Facts: https://developers.google.com/workspace/gmail/api/reference/rest and the guides "push" and "sync".
"""

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

from tests.simulators.exchange import Reply, Request, SeedError, check_seed_names

GMAIL = ("gmail", "v1", "users")
SCOPES = frozenset({"https://www.googleapis.com/auth/gmail.readonly", "https://www.googleapis.com/auth/gmail.modify"})
EMPTY_MAILBOX: dict[str, Any] = {"address": "post@example.no", "mails": [], "begins_at": 1000, "kept_from": 0}
MAILBOX_NAMES = frozenset({*EMPTY_MAILBOX, "watch"})
MAIL_NAMES = frozenset({"id", "headers", "text", "html", "labels", "age_days", "parts"})
STEP = 7  # a history id says only that one thing came after another
WATCH_MS = 7 * 24 * 3600 * 1000

Refusal = tuple[int, str, str]


def check_mailbox(mailbox: Mapping[str, Any]) -> None:
    """mails: oldest first, each with its headers as [name, value] in the order in which they stand, and text, html or
    parts. begins_at: the history id before the first. kept_from: older history is gone. Raises SeedError."""
    check_seed_names(mailbox, MAILBOX_NAMES)
    for mail in mailbox["mails"]:
        check_seed_names(mail, MAIL_NAMES)
        if not all(isinstance(name, str) and isinstance(value, str) for name, value in mail["headers"]):
            raise SeedError("headers are pairs of texts")


def answer_gmail(mailbox: dict[str, Any], request: Request, known: Mapping[str, Any]) -> Reply | Refusal:
    """`known`: the token's scopes and subject."""
    if not SCOPES & set(known["scopes"]):
        return 403, "insufficientPermissions", "Request had insufficient authentication scopes."
    user, *rest = request.segments[3:]
    if user not in ("me", known["subject"]) or known["subject"] != mailbox["address"]:
        return 403, "forbidden", f"Delegation denied for {known['subject']}"
    match (request.method, *rest):
        case ("GET", "profile"):
            return Reply(200, {"emailAddress": mailbox["address"], "historyId": str(newest(mailbox))})
        case ("GET", "history"):
            return _history(mailbox, request)
        case ("GET", "messages"):
            return _search(mailbox, request)
        case ("GET", "messages", message_id):
            return _message(mailbox, message_id, request)
        case ("POST", "watch"):
            return _watch(mailbox, request)
    return 501, "notSimulated", "Not simulated"


def newest(mailbox: Mapping[str, Any]) -> int:
    return int(mailbox["begins_at"]) + STEP * len(mailbox["mails"])


def received_at_ms(mail: Mapping[str, Any]) -> int:
    return int((time.time() - mail.get("age_days", 0) * 24 * 3600) * 1000)


def _listed(mail: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": mail["id"], "threadId": mail["id"]}


def _page(request: Request, found: list[Any]) -> tuple[list[Any], dict[str, str]]:
    asked = dict(request.pairs)
    begin, size = int(asked.get("pageToken", "0")), min(int(asked.get("maxResults", "100")), 500)
    rest = {"nextPageToken": str(begin + size)} if len(found) > begin + size else {}
    return found[begin : begin + size], rest


def _history(mailbox: Mapping[str, Any], request: Request) -> Reply | Refusal:
    start = dict(request.pairs).get("startHistoryId", "")
    if not start.isdecimal():
        return 400, "invalidArgument", "Missing startHistoryId"
    if int(start) < mailbox["kept_from"]:
        return 404, "notFound", "Requested entity was not found."
    records = [
        {
            "id": str(mailbox["begins_at"] + STEP * number),
            "messages": [_listed(mail)],
            "messagesAdded": [{"message": _listed(mail) | {"labelIds": mail.get("labels", ["INBOX"])}}],
        }
        for number, mail in enumerate(mailbox["mails"], 1)
        if mailbox["begins_at"] + STEP * number > int(start)
    ]
    shown, rest = _page(request, records)
    # A mailbox without news answers without the list.
    return Reply(200, ({"history": shown} if shown else {}) | rest | {"historyId": str(newest(mailbox))})


def _search(mailbox: Mapping[str, Any], request: Request) -> Reply | Refusal:
    """`after:<unix seconds>` and nothing else. Newest first, as Gmail does."""
    name, _, after_s = dict(request.pairs).get("q", "").partition(":")
    if name != "after" or not after_s.isdecimal():
        return 501, "notSimulated", "Not simulated"
    young = [mail for mail in reversed(mailbox["mails"]) if received_at_ms(mail) > int(after_s) * 1000]
    found = [_listed(mail) for mail in young if not {"SPAM", "TRASH"} & set(mail.get("labels", ()))]
    shown, rest = _page(request, found)
    return Reply(200, ({"messages": shown} if shown else {}) | rest | {"resultSizeEstimate": len(found)})


def _message(mailbox: Mapping[str, Any], message_id: str, request: Request) -> Reply | Refusal:
    mail = next((each for each in mailbox["mails"] if each["id"] == message_id), None)
    if mail is None:
        return 404, "notFound", "Requested entity was not found."
    shape = dict(request.pairs).get("format", "full")
    wanted = {value.lower() for name, value in request.pairs if name == "metadataHeaders"}
    headers = [{"name": name, "value": value} for name, value in mail["headers"]]
    payload = {"mimeType": "text/plain", "headers": headers} | (_body(mail) if shape == "full" else {})
    if shape == "metadata" and wanted:
        payload["headers"] = [each for each in headers if each["name"].lower() in wanted]
    labels = mail.get("labels", ["INBOX", "UNREAD"])
    document = _listed(mail) | {"labelIds": labels, "internalDate": str(received_at_ms(mail)), "payload": payload}
    return Reply(200, document | {"snippet": mail.get("text", "")[:200], "sizeEstimate": 2048})


def _body(mail: Mapping[str, Any]) -> dict[str, Any]:
    if "parts" in mail:
        return {"mimeType": "multipart/mixed", "body": {"size": 0}, "parts": mail["parts"]}
    kinds = {kind: mail[name] for name, kind in (("text", "text/plain"), ("html", "text/html")) if name in mail}
    parts = [part(kind, text) for kind, text in kinds.items()]
    if len(parts) == 1:
        return parts[0]
    return {"mimeType": "multipart/alternative", "body": {"size": 0}, "parts": parts}


def part(kind: str, text: str) -> dict[str, Any]:
    data = text.encode()
    body = {"size": len(data), "data": base64.urlsafe_b64encode(data).decode()}
    return {"partId": "0", "mimeType": kind, "filename": "", "body": body}


def _watch(mailbox: dict[str, Any], request: Request) -> Reply | Refusal:
    topic = json.loads(request.body).get("topicName", "")
    if not topic.startswith("projects/"):
        return 400, "invalidArgument", "Invalid topicName does not match projects/*/topics/*"
    expires_at_ms = time.time_ns() // 1_000_000 + WATCH_MS
    mailbox["watch"] = json.loads(request.body) | {"expires_at_ms": expires_at_ms}
    answer = {"historyId": str(newest(mailbox)), "expiration": str(expires_at_ms)}
    return Reply(200, answer, effect="watch")
