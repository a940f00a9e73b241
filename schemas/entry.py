"""The ledger entry: event kinds, leaf fields and their closed vocabulary (docs/decisions/0001-record.md)."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from marshmallow import Schema, ValidationError, validate
from marshmallow import fields as ma

VERSION = 1
# Our own identifiers: form keys, purposes, notice keys, reasons. No spaces, no '@': no place for free text.
# The end is \Z: `$` would let a line end through, and \d is every script's digits.
IDENTIFIER = validate.Regexp(r"[a-z0-9][a-z0-9_.:-]{0,79}\Z")
HEX16 = validate.Regexp(r"[0-9a-f]{32}\Z")
HEX32 = validate.Regexp(r"[0-9a-f]{64}\Z")
TIME = validate.Regexp(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z\Z")
FIELDS = ("email", "first_name", "last_name", "company", "other")


class Kind(StrEnum):
    """What an entry says."""

    REQUESTED = "consent.requested"
    GIVEN = "consent.given"
    REFUSED = "consent.refused"
    WITHDRAWN = "consent.withdrawn"
    EXPIRED = "consent.expired"
    PURCHASE = "purchase.recorded"
    DROPPED = "minimisation.dropped"
    RELAY_COMPLETED = "relay.completed"
    RELAY_PARKED = "relay.parked"
    DELIVERY_REPLAYED = "delivery.replayed"
    RELAY_REPLAYED = "relay.replayed"
    REVEALED = "payload.revealed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry before it has a position. Times are unix milliseconds; `payload` is sealed, never in the leaf."""

    id: str
    kind: Kind
    recorded_at_ms: int
    subject: bytes | None = None
    purpose: str | None = None
    occurred_at_ms: int | None = None
    received_at_ms: int | None = None
    basis: str | None = None
    source: str | None = None
    method: str | None = None
    notice: str | None = None
    notice_sha256: str | None = None
    ref: str | None = None
    commitment: bytes | None = None
    processor: str | None = None
    action: str | None = None
    outcome: str | None = None
    reason: str | None = None
    rule: str | None = None
    field: str | None = None
    count: int | None = None


class LeafSchema(Schema):
    """The leaf document. Unknown keys are errors (marshmallow's default): a person's name fits nowhere."""

    v = ma.Integer(required=True, strict=True, validate=validate.Equal(VERSION))
    id = ma.String(required=True, validate=HEX16)
    kind = ma.String(required=True, validate=validate.OneOf([kind.value for kind in Kind]))
    recorded_at = ma.String(required=True, validate=TIME)
    subject = ma.String(validate=HEX16)
    purpose = ma.String(validate=IDENTIFIER)
    occurred_at = ma.String(validate=TIME)
    received_at = ma.String(validate=TIME)
    basis = ma.String(validate=validate.OneOf(["consent", "contract", "legal_obligation"]))
    source = ma.String(validate=IDENTIFIER)
    method = ma.String(
        validate=validate.OneOf(["form", "one_click", "web_form", "double_opt_in", "stripe", "operator"])
    )
    notice = ma.String(validate=IDENTIFIER)
    notice_sha256 = ma.String(validate=HEX32)
    ref = ma.String(validate=HEX16)
    commitment = ma.String(validate=HEX32)
    processor = ma.String(validate=IDENTIFIER)
    action = ma.String(validate=IDENTIFIER)
    outcome = ma.String(validate=IDENTIFIER)
    reason = ma.String(validate=IDENTIFIER)
    rule = ma.String(validate=IDENTIFIER)
    field = ma.String(validate=validate.OneOf(FIELDS))
    count = ma.Integer(strict=True, validate=validate.Range(min=1))


_LEAF = LeafSchema()


def format_time(at_ms: int) -> str:
    """Unix milliseconds -> RFC 3339 UTC, e.g. 2026-11-23T04:21:00.000Z."""
    moment = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}Z"


def parse_time(text: str) -> int:
    """The inverse of format_time; also any RFC 3339 time with an offset. ValueError otherwise."""
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without an offset")
    delta = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return delta // datetime.timedelta(milliseconds=1)


def _leaf_value(name: str, value: Any) -> tuple[str, Any]:
    if name.endswith("_ms"):
        return name.removesuffix("_ms"), format_time(value)
    if isinstance(value, bytes):
        return name, value.hex()
    return name, str(value) if isinstance(value, Kind) else value


def leaf_document(entry: Entry) -> Mapping[str, Any]:
    """The leaf of an entry, checked against the closed vocabulary; AssertionError if ours is wrong."""
    values = ((field.name, getattr(entry, field.name)) for field in fields(entry))
    document = {"v": VERSION} | dict(_leaf_value(name, value) for name, value in values if value is not None)
    errors = _LEAF.validate(document)
    assert not errors, f"a leaf outside the vocabulary: {sorted(errors)}"
    return document


def check_leaf(document: Mapping[str, Any]) -> None:
    """Raise ValidationError unless the document is a leaf."""
    errors = _LEAF.validate(dict(document))
    if errors:
        raise ValidationError(sorted(errors))
