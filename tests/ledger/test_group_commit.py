"""Group commit: shared transactions, and nobody answers for another."""

import contextlib
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


def test_a_connection_that_died_meanwhile_costs_nobody_a_delivery(postgres_server: PostgresServer) -> None:
    with postgres_server.fresh_database("died_meanwhile") as url:
        database = Database(url)
        with database.write() as connection:
            connection.execute(text("CREATE TABLE stored (number INTEGER PRIMARY KEY)"))
        pid = database.write_together(lambda one: one.execute(text("SELECT pg_backend_pid()")).scalar_one())
        with database.write() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        assert database.write_together(lambda connection: store(connection, 1)) == 1
        assert stored(database) == {1}
        database.close()


def test_a_connection_that_dies_inside_is_an_honest_failure_and_the_next_one_works(
    postgres_server: PostgresServer,
) -> None:
    with postgres_server.fresh_database("dies_inside") as url:
        database = Database(url)
        with pytest.raises(DatabaseAwayError):
            database.write_together(lambda one: one.execute(text("SELECT pg_terminate_backend(pg_backend_pid())")))
        assert database.write_together(lambda one: one.execute(text("SELECT 1")).scalar_one()) == 1
        database.close()


def test_groups_that_wait_for_each_other_go_again_one_by_one(postgres_server: PostgresServer) -> None:
    """Two processes, each with the first of a pair and then the other's: PostgreSQL ends one of them."""
    with postgres_server.fresh_database("deadlock") as url:
        databases = [Database(url), Database(url)]
        with databases[0].write() as connection:
            connection.execute(text("CREATE TABLE stored (number INTEGER PRIMARY KEY)"))
        both_are_in = threading.Barrier(2)

        def first(connection: Connection, number: int) -> None:
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})
            with contextlib.suppress(threading.BrokenBarrierError):
                both_are_in.wait(1)

        def then(connection: Connection, number: int) -> int:
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})
            return store(connection, number)

        with ThreadPoolExecutor(6) as pool:
            running = []
            for database, own, other in zip(databases, (1, 2), (2, 1), strict=True):
                held = threading.Event()
                blocked = pool.submit(database.write_together, lambda _connection, held=held: held.wait(10))
                running += [pool.submit(database.write_together, partial(first, number=own))]
                running += [pool.submit(database.write_together, partial(then, number=other))]
                while len(database._group._waiting) < 2:
                    threading.Event().wait(0.001)
                held.set()
                assert blocked.result(10)
            for one in running:
                one.result(30)
        assert stored(databases[0]) == {1, 2}
        for database in databases:
            database.close()
