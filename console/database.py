"""`flask database`: bring the schema up to date. The `release` process of the Procfile."""

import click

from console.operator import Operator, Speaker, command
from ledger.database import Database
from ledger.migrate import current_revision, newest_revision, upgrade


@click.group()
def database() -> None:
    """The database's schema."""


@database.command("upgrade")
@command
def upgrade_database(operator: Operator, speak: Speaker) -> None:
    """Create or migrate the database. Safe to run again, and by two releases at once."""
    target = Database(operator.settings.database_url)
    upgrade(target)
    speak.document({"revision": current_revision(target), "newest": newest_revision()})
