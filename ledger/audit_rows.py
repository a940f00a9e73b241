"""Rows as the audit reads them: the driver's own tuples, whatever a hand at the database left in them.

SQLAlchemy's rows and the values that it prepares would be a third of an audit's time.
"""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Select

from ledger.log import READ_BATCH

Rows = list[tuple[Any, ...]]


def fetch(connection: Connection, query: "Select[Any]", parameters: Mapping[str, object]) -> Rows:
    """All rows of a query that is known to be short."""
    with connection.execute(query, parameters) as result:
        assert result.cursor is not None
        return list(result.cursor.fetchall())


def stream(connection: Connection, query: "Select[Any]") -> Iterator[tuple[Any, ...]]:
    """Every row. PostgreSQL's driver holds all of them: for tables about people, of whom as much is known by then."""
    with connection.execute(query) as result:
        assert result.cursor is not None
        while rows := result.cursor.fetchmany(READ_BATCH):
            yield from rows


def raw(value: Any) -> bytes:
    """Bytes of a stored value: text as UTF-8, and nothing for a number, which is what we never stored there."""
    if type(value) is bytes:
        return value
    return value.encode() if isinstance(value, str) else b""


@contextmanager
def texts_as_bytes(connection: Connection) -> Iterator[None]:
    """SQLite lets a hand put text that is no UTF-8 into any column, and the driver fails where it decodes it."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    before, driver.text_factory = driver.text_factory, bytes
    try:
        yield
    finally:
        driver.text_factory = before


@contextmanager
def collection_paused() -> Iterator[None]:
    """No search for cycles in what grows by a million small objects, none of which is part of one."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
