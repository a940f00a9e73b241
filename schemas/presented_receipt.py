"""A receipt that somebody presents: its leaves, where each is said to stand, and the checkpoint it was given under.

Only this is read of it. Everything else that a receipt says is the business of whoever verifies it, and nothing that
is read here is believed: the ledger is asked.
"""

from dataclasses import dataclass
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate

from schemas.strict_json import SchemaRefused

ENTRIES_MAX = 100  # a receipt has one for each purpose and a few more; each costs us a read
POSITION_MAX = 2**63 - 1  # a database BIGINT


class PresentedReceiptRefused(SchemaRefused):
    """Not shaped as our receipts are."""


@dataclass(frozen=True, slots=True)
class PresentedEntry:
    """`leaf`: the bytes that are said to be entry number `position`."""

    leaf: bytes
    position: int


@dataclass(frozen=True, slots=True)
class PresentedReceipt:
    """`checkpoint`: a signed note, not opened."""

    entries: tuple[PresentedEntry, ...]
    checkpoint: str


class _Known(Schema):
    """Members that we do not know are no fault: the next version of a receipt may have more."""

    class Meta:
        unknown = EXCLUDE


class PresentedEntrySchema(_Known):
    leaf = fields.String(required=True)
    position = fields.Integer(required=True, strict=True, validate=validate.Range(0, POSITION_MAX))

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> PresentedEntry:
        return PresentedEntry(data["leaf"].encode(), data["position"])


class PresentedLedgerSchema(_Known):
    entries = fields.List(fields.Nested(PresentedEntrySchema), required=True, validate=validate.Length(1, ENTRIES_MAX))
    checkpoint = fields.String(required=True)

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> PresentedReceipt:
        return PresentedReceipt(tuple(data["entries"]), data["checkpoint"])


class PresentedReceiptSchema(_Known):
    ledger = fields.Nested(PresentedLedgerSchema, required=True)


_RECEIPT = PresentedReceiptSchema()


def read_presented_receipt(document: object) -> PresentedReceipt:
    """Of a document out of strict_json, so without lone surrogates. Raises PresentedReceiptRefused."""
    try:
        loaded = _RECEIPT.load(document)  # type: ignore[arg-type]  # what is no object is refused too
    except ValidationError:
        loaded = None
    if loaded is None:  # raised here and not above: a chained ValidationError carries the whole receipt
        raise PresentedReceiptRefused("receipt_malformed")
    receipt: PresentedReceipt = loaded["ledger"]
    return receipt
