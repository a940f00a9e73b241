"""Connections that are kept, in the driver's autocommit mode: what a pool, its events and SQLAlchemy's own transactions
do around a statement would cost the door more than the statement.
"""

import contextlib
from queue import Empty, LifoQueue
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from ledger.errors import DatabaseAwayError

WRITE, KEPT = "samtykke_write", "kept"  # an execution option: who begins a transaction


class KeptConnections:
    """At most `size` of them; whoever finds all in use waits `wait_s`. What is taken is given back or discarded."""

    def __init__(self, engine: Engine, size: int, wait_s: float) -> None:
        self._engine = engine
        self._wait_s = wait_s
        # The one that was used last goes first; None: a place where none is open.
        self._places: LifoQueue[Connection | None] = LifoQueue()
        for _ in range(size):
            self._places.put(None)

    def take(self) -> tuple[Connection, bool]:
        """(connection, whether it is fresh). Raises DatabaseAwayError: database_busy."""
        try:
            connection = self._places.get(timeout=self._wait_s)
        except Empty:
            raise DatabaseAwayError("database_busy") from None
        if connection is not None:
            return connection, False
        try:
            return self._engine.connect().execution_options(**{WRITE: KEPT}, isolation_level="AUTOCOMMIT"), True
        except BaseException:
            self._places.put(None)
            raise

    def give_back(self, connection: Connection) -> None:
        self._places.put(connection)

    def discard(self, connection: Connection) -> None:
        """Which rolls back whatever was begun."""
        _end(connection)
        self._places.put(None)

    def close(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                if (connection := self._places.get_nowait()) is not None:
                    _end(connection)


def _end(connection: Connection) -> None:
    with contextlib.suppress(DBAPIError):
        connection.invalidate()
    connection.close()


def driver_of(connection: Connection) -> Any:
    """The driver's own connection, inside the same transaction."""
    driver = connection.connection.driver_connection
    assert driver is not None
    return driver
