"""Verifying a receipt: two public keys and nothing else, for ever, also when the person has been erased here."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger import tlog
from ledger.canonical import canonical_json
from ledger.errors import LedgerError
from ledger.note import Checkpoint, NoteVerifier, open_note, parse_checkpoint
from ledger.receipt_facts import ReceiptError, check_agreement
from ledger.sealing import commitment
from schemas.entry import LEAF_GRAMMAR
from schemas.strict_json import SchemaRefused, parse_json

SIGNED_TEXT = "samtykke-receipt/v2"
# Fifty purposes, each asked and given, in a ledger of a thousand million entries, are half of it.
RECEIPT_SIZE_MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class ProvenEntry:
    """One entry of a verified receipt. `payload`: what was sealed with it, exactly as it was committed to."""

    leaf: Mapping[str, Any]
    position: int
    payload: str | None

    def __repr__(self) -> str:
        return f"ProvenEntry({self.position}, redacted)"


@dataclass(frozen=True, slots=True)
class Proven:
    """What a receipt proves: these entries are in the ledger that `checkpoint` names."""

    checkpoint: Checkpoint
    created_at: str
    entries: tuple[ProvenEntry, ...]


def verify_receipt(receipt: bytes, receipt_keys: Sequence[NoteVerifier], ledger_keys: Sequence[NoteVerifier]) -> Proven:
    """What a receipt proves. Raises ReceiptError with a stable reason; needs nothing but the public keys.

    (1) it is strict JSON; (2) a receipt key signed it; (3) a checkpoint key signed its checkpoint; (4) every leaf is in
    the vocabulary and in the tree of that checkpoint; (5) each disclosure opens its entry's commitment; (6) the
    readable part says what the leaves say. Of several keys, as in a rotation, one signature is enough.
    """
    try:
        document = open_signed(receipt, receipt_keys)
        # (3) https://c2sp.org/tlog-checkpoint#signatures: a log signs with the name that is its origin.
        note = open_note(document["ledger"]["checkpoint"], ledger_keys)
        checkpoint = parse_checkpoint(note.text)
        if {key.name for key in note.signed_by} != {checkpoint.origin}:
            raise ReceiptError("checkpoint_origin_differs")
        return check_contents(document, checkpoint)
    except ReceiptError:
        raise
    except (LedgerError, SchemaRefused) as error:
        raise ReceiptError(error.reason) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ReceiptError("receipt_malformed") from None


def open_signed(receipt: bytes, keys: Sequence[NoteVerifier]) -> dict[str, Any]:
    """The document without its signature."""
    # (1)
    if len(receipt) > RECEIPT_SIZE_MAX_BYTES:
        raise ReceiptError("receipt_too_large")
    document = parse_json(receipt)
    if not isinstance(document, dict):
        raise ReceiptError("receipt_malformed")
    # (2)
    text = open_note(document.pop("signature"), keys).text
    if text.partition("\n")[0] != SIGNED_TEXT:
        raise ReceiptError("receipt_version_unknown")
    if text != signed_text(document):
        raise ReceiptError("receipt_changed")
    return document


def check_contents(document: Mapping[str, Any], checkpoint: Checkpoint) -> Proven:
    entries = tuple(_check_entry(entry, checkpoint) for entry in document["ledger"]["entries"])
    positions = [entry.position for entry in entries]
    if not positions or positions != sorted(set(positions)):
        raise ReceiptError("entries_out_of_order")
    # (6)
    check_agreement(document, [entry.leaf for entry in entries], checkpoint.origin)
    return Proven(checkpoint, document["dct:created"], entries)


def _check_entry(entry: Mapping[str, Any], checkpoint: Checkpoint) -> ProvenEntry:
    # (4)
    leaf, position = entry["leaf"].encode(), entry["position"]
    if not LEAF_GRAMMAR.fullmatch(leaf):
        raise ReceiptError("leaf_not_in_vocabulary")
    if type(position) is not int:
        raise ReceiptError("receipt_malformed")
    proof = [b64decode(node, validate=True) for node in entry["proof"]]
    tlog.check_inclusion(tlog.leaf_hash(leaf), position, checkpoint.size, proof, checkpoint.root)
    document = json.loads(leaf)
    # (5)
    payload = _open_disclosure(entry["disclosure"], document) if "disclosure" in entry else None
    return ProvenEntry(document, position, payload)


def _open_disclosure(disclosure: Mapping[str, str], leaf: Mapping[str, Any]) -> str:
    salt = b64decode(disclosure["salt"], validate=True)
    if "payload" in disclosure:
        payload = disclosure["payload"].encode()
    else:
        payload = b64decode(disclosure["payload_base64"], validate=True)
    if commitment(salt, payload).hex() != leaf.get("commitment"):
        raise ReceiptError("commitment_differs")
    return payload.decode()


def signed_text(document: Mapping[str, Any]) -> str:
    """What the signature is over: the hash of all other members, whatever the white space between them."""
    return f"{SIGNED_TEXT}\n{base64_of(tlog.leaf_hash(canonical_json(document)))}\n"


def base64_of(data: bytes) -> str:
    return b64encode(data).decode()
