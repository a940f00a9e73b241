"""Group commit: shared transactions, and nobody answers for another."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from ledger.database import Database
from ledger.errors import DatabaseAwayError
from tests.postgres import PostgresServer

THREADS = 16


@pytest.fixture
def database(database_url: str | None, tmp_path: Path) -> Iterator[Database]:
    made = Database(database_url or f"sqlite:///{tmp_path / 'test.db'}", checkpoints=True, pool_size=THREADS)
    with made.write() as connection:
        connection.exec_driver_sql("CREATE TABLE stored (number INTEGER PRIMARY KEY CHECK (number >= 0))")
    yield made
    made.close()


def store(connection: Connection, number: int) -> int:
    connection.execute(text("INSERT INTO stored VALUES (:number)"), {"number": number})
    return number


def stored(database: Database) -> set[int]:
    with database.read() as connection:
        return set(connection.exec_driver_sql("SELECT number FROM stored").scalars())


def test_everything_that_returned_is_committed(database: Database) -> None:
    def run(number: int) -> int:
        result = database.write_together(lambda connection: store(connection, number))
        assert number in stored(database)
        return result

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(run, range(300))) == list(range(300))
    assert stored(database) == set(range(300))


@pytest.mark.parametrize("database_url", [None])  # SQLite: PostgreSQL groups the commits of its connections by itself
def test_those_who_wait_share_the_next_transaction(database: Database) -> None:
    first_is_in, go_on = threading.Event(), threading.Event()
    visible: list[set[int]] = []

    def first(connection: Connection) -> None:
        first_is_in.set()
        assert go_on.wait(10)

    def later(number: int, connection: Connection) -> None:
        store(connection, number)
        visible.append(stored(database))

    with ThreadPoolExecutor(THREADS) as pool:
        running = [pool.submit(database.write_together, first)]
        assert first_is_in.wait(10)
        running += [pool.submit(database.write_together, partial(later, number)) for number in range(5)]
        while len(database._group._waiting) < 5:
            threading.Event().wait(0.001)
        go_on.set()
        assert [one.result(10) for one in running] == [None] * 6
    assert visible == [set()] * 5  # to everybody else, none of the five is there before all are
    assert stored(database) == set(range(5))


def test_what_one_cannot_store_does_not_fail_the_others(database: Database) -> None:
    def run(number: int) -> bool:
        try:
            database.write_together(lambda connection: store(connection, number))
        except IntegrityError:
            return False
        return True

    numbers = [-number if number % 7 == 0 else number for number in range(1, 200)]
    with ThreadPoolExecutor(THREADS) as pool:
        results = dict(zip(numbers, pool.map(run, numbers), strict=True))
    assert results == {number: number > 0 for number in numbers}
    assert stored(database) == {number for number in numbers if number > 0}


def test_nobody_is_told_of_success_when_the_commit_fails(database: Database) -> None:
    def fails(connection: Connection) -> None:
        raise DatabaseAwayError("database_away")

    with pytest.raises(DatabaseAwayError):
        database.write_together(fails)
    assert database.write_together(lambda connection: store(connection, 1)) == 1


@pytest.mark.parametrize("dies", ["meanwhile", "inside"])
def test_a_connection_that_dies_costs_nobody_a_delivery(postgres_server: PostgresServer, dies: str) -> None:
    with postgres_server.fresh_database(f"dies_{dies}") as url:
        database, calls = Database(url), 0
        with database.write() as connection:
            connection.execute(text("CREATE TABLE stored (number INTEGER PRIMARY KEY)"))
        pid = database.write_together(
            lambda one: one.execute(text("SELECT pg_backend_pid()")).scalar_one(), is_single=True
        )

        def kill(connection: Connection) -> None:
            connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})

        def work(connection: Connection) -> int:
            nonlocal calls
            calls += 1
            if dies == "inside" and calls == 1:
                kill(connection)
            return store(connection, 1)

        if dies == "meanwhile":
            with database.write() as connection:
                kill(connection)
        assert database.write_together(work, is_single=True) == 1
        assert calls == 2
        assert stored(database) == {1}
        database.close()


def test_a_database_that_is_away_is_an_honest_failure_at_once(postgres_server: PostgresServer) -> None:
    with postgres_server.fresh_database("away") as url:
        database = Database(url)
        database.write_together(lambda one: one.execute(text("SELECT 1")).scalar_one(), is_single=True)
        other = Database(url.replace("away", "nowhere"))
        with pytest.raises(DatabaseAwayError):
            other.write_together(lambda one: one.execute(text("SELECT 1")).scalar_one(), is_single=True)
        other.close()
        database.close()
