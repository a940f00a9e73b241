"""The mailbox at Gmail: its history, single messages, and the watch that makes it tell of news. It only reads.

https://developers.google.com/workspace/gmail/api/reference/rest; the guides "sync" and "push".
"""

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from schemas.mail.envelope import HEADERS, Envelope
from workers.outgoing import OutgoingSession
from workers.relays.action import RelayError, system_clock_ms
from workers.relays.google.calls import READING, answer, objects

RESPONSE_SIZE_MAX_BYTES = 2 * 1024 * 1024  # the text of one mail; attachments come only when they are asked for
PAGE_SIZE, LIST_SIZE = 100, 500
HISTORY_EXPIRED = "history_expired"


@dataclass(frozen=True, slots=True)
class GmailConnection:
    """The mailbox' owner, as whom a service account or a refresh token reads: the scope READING is all it needs."""

    credentials_info: Mapping[str, str] = field(repr=False)
    subject: str
    api_base: str
    session: OutgoingSession = field(repr=False)
    clock: Callable[[], int] = field(default=system_clock_ms, repr=False)
    made: MutableMapping[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Page:
    """Ids of messages that came, oldest first, and from where to read on once they are taken in."""

    message_ids: tuple[str, ...]
    place: str


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Every method raises RelayError."""

    connection: GmailConnection

    def newest_place(self) -> str:
        """The history id of now: what comes later is newer."""
        place = self._get("profile", {}).get("historyId")
        if not isinstance(place, str):
            raise RelayError("unexpected_answer")
        return place

    def added_since(self, place: str) -> Iterator[Page]:
        """Pages of what came after `place`. HISTORY_EXPIRED when Gmail does not go back that far.

        All history, and not only that of messages: then the place moves on with whatever happens in the mailbox. It
        moves to what was read and never to the id of the answer itself, which can be ahead of what the answer shows.
        """
        asked: dict[str, Any] = {"startHistoryId": place, "maxResults": PAGE_SIZE}
        while True:
            page = self._get("history", asked, missing=HISTORY_EXPIRED)
            records = objects(page, "history")
            added = [objects(each, "messagesAdded") for each in records]
            ids = [one.get("message", {}).get("id") for each in added for one in each]
            place = str(records[-1].get("id", place)) if records else place
            yield Page(tuple(dict.fromkeys(each for each in ids if isinstance(each, str))), place)
            if "nextPageToken" not in page:
                return
            asked["pageToken"] = page["nextPageToken"]

    def received_since(self, at_ms: int) -> list[str]:
        """Ids of every message that came after this time, oldest first."""
        asked: dict[str, Any] = {"q": f"after:{at_ms // 1000}", "maxResults": LIST_SIZE}
        ids: list[str] = []
        while True:
            page = self._get("messages", asked)
            ids += [each["id"] for each in objects(page, "messages") if isinstance(each.get("id"), str)]
            if "nextPageToken" not in page:
                return ids[::-1]
            asked["pageToken"] = page["nextPageToken"]

    def envelope(self, message_id: str) -> Envelope | None:
        """Only the header fields that are needed; None if the message is gone."""
        try:
            path = f"messages/{quote(message_id, safe='')}"
            message = self._get(path, {"format": "metadata", "metadataHeaders": HEADERS}, missing="gone")
        except RelayError as error:
            if error.reason == "gone":
                return None
            raise
        payload, labels = message.get("payload"), message.get("labelIds")
        fields = objects(payload, "headers") if isinstance(payload, dict) else []
        pairs = [(str(each.get("name")), str(each.get("value"))) for each in fields]
        at = str(message.get("internalDate"))
        at_ms = int(at) if at.isascii() and at.isdecimal() and len(at) < 16 else 0
        return Envelope(pairs, frozenset(map(str, labels if isinstance(labels, list) else ())), at_ms)

    def content(self, message_id: str) -> Mapping[str, Any]:
        """The message's parts, without attachments."""
        message = self._get(f"messages/{quote(message_id, safe='')}", {"format": "full"}, missing="gone")
        payload = message.get("payload")
        return payload if isinstance(payload, dict) else {}

    def watch(self, topic: str) -> int:
        """Have Gmail tell the topic of news in the inbox; until when it does, unix milliseconds (7 days on)."""
        # Older samples write INCLUDE; the discovery document of 2026 knows it in small letters only.
        wanted = {"topicName": topic, "labelIds": ["INBOX"], "labelFilterBehavior": "include"}
        expiration = self._answer("POST", "watch", json=wanted).get("expiration")
        if not isinstance(expiration, str) or not expiration.isdecimal():
            raise RelayError("unexpected_answer")
        return int(expiration)

    def _get(self, path: str, asked: Mapping[str, Any], missing: str | None = None) -> Mapping[str, Any]:
        return self._answer("GET", path, missing, params=asked)

    def _answer(self, method: str, path: str, missing: str | None = None, **arguments: Any) -> Mapping[str, Any]:
        """`missing`: the reason of a 404, where it is an answer and no fault."""
        url = f"{self.connection.api_base.rstrip('/')}/gmail/v1/users/me/{path}"
        document = answer(self.connection, READING, method, url, missing, **arguments)
        if not document:  # every answer of Gmail's that is asked for here is an object with something in it
            raise RelayError("unexpected_answer")
        return document
