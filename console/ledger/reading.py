"""`flask ledger verify | checkpoint | proof`: whatever only reads."""

import base64
from pathlib import Path
from typing import Any

import click

from console.operator import Exit, Operator, Speaker, command, hex_id
from ledger import tlog
from ledger.audit import Report, audit
from ledger.checkpoints import newest_checkpoint, note_signer, read_state
from ledger.errors import NotFoundError, SignerError
from ledger.keyring import SIGNER_STATE
from ledger.log import StoredEntry, entry_at, entry_by_id, node_reader, size
from ledger.note import NoteVerifier, open_note, parse_checkpoint


@click.command("verify")
@click.option(
    "--checkpoint", "files", multiple=True, type=click.Path(exists=True, path_type=Path), help="A note kept elsewhere."
)
@command
def verify(operator: Operator, speak: Speaker, files: tuple[Path, ...]) -> None:
    """Read the whole ledger and name whatever does not fit (exit 1)."""
    context = operator.context
    with (
        context.database.read() as connection,
        click.progressbar(length=size(connection), label="Reading", hidden=speak.as_json) as bar,
    ):
        report = audit(
            connection,
            note_signer(context.keyring["checkpoint"]).vkey(),
            [file.read_text(encoding="utf-8") for file in files],
            _signer_state(operator),
            context.keyring["kek"],
            bar.update,
        )
    speak.document(_report(report))
    if report.problems:
        raise SystemExit(int(Exit.NO))


def _signer_state(operator: Operator) -> Any:
    try:
        return read_state(operator.settings.keys_dir / SIGNER_STATE)
    except SignerError:
        return None


def _report(report: Report) -> dict[str, Any]:
    problems = [{"reason": one.reason, "position": one.position, "entry": one.entry} for one in report.problems]
    return {
        "verified": not problems,
        "entries": report.size,
        "root": base64.b64encode(report.root).decode(),
        "checkpoints": report.checkpoints,
        "sealed_payloads": report.boxes,
        "problems": problems,
    }


@click.command("checkpoint")
@command
def checkpoint(operator: Operator, speak: Speaker) -> None:
    """Print the newest signed checkpoint (a C2SP note). Keep it somewhere else."""
    with operator.context.database.read() as connection:
        newest = newest_checkpoint(connection)
    if newest is None:
        raise NotFoundError("nothing_signed_yet")
    if speak.as_json:
        speak.document({"size": newest[0], "checkpoint": newest[1]})
    else:
        click.echo(newest[1], nl=False)


@click.command("proof")
@click.argument("entry")
@command
def proof(operator: Operator, speak: Speaker, entry: str) -> None:
    """Prove that an entry (its position or id) is in the tree of the newest checkpoint."""
    context = operator.context
    with context.database.read() as connection:
        stored = _find(connection, entry)
        newest = newest_checkpoint(connection, at_least=stored.position + 1)
        if newest is None:
            raise NotFoundError("not_signed_yet")
        tree_size, note = newest
        hashes = tlog.prove_inclusion(stored.position, tree_size, node_reader(connection))
    verifier = NoteVerifier.from_vkey(note_signer(context.keyring["checkpoint"]).vkey())
    signed = parse_checkpoint(open_note(note, [verifier]).text)
    # We check what we hand out: a proof that does not verify is our fault, not the reader's to find.
    tlog.check_inclusion(tlog.leaf_hash(stored.leaf), stored.position, tree_size, hashes, signed.root)
    speak.document(
        {
            "position": stored.position,
            "leaf": stored.leaf.decode(),
            "size": tree_size,
            "proof": [base64.b64encode(one).decode() for one in hashes],
            "checkpoint": note,
        }
    )


def _find(connection: Any, entry: str) -> StoredEntry:
    if entry.isdigit() and len(entry) < 20:
        return entry_at(connection, int(entry))
    return entry_by_id(connection, hex_id(entry))
