"""`flask database`: bring the schema up to date, as the `release` process of the Procfile does; copy it."""

from pathlib import Path

import click

from console.operator import Operator, Speaker, command
from ledger import quarantine
from ledger.checkpoints import read_state
from ledger.database import Database
from ledger.errors import RefusedError, SignerError
from ledger.keyring import SIGNER_STATE
from ledger.migrate import current_revision, newest_revision, upgrade
from workers.context import now_ms


@click.group()
def database() -> None:
    """The database's schema."""


@database.command("upgrade")
@command
def upgrade_database(operator: Operator, speak: Speaker) -> None:
    """Create or migrate the database. Safe to run again, and by two releases at once."""
    target = Database(operator.settings.database_url)
    upgrade(target)
    reason = _assess(operator, target)
    speak.document({"revision": current_revision(target), "newest": newest_revision(), "quarantined": reason})


def _assess(operator: Operator, target: Database) -> str | None:
    """A backup that was put back is noticed here, before anything is recorded or carried with it."""
    try:
        state = read_state(operator.settings.keys_dir / SIGNER_STATE)
        with target.write() as connection:
            return quarantine.assess(connection, state, now_ms())
    except SignerError as error:  # the signer's memory may be on another host: the clock looks there
        with target.read() as connection:
            return quarantine.reason_of(connection) or (
                None if error.reason == "signer_state_missing" else error.reason
            )


@database.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@command
def backup(operator: Operator, speak: Speaker, file: Path) -> None:
    """Copy the SQLite database into a new file, while the service runs. With PostgreSQL use pg_dump."""
    source = operator.context.database
    if not source.is_sqlite:
        raise RefusedError("use_pg_dump")
    if file.exists():
        raise RefusedError("file_exists")
    source.copy_to(file)
    speak.document({"file": str(file), "size_bytes": file.stat().st_size})
