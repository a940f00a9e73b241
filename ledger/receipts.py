"""Receipts: what a person holds in the hand. Leaf, inclusion proof and signed checkpoint, signed; verifies offline."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from ledger import tlog
from ledger.canonical import canonical_json
from ledger.checkpoints import newest_checkpoint, note_signer
from ledger.errors import LedgerError
from ledger.keyring import Key
from ledger.log import StoredEntry, entry_by_id, node_reader
from ledger.note import NoteVerifier, open_note, parse_checkpoint, sign_note
from ledger.tables import ledger_entry
from schemas.entry import format_time
from schemas.policy import Policy

SIGNED_TEXT = "samtykke-receipt/v1"


class ReceiptError(LedgerError):
    """The receipt does not verify."""


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _entries_of(connection: Connection, cause: bytes, subject: bytes) -> list[StoredEntry]:
    """Every entry that the delivery behind `cause` wrote about this person."""
    delivery = select(ledger_entry.c.inbox_id).where(ledger_entry.c.id == cause).scalar_subquery()
    condition = (ledger_entry.c.inbox_id == delivery) & (ledger_entry.c.subject == subject)
    rows = connection.execute(select(ledger_entry.c.id).where(condition).order_by(ledger_entry.c.position))
    return [entry_by_id(connection, entry_id) for entry_id in rows.scalars()]


def build_receipt(
    connection: Connection, policy: Policy, key: Key, cause: bytes, subject: bytes, now_ms: int
) -> bytes | None:
    """The signed receipt of one delivery, or None as long as no checkpoint covers its entries."""
    entries = _entries_of(connection, cause, subject)
    signed = newest_checkpoint(connection, at_least=max(entry.position for entry in entries) + 1)
    if signed is None:
        return None
    tree_size, note = signed
    read = node_reader(connection)
    proven = [
        {
            "leaf": entry.leaf.decode(),
            "position": entry.position,
            "proof": [_base64(node) for node in tlog.prove_inclusion(entry.position, tree_size, read)],
        }
        for entry in entries
    ]
    document = {
        "authority": {"name": policy.authority.name, "url": policy.authority.url},
        "checkpoint": note,
        "contact": policy.controller.contact_url,
        "controller": policy.controller.name,
        "created_at": format_time(now_ms),
        "entries": proven,
        "policy": policy.version,
        "type": SIGNED_TEXT,
    }
    return _sign(document, key)


def _signed_text(document: Mapping[str, Any]) -> str:
    digest = tlog.leaf_hash(canonical_json(document))
    return f"{SIGNED_TEXT}\n{_base64(digest)}\n"


def _sign(document: Mapping[str, Any], key: Key) -> bytes:
    signature = sign_note(_signed_text(document), [note_signer(key)])
    return json.dumps({**document, "signature": signature}, indent=1, ensure_ascii=False).encode()


def verify_receipt(receipt: bytes, receipt_vkey: str, ledger_vkey: str) -> Sequence[Mapping[str, Any]]:
    """The leaves that a receipt proves. Raises ReceiptError; needs nothing but the two public keys.

    (1) the receipt's own signature; (2) the checkpoint's signature; (3) every leaf is in the tree of that checkpoint.
    """
    try:
        document = json.loads(receipt)
        signature = document.pop("signature")
        # (1)
        if open_note(signature, [NoteVerifier.from_vkey(receipt_vkey)]).text != _signed_text(document):
            raise ReceiptError("receipt_changed")
        # (2)
        checkpoint = parse_checkpoint(open_note(document["checkpoint"], [NoteVerifier.from_vkey(ledger_vkey)]).text)
        # (3)
        for entry in document["entries"]:
            proof = [base64.b64decode(node, validate=True) for node in entry["proof"]]
            leaf = tlog.leaf_hash(entry["leaf"].encode())
            tlog.check_inclusion(leaf, entry["position"], checkpoint.size, proof, checkpoint.root)
        return [json.loads(entry["leaf"]) for entry in document["entries"]]
    except ReceiptError:
        raise
    except LedgerError as error:
        raise ReceiptError(error.reason) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ReceiptError("receipt_malformed") from None
