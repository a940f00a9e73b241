"""Group commit: shared transactions, and nobody answers for another."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from ledger.database import Database
from ledger.errors import DatabaseAwayError

THREADS = 16


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'test.db'}", checkpoints=True, pool_size=THREADS)
    with made.write() as connection:
        connection.exec_driver_sql("CREATE TABLE stored (number INTEGER PRIMARY KEY CHECK (number >= 0))")
    yield made
    made.close()


def store(connection: Connection, number: int) -> int:
    connection.exec_driver_sql("INSERT INTO stored VALUES (?)", (number,))
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
    transactions: list[object] = []

    def first(connection: Connection) -> None:
        first_is_in.set()
        assert go_on.wait(10)

    def later(connection: Connection) -> None:
        transactions.append(connection.get_transaction())

    with ThreadPoolExecutor(THREADS) as pool:
        running = [pool.submit(database.write_together, first)]
        assert first_is_in.wait(10)
        running += [pool.submit(database.write_together, later) for _ in range(5)]
        while len(database._group._waiting) < 5:
            threading.Event().wait(0.001)
        go_on.set()
        assert [one.result(10) for one in running] == [None] * 6
    assert len(transactions) == 5
    assert len(set(map(id, transactions))) == 1


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
