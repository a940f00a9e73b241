"""A mailbox as Gmail's API shows it: history, search, single messages, watch; what changes it is in gmail_deeds.

Facts: https://developers.google.com/workspace/gmail/api/reference/rest and the guides "push" and "sync".
"""

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

from tests.simulators.exchange import Reply, Request, SeedError, check_seed_names
from tests.simulators.gmail_deeds import change_many, delete_many, list_labels, make_label, send, trash
from tests.simulators.gmail_search import UnknownQuery, found, labels_of, received_at_ms

GMAIL = ("gmail", "v1", "users")
FULL, PREFIX = "https://mail.google.com/", "https://www.googleapis.com/auth/gmail."
CHANGE = frozenset({FULL, PREFIX + "modify"})
READ, SEND, DELETE = CHANGE | {PREFIX + "readonly"}, CHANGE | {PREFIX + "send"}, frozenset({FULL})
EMPTY_MAILBOX: dict[str, Any] = {"address": "post@example.no", "mails": [], "begins_at": 1000, "kept_from": 0}
MAILBOX_NAMES = frozenset({*EMPTY_MAILBOX, "watch", "labels", "sent", "renames"})
MAIL_NAMES = frozenset({"id", "headers", "text", "html", "labels", "age_days", "parts", "raw", "size"})
STEP = 7  # a history id says only that one thing came after another
WATCH_MS = 7 * 24 * 3600 * 1000

Refusal = tuple[int, str, str]


def check_mailbox(mailbox: Mapping[str, Any]) -> None:
    """mails: oldest first, each with its headers as [name, value] in the order in which they stand, and text, html or
    parts. begins_at: the history id before the first. renames: whether sent mail
    gets a Message-ID of Gmail's own. kept_from: older history is gone. Raises SeedError."""
    check_seed_names(mailbox, MAILBOX_NAMES)
    for mail in mailbox["mails"]:
        check_seed_names(mail, MAIL_NAMES)
        if not all(isinstance(name, str) and isinstance(value, str) for name, value in mail["headers"]):
            raise SeedError("headers are pairs of texts")


def answer_gmail(mailbox: dict[str, Any], request: Request, known: Mapping[str, Any]) -> Reply | Refusal:
    """`known`: the token's scopes and subject."""
    if not scopes_for(request.method, request.segments[4:]) & set(known["scopes"]):
        return 403, "insufficientPermissions", "Request had insufficient authentication scopes."
    user, *rest = request.segments[3:]
    if user not in ("me", known["subject"]) or known["subject"] != mailbox["address"]:
        return 403, "forbidden", f"Delegation denied for {known['subject']}"
    act = (_read if request.method == "GET" else _change)(mailbox, rest, request)
    return (501, "notSimulated", "Not simulated") if act is None else act


def _read(mailbox: Mapping[str, Any], path: list[str], request: Request) -> Reply | Refusal | None:
    match path:
        case ["profile"]:
            return Reply(200, {"emailAddress": mailbox["address"], "historyId": str(newest(mailbox))})
        case ["history"]:
            return _history(mailbox, request)
        case ["messages"]:
            return _search(mailbox, request)
        case ["messages", message_id]:
            return _message(mailbox, message_id, request)
        case ["labels"]:
            return list_labels(mailbox)
    return None


def _change(mailbox: dict[str, Any], path: list[str], request: Request) -> Reply | Refusal | None:
    match path:
        case ["watch"]:
            return _watch(mailbox, request)
        case ["labels"]:
            return make_label(mailbox, request)
        case ["messages", "send"]:
            return send(mailbox, request)
        case ["messages", "batchDelete"]:
            return delete_many(mailbox, request)
        case ["messages", "batchModify"]:
            return change_many(mailbox, request)
        case ["messages", message_id, "trash"]:
            return trash(mailbox, message_id)
    return None


def scopes_for(method: str, path: tuple[str, ...]) -> frozenset[str]:
    """As the discovery document lists them by method."""
    if path == ("messages", "batchDelete"):
        return DELETE
    if path == ("messages", "send"):
        return SEND
    return READ if method == "GET" or path == ("watch",) else CHANGE


def newest(mailbox: Mapping[str, Any]) -> int:
    return int(mailbox["begins_at"]) + STEP * len(mailbox["mails"])


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
            "messagesAdded": [{"message": _listed(mail) | {"labelIds": labels_of(mail)}}],
        }
        for number, mail in enumerate(mailbox["mails"], 1)
        if mailbox["begins_at"] + STEP * number > int(start)
    ]
    shown, rest = _page(request, records)
    # A mailbox without news answers without the list.
    return Reply(200, ({"history": shown} if shown else {}) | rest | {"historyId": str(newest(mailbox))})


def _search(mailbox: Mapping[str, Any], request: Request) -> Reply | Refusal:
    asked = dict(request.pairs)
    try:
        mails = found(mailbox, asked.get("q", ""), asked.get("includeSpamTrash") == "true")
    except UnknownQuery:
        return 501, "notSimulated", "Not simulated"
    shown, rest = _page(request, [_listed(mail) for mail in mails])
    return Reply(200, ({"messages": shown} if shown else {}) | rest | {"resultSizeEstimate": len(mails)})


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
    document = _listed(mail) | {"labelIds": labels_of(mail), "internalDate": str(received_at_ms(mail))}
    whole = _raw(mail)
    told = {"raw": base64.urlsafe_b64encode(whole).decode()} if shape == "raw" else {"payload": payload}
    size = mail.get("size", len(whole))
    return Reply(200, document | told | {"snippet": mail.get("text", "")[:200], "sizeEstimate": size})


def _raw(mail: Mapping[str, Any]) -> bytes:
    if "raw" in mail:
        return str(mail["raw"]).encode()
    head = "".join(f"{name}: {value}\r\n" for name, value in mail["headers"])
    return f"{head}\r\n{mail.get('text', '')}".encode()


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
