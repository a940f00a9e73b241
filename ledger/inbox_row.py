"""A new row of the inbox, unless its key is taken: one statement, given to the driver as it takes it."""

import functools
from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, Connection, Dialect, Row, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from ledger.kept_connections import driver_of
from ledger.tables import inbox

_COLUMNS = (
    *("source", "delivery_key", "body_digest", "received_at_ms", "status", "urgent", "reason", "key_id", "box"),
    *("attempts", "key_version", "skew_ms"),
)


def insert_row(connection: Connection, values: dict[str, object], now_ms: int) -> int | None:
    """The id of the new row; None if its source has a row with its key already. `values`: every column but the id and
    the time, which is `now_ms` or that of the row before, if that is later.
    """
    statement, arrange = _insert_text(connection.dialect)
    row = driver_of(connection).execute(statement, arrange(values | {"now_ms": now_ms})).fetchone()
    return None if row is None else int(row[0])


def row_of_key(connection: Connection, source: str, key: str) -> "Row[Any, Any, Any] | None":
    """(id, body_digest, received_at_ms) of the row with that key."""
    condition = (inbox.c.source == source) & (inbox.c.delivery_key == key)
    columns = select(inbox.c.id, inbox.c.body_digest, inbox.c.received_at_ms)
    return connection.execute(columns.where(condition)).one_or_none()


@functools.cache
def _insert_text(dialect: Dialect) -> tuple[str, Callable[[dict[str, object]], Any]]:
    """The statement as the driver takes it, and how it takes the values: at the door SQLAlchemy's own way from one to
    the other would cost more than the insert.
    """
    compiled = _insert_statement(dialect.name).compile(dialect=dialect, column_keys=_COLUMNS)
    fixed = compiled.params
    names = compiled.positiontup
    if names is None:
        return str(compiled), lambda values: fixed | values
    return str(compiled), lambda values: tuple(values.get(name, fixed[name]) for name in names)


def _insert_statement(dialect: str) -> Any:
    make, greatest = (sqlite.insert, func.max) if dialect == "sqlite" else (postgresql.insert, func.greatest)
    newest = select(inbox.c.received_at_ms).order_by(inbox.c.id.desc()).limit(1).scalar_subquery()
    last = func.coalesce(newest, 0)
    # Received time never steps back, whatever our clock does (decision 0001).
    statement = make(inbox).values(received_at_ms=greatest(last, bindparam("now_ms", type_=BigInteger)))
    return statement.on_conflict_do_nothing(index_elements=["source", "delivery_key"]).returning(inbox.c.id)
