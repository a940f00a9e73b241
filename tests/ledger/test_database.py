"""The database: short transactions, one snapshot for each reading, and an honest word when it cannot answer."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import DBAPIError

from ledger.database import Database
from ledger.errors import DatabaseAwayError
from ledger.tables import heartbeat
from tests.postgres import PostgresServer
from tests.world import World, settings_for

BUSY_TIMEOUT_S = 0.2


def beat(database: Database, process: str) -> None:
    with database.write() as connection:
        connection.execute(insert(heartbeat).values(process=process, at_ms=1, detail="a-value"))


@contextlib.contextmanager
def impatient(world: World) -> Iterator[Database]:
    """Another process with the same database, that waits hardly at all."""
    url = world.database.url.render_as_string(hide_password=False)
    database = Database(url, pool_size=1, busy_timeout_s=BUSY_TIMEOUT_S)
    try:
        yield database
    finally:
        database.close()


def test_a_reading_is_one_snapshot(any_world: World) -> None:
    beat(any_world.database, "one")
    count = select(func.count()).select_from(heartbeat)
    with any_world.database.read() as connection:
        before = connection.execute(count).scalar_one()
        beat(any_world.database, "two")
        assert connection.execute(count).scalar_one() == before == 1
    with any_world.database.read() as connection:
        assert connection.execute(count).scalar_one() == 2


def test_what_fails_is_not_written(any_world: World) -> None:
    with pytest.raises(DBAPIError):
        beat_twice(any_world.database)
    with any_world.database.read() as connection:
        assert connection.execute(select(heartbeat)).all() == []


def beat_twice(database: Database) -> None:
    with database.write() as connection:
        for _ in range(2):
            connection.execute(insert(heartbeat).values(process="one", at_ms=1, detail="a-value"))


def test_an_error_shows_no_value(any_world: World) -> None:
    with pytest.raises(DBAPIError) as caught:
        beat_twice(any_world.database)
    assert "a-value" not in str(caught.value)


def test_a_writer_that_waits_too_long_gives_up(world: World) -> None:
    with impatient(world) as other, world.database.write():
        with pytest.raises(DatabaseAwayError) as caught:
            beat(other, "one")
        assert caught.value.reason == "database_busy"
        with other.read() as connection:  # readers never wait
            assert connection.execute(select(heartbeat)).all() == []


def test_a_thread_that_waits_too_long_for_its_turn_gives_up(world: World) -> None:
    with impatient(world) as database, ThreadPoolExecutor(1) as pool:
        holding, done = threading.Event(), threading.Event()

        def hold() -> None:
            with database.write():
                holding.set()
                done.wait(timeout=30)

        held = pool.submit(hold)
        holding.wait(timeout=30)
        with pytest.raises(DatabaseAwayError):
            beat(database, "one")
        done.set()
        held.result()
        beat(database, "one")


def test_a_pool_that_is_empty_is_a_database_that_is_busy(any_world: World) -> None:
    with impatient(any_world) as database, contextlib.ExitStack() as stack:
        for _ in range(9):
            stack.enter_context(database.read())
        with pytest.raises(DatabaseAwayError) as caught:
            stack.enter_context(database.read())
        assert caught.value.reason == "database_busy"


def test_a_connection_that_was_cut_is_an_honest_failure_and_the_next_one_works(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    with postgres_server.fresh_database("cut_connection") as url:
        world = World(settings_for(tmp_path, url))
        with pytest.raises(DatabaseAwayError), world.database.write() as connection:
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        beat(world.database, "one")
        world.close()


def test_sqlite_is_set_up_to_keep_what_it_confirmed_and_to_wipe_what_it_deletes(world: World) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "foreign_keys": 1}
    with world.database.read() as connection:
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in wanted}
    assert found == wanted


@pytest.mark.parametrize(("checkpoints", "pages"), [(True, 1000), (False, 0)])
def test_only_one_process_moves_the_wal_into_the_file(tmp_path: Path, checkpoints: bool, pages: int) -> None:
    database = Database(f"sqlite:///{tmp_path / 'other.db'}", checkpoints=checkpoints)
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar_one() == pages
    database.close()
