"""`flask receipts verify`: check a receipt, with this installation's public keys or with given ones."""

from pathlib import Path

import click

from console.operator import Exit, Operator, Speaker, command, stop
from ledger.checkpoints import note_signer
from ledger.receipts import ReceiptError, verify_receipt


@click.group()
def receipts() -> None:
    """Receipts that people hold."""


@receipts.command("verify")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--receipt-key", help="Public key of receipts; default: ours.")
@click.option("--checkpoint-key", help="Public key of checkpoints; default: ours.")
@command
def verify(operator: Operator, speak: Speaker, file: Path, receipt_key: str | None, checkpoint_key: str | None) -> None:
    """Verify a receipt.json (exit 0) or name what is wrong with it (exit 1)."""
    keyring = operator.context.keyring if not (receipt_key and checkpoint_key) else None
    if keyring is not None:
        receipt_key = receipt_key or note_signer(keyring["receipt"]).vkey()
        checkpoint_key = checkpoint_key or note_signer(keyring["checkpoint"]).vkey()
    try:
        leaves = verify_receipt(file.read_bytes(), receipt_key or "", checkpoint_key or "")
    except ReceiptError as error:
        stop(Exit.NO, error.reason)
    proven = [
        {"kind": leaf["kind"], "purpose": leaf.get("purpose"), "recorded_at": leaf["recorded_at"]} for leaf in leaves
    ]
    speak.document({"verified": True, "entries": proven})
