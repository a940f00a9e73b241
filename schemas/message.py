"""The message: what a delivery means once it is verified, understood and minimised. This is what the inbox seals."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from schemas.entry import FIELDS, HEX16, IDENTIFIER, RIGHTS

PROFILE_VALUE_SIZE_MAX = 200  # characters; the longest name or company that we keep
DETAIL_SIZE_MAX = 254  # characters; an address is the longest of them (RFC 5321, 4.5.3.1.3)
LANGUAGES = ("nb", "en")
UNREAD_MAX = 50
# A sender's name of a field is text from outside: only what looks like a name is ever kept.
FIELD_NAME = validate.Regexp(r"[A-Za-z0-9_.-]{1,40}\Z")

PAYMENT = validate.Regexp(r"[A-Za-z0-9_]{3,255}\Z")


class MessageType(StrEnum):
    """What was said."""

    SIGN_UP = "sign_up"
    WITHDRAWAL = "withdrawal"
    LINK_WITHDRAWAL = "link_withdrawal"
    LINK_SIGN_UP = "link_sign_up"
    CONFIRMATION = "confirmation"
    PURCHASE = "purchase"
    ACCESS = "access"
    ACCESS_ENDED = "access_ended"
    REQUEST = "request"
    REPORTED = "reported"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Decision:
    """One purpose and what the person said to it: `given` or `refused`."""

    purpose: str
    state: str
    notice: str | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A value removed at the door: the rule that it broke, and where it stood (in a message: our name, or `other`)."""

    field: str
    rule: str


@dataclass(frozen=True, slots=True)
class Message:
    """`profile`: first_name, last_name, company. `sent_at_ms`: only where the sender's time can be trusted.

    `right`: what a request asks for. `reported`: what a processor says has happened at its end. `unread`: names of
    fields that the form sends and nobody reads. `products`: keys of what a payment gives access to; `payments`: the
    names of that payment at the processor. `details`: what a person adds when confirming a request: what is right, or
    why to restrict. `facts`: what they tell about themselves, as keys of policy.toml's [profile].
    """

    type: MessageType
    source: str
    email: str | None = None
    profile: Mapping[str, str] | None = None
    decisions: tuple[Decision, ...] = ()
    purposes: tuple[str, ...] = ()
    link_id: str | None = None
    method: str = "form"
    sent_at_ms: int | None = None
    language: str = "nb"
    dropped: tuple[Dropped, ...] = ()
    right: str | None = None
    reported: str | None = None
    unread: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    payments: tuple[str, ...] = ()
    details: Mapping[str, str] | None = None
    facts: Mapping[str, tuple[str, ...]] | None = None

    def __repr__(self) -> str:
        return f"Message({self.type.value}, redacted)"


class DecisionSchema(Schema):
    purpose = fields.String(required=True, validate=IDENTIFIER)
    state = fields.String(required=True, validate=validate.OneOf(["given", "refused"]))
    notice = fields.String(load_default=None, allow_none=True, validate=IDENTIFIER)

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> Decision:
        return Decision(**data)


class DroppedSchema(Schema):
    field = fields.String(required=True, validate=validate.OneOf(FIELDS))
    rule = fields.String(required=True, validate=IDENTIFIER)

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> Dropped:
        return Dropped(**data)


class MessageSchema(Schema):
    """Strict on both sides: what we write we can read, and nothing else fits."""

    type = fields.Enum(MessageType, by_value=True, required=True)
    source = fields.String(required=True, validate=IDENTIFIER)
    email = fields.String(allow_none=True)
    profile = fields.Dict(
        keys=fields.String(validate=validate.OneOf(["first_name", "last_name", "company"])),
        values=fields.String(validate=validate.Length(max=PROFILE_VALUE_SIZE_MAX)),
        allow_none=True,
    )
    decisions = fields.List(fields.Nested(DecisionSchema))
    purposes = fields.List(fields.String(validate=IDENTIFIER))
    link_id = fields.String(allow_none=True, validate=HEX16)
    method = fields.String(validate=IDENTIFIER)
    sent_at_ms = fields.Integer(allow_none=True, strict=True)
    language = fields.String(validate=validate.OneOf(LANGUAGES))
    dropped = fields.List(fields.Nested(DroppedSchema))
    right = fields.String(allow_none=True, validate=validate.OneOf(RIGHTS))
    reported = fields.String(allow_none=True, validate=IDENTIFIER)
    unread = fields.List(fields.String(validate=FIELD_NAME), validate=validate.Length(max=UNREAD_MAX))
    products = fields.List(fields.String(validate=IDENTIFIER))
    payments = fields.List(fields.String(validate=PAYMENT))
    details = fields.Dict(
        keys=fields.String(validate=validate.OneOf(["email", "first_name", "last_name", "company", "reason"])),
        values=fields.String(validate=validate.Length(max=DETAIL_SIZE_MAX)),
        allow_none=True,
    )
    facts = fields.Dict(
        keys=fields.String(validate=IDENTIFIER),
        values=fields.List(fields.String(validate=IDENTIFIER), validate=validate.Length(min=1)),
        allow_none=True,
    )

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> Message:
        for name in ("decisions", "purposes", "dropped", "unread", "products", "payments"):
            data[name] = tuple(data.get(name, ()))
        if data.get("facts"):
            data["facts"] = {fact: tuple(values) for fact, values in data["facts"].items()}
        return Message(**data)


_MESSAGE = MessageSchema()
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _document(message: Message) -> dict[str, Any]:
    """As asdict(), which copies every value deeply and takes ten times as long; without what is empty."""
    document = _members(message)
    for name in ("decisions", "dropped"):
        if name in document:
            document[name] = [_members(part) for part in document[name]]
    return document


def _members(value: Message | Decision | Dropped) -> dict[str, Any]:
    return {name: member for name in value.__slots__ if (member := getattr(value, name)) not in (None, ())}


def format_message(message: Message) -> bytes:
    return _ENCODER.encode(_document(message)).encode()


def format_both(message: Message) -> tuple[bytes, bytes]:
    """(comparable, format_message) for the door, which needs both of every message."""
    document = _document(message)
    whole = _ENCODER.encode(document).encode()
    return _comparable(document), whole


def parse_message(data: bytes) -> Message:
    """The inverse of format_message; ValidationError when it is none of ours."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise ValidationError("not a message") from None
    loaded: Message = _MESSAGE.load(document)
    return loaded


def comparable(message: Message) -> bytes:
    """The bytes that say whether two deliveries are the same: everything but when this attempt was sent, and what
    nobody reads.
    """
    return _comparable(_document(message))


def _comparable(document: dict[str, Any]) -> bytes:
    for name in ("sent_at_ms", "unread"):
        document.pop(name, None)
    return _ENCODER.encode(document).encode()
