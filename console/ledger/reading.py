"""`flask ledger verify | audit | checkpoint | proof`: whatever reads the ledger, and what is not right with it."""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection, func, select

from console.ledger.restoring import checkpoint_option
from console.operator import Exit, Operator, Speaker, command, hex_id
from ledger import tlog
from ledger.audit import audit
from ledger.audit_boxes import announce_restricted
from ledger.audit_report import Report
from ledger.checkpoints import SignerState, newest_checkpoint, note_verifiers, read_state
from ledger.errors import NotFoundError, SignerError
from ledger.keyring import SIGNER_STATE
from ledger.log import StoredEntry, entry_at, entry_by_id, node_reader
from ledger.note import open_note, parse_checkpoint
from ledger.tables import ledger_entry
from workers.context import now_ms


@click.command("verify")
@checkpoint_option
@command
def verify(operator: Operator, speak: Speaker, files: Sequence[Path]) -> None:
    """Read the whole ledger and every row that follows from it; name whatever does not fit (exit 1).

    Opens nothing that is sealed, and writes nothing; `audit` does both.
    """
    _answer(speak, _report(operator, speak, files))


@click.command("audit")
@checkpoint_option
@click.option("--no-restricted", is_flag=True, help="Leave closed what is sealed about restricted people.")
@command
def audit_ledger(operator: Operator, speak: Speaker, files: Sequence[Path], no_restricted: bool) -> None:
    """All that `verify` does, and open every sealed payload: is it what its entry committed to? (exit 1)

    Before anything of a restricted person is opened, an entry says of how many payloads. Nothing else is written.
    """
    announced: frozenset[int] = frozenset()
    if not no_restricted:
        with operator.context.database.write() as connection:
            announced = announce_restricted(connection, now_ms())
    report = _report(operator, speak, files, announced)
    _answer(speak, report, {"opened": report.opened, "left_closed": report.closed})


def _report(
    operator: Operator, speak: Speaker, files: Sequence[Path], announced: frozenset[int] | None = None
) -> Report:
    """Without boxes if nothing is announced, not even that there is nothing."""
    keyring = operator.context.keyring
    with _snapshot(operator) as (connection, state):
        newest = connection.execute(select(func.max(ledger_entry.c.position))).scalar()
        length = newest + 1 if isinstance(newest, int) else 0
        with click.progressbar(length=length, label="Reading", hidden=speak.as_json) as bar:
            return audit(
                connection,
                note_verifiers(keyring["checkpoint"]),
                [file.read_bytes() for file in files],
                state,
                None if announced is None else keyring["kek"],
                announced or (),
                bar.update,
            )


@contextmanager
def _snapshot(operator: Operator) -> Iterator[tuple[Connection, SignerState | None]]:
    """The ledger, and what the signer remembered at that moment: had it signed between the two, neither would fit."""
    while True:
        state = _signer_state(operator)
        with operator.context.database.read() as connection:
            connection.execute(select(func.count()).where(ledger_entry.c.position == 0))  # here the snapshot begins
            if _signer_state(operator) == state:
                yield connection, state
                return


def _signer_state(operator: Operator) -> SignerState | None:
    """None where the file is not ours to read, or not on this host."""
    try:
        return read_state(operator.settings.keys_dir / SIGNER_STATE)
    except PermissionError:
        return None
    except SignerError as error:
        if error.reason != "signer_state_missing":
            raise
        return None


def _answer(speak: Speaker, report: Report, also: dict[str, Any] | None = None) -> None:
    speak.document(
        {
            "verified": not report.counts,
            "entries": report.size,
            "root": base64.b64encode(report.root).decode(),
            "checkpoints": report.checkpoints,
            "people": report.people,
            "consent_states": report.states,
            "sealed_payloads": report.boxes,
            **(also or {}),
            "counts": [{"reason": reason, "count": count} for reason, count in report.counts.items()],
            "problems": [
                {"reason": one.reason, "position": one.position, "entry": one.entry} for one in report.problems
            ],
        }
    )
    if report.counts:
        raise SystemExit(int(Exit.NO))


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
    signed = parse_checkpoint(open_note(note, note_verifiers(context.keyring["checkpoint"])).text)
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


def _find(connection: Connection, entry: str) -> StoredEntry:
    if entry.isdigit() and len(entry) < 20:
        return entry_at(connection, int(entry))
    return entry_by_id(connection, hex_id(entry))
