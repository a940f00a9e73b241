"""`flask receipts verify`: check a receipt, with this installation's public keys or with given ones."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from console.operator import Exit, Operator, Speaker, command, stop
from ledger.checkpoints import note_verifiers
from ledger.note import NoteError, NoteVerifier
from ledger.receipt_facts import ReceiptError
from ledger.receipt_verification import Proven, ProvenEntry, verify_receipt
from schemas.entry import Kind

SAYS: Mapping[str, str] = {
    Kind.REQUESTED: "a sign-up was received, and a mail asked for its confirmation",
    Kind.GIVEN: "the consent was given",
    Kind.REFUSED: "the consent was refused",
    Kind.WITHDRAWN: "the person withdrew the consent",
    Kind.REVOKED: "somebody else than the person ended the consent",
    Kind.EXPIRED: "the sign-up was never confirmed, and was destroyed",
    Kind.ERASED: "everything about the person was destroyed",
}


@click.group()
def receipts() -> None:
    """Receipts that people hold."""


@receipts.command("verify")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--receipt-key", "receipt_keys", multiple=True, help="Public key of receipts; default: ours.")
@click.option("--checkpoint-key", "checkpoint_keys", multiple=True, help="Public key of checkpoints; default: ours.")
@command
def verify(
    operator: Operator, speak: Speaker, file: Path, receipt_keys: tuple[str, ...], checkpoint_keys: tuple[str, ...]
) -> None:
    """Verify a receipt.json and say what it proves (exit 0), or name what is wrong with it (exit 1)."""
    try:
        proven = verify_receipt(
            file.read_bytes(),
            _verifiers(operator, "receipt", receipt_keys),
            _verifiers(operator, "checkpoint", checkpoint_keys),
        )
    except (ReceiptError, NoteError) as error:
        stop(Exit.NO, error.reason)
    speak.document(_statement(proven))


def _verifiers(operator: Operator, name: str, vkeys: tuple[str, ...]) -> tuple[NoteVerifier, ...]:
    """Ours are not even read when others are given: a stranger has none."""
    if vkeys:
        return tuple(map(NoteVerifier.from_vkey, vkeys))
    return note_verifiers(operator.context.keyring[name])


def _statement(proven: Proven) -> dict[str, Any]:
    return {
        "verified": True,
        "ledger": proven.checkpoint.origin,
        "proves": f"these are among the first {proven.checkpoint.size} entries of the ledger, unchanged",
        "subject": proven.entries[0].leaf["subject"],
        "receipt made": proven.created_at,
        "entries": [
            {
                "kind": entry.leaf["kind"],
                "purpose": entry.leaf.get("purpose"),
                "occurred_at": entry.leaf.get("occurred_at"),
                "position": entry.position,
                "says": SAYS[entry.leaf["kind"]],
            }
            for entry in proven.entries
        ],
        "opened": [_opened(entry) for entry in proven.entries if entry.payload is not None],
    }


def _opened(entry: ProvenEntry) -> dict[str, Any]:
    """The names of what was told with an entry: the values stay in the file of their owner."""
    told = json.loads(entry.payload or "{}")
    return {"position": entry.position, "holds": ", ".join(sorted(told)), "says": "is exactly what was told with it"}
