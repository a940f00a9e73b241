"""Fixtures of the ledger's room: its tables on each database in turn, and nothing else of an installation."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.database import Database
from ledger.migrate import upgrade


@pytest.fixture
def database(tmp_path: Path, database_url: str | None) -> Iterator[Database]:
    made = Database(database_url or f"sqlite:///{tmp_path / 'ledger.db'}", checkpoints=True)
    upgrade(made)
    yield made
    made.close()
