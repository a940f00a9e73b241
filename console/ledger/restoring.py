"""`flask ledger restore | resume | drill`: out of quarantine, and the same on a copy before it is needed."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from sqlalchemy import make_url

from console.operator import Exit, Operator, Speaker, command
from ledger import quarantine
from ledger.audit import audit
from ledger.checkpoints import SignerState, note_verifiers, read_state
from ledger.database import Database
from ledger.errors import RefusedError, SignerError
from ledger.keyring import SIGNER_STATE
from ledger.log import size
from ledger.migrate import upgrade
from ledger.note import Checkpoint, open_note, parse_checkpoint
from ledger.recorder import Recorder
from ledger.restoration import Restored, check_continuation, restore
from workers.context import now_ms

mirror_option = click.option(
    "--mirror", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Default: MIRROR_DIR."
)
checkpoint_option = click.option(
    "--checkpoint", "files", multiple=True, type=click.Path(exists=True, path_type=Path), help="A note kept elsewhere."
)


@click.command("restore")
@mirror_option
@checkpoint_option
@click.option("--dry-run", is_flag=True, help="Check the mirror, say how much is missing, and change nothing.")
@command
def restore_ledger(
    operator: Operator, speak: Speaker, mirror: Path | None, files: tuple[Path, ...], dry_run: bool
) -> None:
    """Bring back what a restored backup lacks: leaves, erasures, withdrawals, restrictions. Lifts the quarantine."""
    database = operator.context.database
    folder, known = _folder(operator, mirror), _known(operator, files)
    with database.read() as connection:
        found = _check(operator, connection, folder, known)
        missing = found.size - size(connection)
    if dry_run:
        speak.document({"result": "would_restore", "missing": missing, "mirror": found.size})
        return
    with click.progressbar(length=missing, label="Restoring", hidden=speak.as_json) as bar:
        restored = restore(database, _recorder(operator), folder, found, bar.update)
    speak.document(_told(restored))


@click.command("drill")
@click.argument("backup")
@mirror_option
@checkpoint_option
@command
def drill(operator: Operator, speak: Speaker, backup: str, mirror: Path | None, files: tuple[Path, ...]) -> None:
    """Restore a BACKUP on the side: a copy of a SQLite file, or the address of a scratch PostgreSQL database.

    Nothing is carried to anybody, and the ledger in use is not touched. Exit 1 if it would not have worked.
    """
    folder, known = _folder(operator, mirror), _known(operator, files)
    with _on_the_side(operator, backup) as database:
        upgrade(database)
        with database.write() as connection:
            before = size(connection)
            noticed = quarantine.assess(connection, _state(operator) or SignerState(0, b""), now_ms())
            found = _check(operator, connection, folder, known)
        restored = restore(database, _recorder(operator), folder, found)
        with database.read() as connection:
            verifiers = note_verifiers(operator.context.keyring["checkpoint"])
            report = audit(connection, verifiers, [], _state(operator), operator.context.keyring["kek"])
    speak.document(
        {"backup_entries": before, "quarantined": noticed, **_told(restored), "problems": sum(report.counts.values())}
    )
    if report.problems:
        raise SystemExit(int(Exit.NO))


@click.command("resume")
@command
def resume(operator: Operator, speak: Speaker) -> None:
    """Lift the quarantine after a false alarm: only if the ledger does continue what the signer remembers."""
    state = _state(operator)
    if state is None:
        raise RefusedError("signer_state_missing")
    with operator.context.database.write() as connection:
        reason = quarantine.reason_of(connection)
        quarantine.lift(connection)
        if again := quarantine.assess(connection, state, now_ms()):
            raise RefusedError(again)
    speak.document({"result": "resumed", "was": reason})


@contextmanager
def _on_the_side(operator: Operator, backup: str) -> Iterator[Database]:
    """A database that may be changed: a temporary copy of a file, or what the operator says is scratch."""
    with tempfile.TemporaryDirectory(prefix="samtykke-drill-") as folder:
        url = backup
        if Path(backup).is_file():
            copy = shutil.copy(backup, Path(folder) / "drill.db")
            url = f"sqlite:///{copy}"
        elif "://" not in backup:
            raise RefusedError("backup_not_found")
        elif make_url(url) == operator.context.database.url:
            raise RefusedError("backup_is_the_ledger_in_use")
        database = Database(url, checkpoints=True)
        try:
            yield database
        finally:
            database.close()


def _check(operator: Operator, connection: Any, folder: Path, known: list[Checkpoint | SignerState]) -> Checkpoint:
    verifiers = note_verifiers(operator.context.keyring["checkpoint"])
    return check_continuation(connection, folder, verifiers, known)


def _folder(operator: Operator, mirror: Path | None) -> Path:
    folder = mirror or operator.settings.mirror_dir
    if folder is None:
        raise RefusedError("mirror_dir_not_set")
    return folder


def _known(operator: Operator, files: tuple[Path, ...]) -> list[Checkpoint | SignerState]:
    """Whatever says how long the ledger must be: without any of it, a mirror that lags could pass for all."""
    verifiers = note_verifiers(operator.context.keyring["checkpoint"])
    known: list[Checkpoint | SignerState] = [
        parse_checkpoint(open_note(file.read_bytes(), verifiers).text) for file in files
    ]
    state = _state(operator)
    if state is not None:
        known.append(state)
    if not known:
        raise RefusedError("nothing_says_how_long_the_ledger_was")
    return known


def _state(operator: Operator) -> SignerState | None:
    try:
        return read_state(operator.settings.keys_dir / SIGNER_STATE)
    except SignerError as error:
        if error.reason != "signer_state_missing":
            raise
        return None


def _recorder(operator: Operator) -> Recorder:
    context, now = operator.context, now_ms()
    return Recorder(context.keyring, context.policy, now, now)


def _told(restored: Restored) -> dict[str, Any]:
    return {"result": "restored", "entries_restored": restored.leaves, **restored.done}
