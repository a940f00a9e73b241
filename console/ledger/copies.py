"""`flask ledger export`: copies of the leaves, for whoever wants to verify them elsewhere."""

from pathlib import Path

import click

from console.operator import Operator, Speaker, command
from ledger.checkpoints import newest_checkpoint
from ledger.errors import NotFoundError
from ledger.log import read_entries


@click.command("export")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@command
def export(operator: Operator, speak: Speaker, folder: Path) -> None:
    """Write entries.ndjson (the exact leaves, one per line) and checkpoint (the signed note) into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with operator.context.database.read() as connection:
        newest = newest_checkpoint(connection)
        if newest is None:
            raise NotFoundError("nothing_signed_yet")
        tree_size, note = newest
        with (
            open(folder / "entries.ndjson", "wb") as file,
            click.progressbar(length=tree_size, label="Writing", hidden=speak.as_json) as bar,
        ):
            for stored in read_entries(connection, 0, tree_size):
                file.write(stored.leaf + b"\n")
                bar.update(1)
    (folder / "checkpoint").write_text(note, encoding="utf-8")
    speak.document({"folder": str(folder), "entries": tree_size})
