"""Migrations: once, whoever starts them and how often, and to exactly the tables that the program knows."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, select, text

from ledger.database import Database
from ledger.migrate import current_revision, newest_revision, upgrade
from ledger.tables import ledger_head, metadata
from tests.ledger.desk import append_purchases, at_once


@pytest.fixture
def url(tmp_path: Path, database_url: str | None) -> str:
    return database_url or f"sqlite:///{tmp_path / 'samtykke.db'}"


@pytest.fixture
def empty(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


def schema(database: Database) -> dict[str, list[str]]:
    """Every table, index and trigger as the database itself describes them."""
    sqlite = "SELECT type || ' ' || name FROM sqlite_master ORDER BY 1"
    postgresql = "SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
    with database.read() as connection:
        described = list(connection.execute(text(sqlite if database.is_sqlite else postgresql)).scalars())
        tables = inspect(connection)
        columns = {
            name: [f"{column['name']} {column['type']} {column['nullable']}" for column in tables.get_columns(name)]
            for name in tables.get_table_names()
        }
    return {"": described, **columns}


def test_upgrading_twice_changes_nothing(empty: Database) -> None:
    assert current_revision(empty) is None
    upgrade(empty)
    assert current_revision(empty) == newest_revision()
    append_purchases(empty, 2)
    before = schema(empty)
    upgrade(empty)
    assert schema(empty) == before
    with empty.read() as connection:
        assert [row.size for row in connection.execute(select(ledger_head))] == [2]


def test_two_releases_at_once_are_one(url: str) -> None:
    databases = [Database(url) for _ in range(4)]
    at_once([partial(upgrade, database) for database in databases])
    assert {current_revision(database) for database in databases} == {newest_revision()}
    with databases[0].read() as connection:
        assert [row.size for row in connection.execute(select(ledger_head))] == [0]
    for database in databases:
        database.close()


def test_the_migrations_make_exactly_the_tables_that_the_program_knows(empty: Database) -> None:
    upgrade(empty)
    with empty.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata) == []


def test_no_migration_reads_the_tables_of_today() -> None:
    folder = Path(__file__).resolve().parents[2] / "ledger" / "migrations" / "versions"
    revisions = list(folder.glob("*.py"))
    assert revisions
    for revision in revisions:
        assert "from ledger" not in revision.read_text(encoding="utf-8"), f"{revision.name} would change with it"
