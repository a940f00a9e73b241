"""The database itself refuses to change, delete or replace what the ledger says."""

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError

from ledger.audit import audit
from ledger.note import NoteVerifier
from ledger.tables import ledger_cosignature
from schemas.message import Message, MessageType
from tests.ledger.desk import NOW_MS, Desk, append_purchases
from tests.world import World

KEY = {
    "ledger_entry": "position",
    "ledger_node": "position",
    "ledger_checkpoint": "size",
    "ledger_cosignature": "size, name",
}
COLUMN = {"ledger_entry": "kind", "ledger_node": "hash", "ledger_checkpoint": "note", "ledger_cosignature": "line"}
# Every way that we know to change, push out or delete a row. {key}: the first column of the primary key.
ON_BOTH = (
    "UPDATE {table} SET {column} = {column}",
    "UPDATE {table} SET {key} = 99 WHERE {key} = 1",
    "UPDATE {table} SET {column} = b.{column} FROM (SELECT * FROM {table}) AS b WHERE {table}.{key} = b.{key}",
    "DELETE FROM {table} WHERE {key} = 1",
    "DELETE FROM {table}",
    "INSERT INTO {table} SELECT * FROM {table} WHERE true "
    "ON CONFLICT ({keys}) DO UPDATE SET {column} = excluded.{column}",
)
ON_POSTGRESQL = (
    "TRUNCATE {table} CASCADE",
    "WITH gone AS (DELETE FROM {table} RETURNING *) SELECT count(*) FROM gone",
    "MERGE INTO {table} USING (SELECT 1 AS one) AS other ON {table}.{key} = one WHEN MATCHED THEN DELETE",
    "MERGE INTO {table} USING (SELECT 1 AS one) AS other ON {table}.{key} = one "
    "WHEN MATCHED THEN UPDATE SET {column} = {table}.{column}",
)
ON_SQLITE = (
    "INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
    "INSERT OR IGNORE INTO {table} SELECT * FROM {table}",
    "REPLACE INTO {table} SELECT * FROM {table}",
    "UPDATE OR REPLACE {table} SET {key} = {key} + 1",
    "UPDATE OR IGNORE {table} SET {column} = {column}",
)
FIRST = {table: keys.partition(",")[0] for table, keys in KEY.items()}


def filled(world: World) -> Desk:
    desk = Desk(world)
    paid = Message(MessageType.PURCHASE, "stripe", method="stripe")  # an entry that nothing else refers to
    desk.accept(desk.delivery(paid, "evt_1"), NOW_MS)
    world.record()
    world.sign()
    append_purchases(desk.database, 4)
    world.sign()
    with desk.database.write() as connection:
        connection.execute(insert(ledger_cosignature), {"size": 1, "name": "witness.example.org", "line": "— a line\n"})
    return desk


def refuse(desk: Desk, statement: str) -> None:
    with pytest.raises(DBAPIError, match=r"append-only|grows only at its end"), desk.database.write() as connection:
        connection.execute(text(statement))


def columns(desk: Desk, table: str) -> list[str]:
    with desk.database.read() as connection:
        return list(connection.execute(text(f"SELECT * FROM {table} LIMIT 1")).keys())


def replace_into(desk: Desk, table: str, **changed: str) -> str:
    """INSERT OR REPLACE of the first row again, with some columns changed."""
    names = columns(desk, table)
    values = ", ".join(changed.get(name, name) for name in names)
    return f"INSERT OR REPLACE INTO {table} SELECT {values} FROM {table} ORDER BY 1 LIMIT 1"


def is_intact(desk: Desk) -> bool:
    with desk.database.read() as connection:
        report = audit(connection, [NoteVerifier.from_vkey(desk.world.signer.vkey)])
    return (report.problems, report.size, report.checkpoints, desk.count(ledger_cosignature)) == ([], 5, 2, 1)


def test_no_statement_changes_or_deletes_a_row(any_world: World) -> None:
    desk = filled(any_world)
    for statement in (*ON_BOTH, *(ON_SQLITE if desk.database.is_sqlite else ON_POSTGRESQL)):
        for table, keys in KEY.items():
            refuse(desk, statement.format(table=table, column=COLUMN[table], key=FIRST[table], keys=keys))
    assert is_intact(desk)


def test_a_new_row_cannot_push_out_an_old_one_on_sqlite(world: World) -> None:
    # OR REPLACE deletes every row that any UNIQUE constraint sets against the new one, and fires no trigger for it.
    desk = filled(world)
    refuse(desk, replace_into(desk, "ledger_entry", position="5"))
    refuse(desk, replace_into(desk, "ledger_entry", position="5", id="randomblob(16)"))
    assert is_intact(desk)


def test_a_gap_is_refused_on_sqlite(world: World) -> None:
    desk = filled(world)
    for table, key in (("ledger_entry", 6), ("ledger_node", 9), ("ledger_entry", -1)):
        changed = {FIRST[table]: str(key), "id": "randomblob(16)", "inbox_id": "NULL"}
        refuse(desk, replace_into(desk, table, **changed).replace("OR REPLACE ", ""))
    refuse(desk, "INSERT INTO ledger_checkpoint SELECT 3, note, signed_at_ms FROM ledger_checkpoint LIMIT 1")
    assert is_intact(desk)
