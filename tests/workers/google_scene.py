"""A mailbox, contacts and groups at a simulated Google, and the connections that reach them."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

from tests.simulators.process import SimulatorProcess
from workers.outgoing import OutgoingSession
from workers.relays.action import RelayAction
from workers.relays.google import GoogleConnection, MailboxConnection
from workers.relays.google.calls import CONTACTS, EVERYTHING, MEMBERS, MODIFYING, OTHER_CONTACTS, READING, SENDING

MAILBOX, ADMIN = "post@example.org", "admin@example.org"
KARI, OLA = "kari@example.no", "ola@example.no"
GROUPS = {"newsletter": "newsletter@example.org", "offers": "offers@example.org"}
ALL_SCOPES = [MEMBERS, READING, SENDING, MODIFYING, EVERYTHING, CONTACTS, OTHER_CONTACTS]
ACTION = RelayAction("5a3c", ("Kari@example.no",), ("newsletter",), 1_790_000_000_000, 1)


def mail(number: int, *headers: tuple[str, str], **more: Any) -> dict[str, Any]:
    return {"id": f"18f{number:013x}", "headers": list(headers), "text": "Hei", **more}


def from_(address: str, number: int, **more: Any) -> dict[str, Any]:
    return mail(number, ("From", address), ("To", MAILBOX), ("Message-ID", f"<{number}@x.example>"), **more)


def contact(number: int, *addresses: str, **more: Any) -> dict[str, Any]:
    named = {"emailAddresses": [{"value": each, "type": "work"} for each in addresses]}
    return {"resourceName": f"people/c{number}", **named, **more}


@dataclass(frozen=True)
class Scene:
    """A fresh Google. `connection` has no token yet."""

    google: SimulatorProcess
    connection: GoogleConnection
    earlier: int
    session: OutgoingSession = field(repr=False)

    @property
    def own(self) -> MailboxConnection:
        assert self.connection.mailbox is not None
        return self.connection.mailbox

    def has(self, mails: list[dict[str, Any]] | None = None, **parts: Any) -> None:
        """Put mails into the mailbox, contacts and members where they belong."""
        if mails is not None:
            parts["mailbox"] = {"address": MAILBOX, "mails": mails, "begins_at": 1000, "kept_from": 0}
        self.google.seed(parts)

    def alone(self, **changes: Any) -> GoogleConnection:
        """The mailbox and nothing else."""
        return replace(self.connection, groups={}, mailbox=replace(self.own, **changes))

    def labels(self) -> dict[str, list[str]]:
        """Of each mail that is there, by its id, the names of its labels."""
        mailbox = self.google.state()["mailbox"]
        names = {label["id"]: label["name"] for label in mailbox.get("labels", [])}
        every = {each["id"]: each.get("labels", ["INBOX", "UNREAD"]) for each in mailbox["mails"]}
        return {each: sorted(names.get(label, label) for label in labels) for each, labels in every.items()}

    def lines(self) -> list[dict[str, Any]]:
        return self.google.journal()[self.earlier :]

    def effects(self) -> list[str]:
        return [line["effect"] for line in self.lines() if line["effect"] not in (None, "token")]


def arrange(google: SimulatorProcess, deadline_s: float = 5.0) -> Scene:
    """Empty, with every scope granted."""
    empty = {"address": MAILBOX, "mails": [], "begins_at": 1000, "kept_from": 0}
    google.seed(
        {
            "groups": {group: [] for group in GROUPS.values()},
            "grants": ALL_SCOPES,
            "subjects": None,
            "mailbox": empty,
            "contacts": [],
            "other_contacts": [],
            "refresh_tokens": {},
        }
    )
    session = OutgoingSession(
        frozenset({"127.0.0.1"}), allow_loopback=True, deadline_s=deadline_s, response_size_max_bytes=4 * 1024 * 1024
    )
    info = json.loads(google.service_account_path.read_text())
    own = MailboxConnection(info, MAILBOX, google.url, google.url, session)
    connection = GoogleConnection(info, ADMIN, google.url, GROUPS, session, own)
    return Scene(google, connection, len(google.journal()), session)
