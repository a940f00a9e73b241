"""`flask ledger export | mirror`: copies of the leaves, to be verified by somebody else or to be had after a loss."""

from pathlib import Path

import click

from console.operator import Exit, Operator, Speaker, command, stop
from ledger.checkpoints import newest_checkpoint, note_verifiers
from ledger.errors import NotFoundError, RefusedError
from ledger.mirror import MirrorError, check_mirror, extend_mirror
from ledger.note import NoteError

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("export")
@click.argument("folder", type=FOLDER)
@command
def export(operator: Operator, speak: Speaker, folder: Path) -> None:
    """Write entries.ndjson (the exact leaves, one per line) and checkpoint (the signed note) into a folder.

    An earlier export of this ledger is continued. One of another ledger, or of a later day, is not touched.
    """
    _make(folder)
    _extend(operator, speak, folder)


@click.command("mirror")
@click.argument("folder", type=FOLDER, required=False)
@click.option("--check", is_flag=True, help="Write nothing; read the whole mirror and verify it (exit 1).")
@command
def mirror(operator: Operator, speak: Speaker, folder: Path | None, check: bool) -> None:
    """Bring the mirror up to date now, as the clock does by itself. FOLDER is MIRROR_DIR if it is left out."""
    if folder is not None and not check:
        _make(folder)
    folder = folder or operator.settings.mirror_dir
    if folder is None:
        raise RefusedError("mirror_dir_not_set")
    if check:
        _check(operator, speak, folder)
    else:
        _extend(operator, speak, folder)


def _make(folder: Path) -> None:
    """Named by hand, it is the one that is meant; MIRROR_DIR may be a disk that is not mounted."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _extend(operator: Operator, speak: Speaker, folder: Path) -> None:
    with operator.context.database.read() as connection:
        added = extend_mirror(connection, folder)
        newest = newest_checkpoint(connection)
    if newest is None:
        raise NotFoundError("nothing_signed_yet")
    speak.document({"folder": str(folder), "entries": newest[0], "added": added})


def _check(operator: Operator, speak: Speaker, folder: Path) -> None:
    try:
        with operator.context.database.read() as connection:
            checkpoint = check_mirror(connection, folder, note_verifiers(operator.context.keyring["checkpoint"]))
    except (MirrorError, NoteError) as error:  # the answer to what was asked, and not a deed that was refused
        stop(Exit.NO, error.reason)
    speak.document({"folder": str(folder), "entries": checkpoint.size, "verified": True})
