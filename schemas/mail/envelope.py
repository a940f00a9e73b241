"""The envelope: from a mail's header fields, who it is from for certain, or why it is left alone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.errors import MessageError
from email.header import decode_header, make_header

from schemas.address import Address, AddressRefused, parse_address
from schemas.mail.authentication_results import parse_authentication_results

SERVER = "mx.google.com"  # how Gmail signs what it found out
# What is asked for; nothing else of a header is ever read.
HEADERS = ("From", "Subject", "Message-ID", "Return-Path", "Authentication-Results") + (
    "Auto-Submitted",
    "Precedence",
    "List-Id",
    "List-Unsubscribe",
    "Content-Type",
)
_OURSELVES = frozenset({"SENT", "DRAFT"})
_UNWANTED = frozenset({"SPAM", "TRASH"})
_MACHINES = frozenset({"mailer-daemon", "postmaster"})
_IN_BULK = frozenset({"bulk", "list", "junk", "auto_reply"})
# One mailbox, with or without a name before it (RFC 5322, 3.4). A name in quotes may hold anything but a quote.
_NAME = r'(?:"(?:[^"\\]|\\.)*+"\s*+|[^"<>,;:@]*+)'
_ADDRESS = r'[^<>@\s,;:"()]++@[^<>@\s,;:"()]++'
_MAILBOX = re.compile(rf"{_NAME}<({_ADDRESS})>|({_ADDRESS})")
_WITHDRAW = re.compile(r"\s*withdraw ([A-Za-z0-9_-]{46})\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ours:
    """Addresses that write for us, narrow; and the domain of our Message-IDs."""

    addresses: frozenset[str]
    domain: str


@dataclass(frozen=True, slots=True, repr=False)
class Envelope:
    """Header fields in the order in which they stand, the newest at the top; labels and time as Gmail gives them."""

    fields: Sequence[tuple[str, str]]
    labels: frozenset[str]
    received_at_ms: int = 0

    def values(self, name: str) -> list[str]:
        return [value for field, value in self.fields if field.lower() == name.lower()]

    def value(self, name: str) -> str:
        """The only one of its name; empty if there is none, or more than one."""
        values = self.values(name)
        return values[0] if len(values) == 1 else ""

    @property
    def subject(self) -> str:
        """Decoded (RFC 2047); empty if that cannot be done."""
        try:
            return str(make_header(decode_header(self.value("Subject"))))
        except (ValueError, LookupError, MessageError):
            return ""


def read_token(envelope: Envelope) -> str | None:
    """The link token of a subject `withdraw <token>`: what a mail program sends for us (RFC 2369, 3.2).

    Whoever holds it was mailed it, so it needs no other proof; whether it is ours is not known yet.
    """
    found = None if envelope.labels & _OURSELVES else _WITHDRAW.fullmatch(envelope.subject)
    return found[1] if found else None


def why_left_alone(envelope: Envelope, ours: Ours) -> str | None:
    """A reason for not reading on: nobody wrote it, or we did. None for what a person may have written."""
    if envelope.labels & (_OURSELVES | _UNWANTED):
        return "not_received"
    if _is_automatic(envelope):
        return "automatic"
    if envelope.values("List-Id") or envelope.values("List-Unsubscribe") or _is_in_bulk(envelope):
        return "list"
    domain = envelope.value("Message-ID").strip().removesuffix(">").rpartition("@")[2].lower()
    if ours.domain and domain == ours.domain:
        return "our_own"
    sender = read_sender(envelope)
    if sender is None:
        return "sender_unclear"
    if sender.narrow in ours.addresses:
        return "our_own"
    return "automatic" if sender.narrow.partition("@")[0] in _MACHINES else None


def _is_automatic(envelope: Envelope) -> bool:
    """RFC 3834, 5 (`no` is what a person's mail may say); RFC 5321, 4.5.5: a bounce comes from nobody; RFC 6522."""
    submitted = {value.partition(";")[0].strip().lower() for value in envelope.values("Auto-Submitted")}
    kinds = {value.partition(";")[0].strip().lower() for value in envelope.values("Content-Type")}
    is_bounce = any(value.strip() in ("", "<>") for value in envelope.values("Return-Path"))
    return bool(submitted - {"no"}) or is_bounce or "multipart/report" in kinds


def _is_in_bulk(envelope: Envelope) -> bool:
    return bool({value.strip().lower() for value in envelope.values("Precedence")} & _IN_BULK)


def read_sender(envelope: Envelope) -> Address | None:
    """The address of the one From field, if it names exactly one."""
    found = _MAILBOX.fullmatch(envelope.value("From").strip())
    if found is None:
        return None
    try:
        return parse_address(found[1] or found[2])
    except AddressRefused:
        return None


def is_proven(envelope: Envelope, sender: Address) -> bool:
    """Whether Gmail says that this domain itself sent the mail: DMARC, RFC 7489, 3.1 and RFC 8601, 2.7.

    Only the topmost field counts: Gmail writes its own above whatever came with the mail, and one further down may be
    the sender's invention. It names the domain that it looked at, which must be the one that we read.
    """
    values = envelope.values("Authentication-Results")
    found = parse_authentication_results(values[0]) if values else None
    if found is None or found.server != SERVER:
        return False
    verdicts = [result for result in found.results if result.method == "dmarc"]
    if len(verdicts) != 1 or verdicts[0].result != "pass":
        return False
    return _as_domain(verdicts[0].properties.get("header.from", "")) == sender.narrow.rpartition("@")[2]


def _as_domain(text: str) -> str | None:
    """In the spelling of narrow addresses: lower case, internationalised labels as ASCII."""
    try:
        return parse_address(f"a@{text}").narrow.rpartition("@")[2]
    except AddressRefused:
        return None
