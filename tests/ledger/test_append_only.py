"""The database itself refuses to change, delete or replace what the ledger says."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ledger.audit import audit
from ledger.note import NoteVerifier
from schemas.message import Message, MessageType
from tests.ledger.desk import NOW_MS, Desk, append_purchases
from tests.world import World

COLUMN = {"ledger_entry": "kind", "ledger_node": "hash", "ledger_checkpoint": "note"}
APPEND_ONLY = tuple(COLUMN)
KEY = {"ledger_entry": "position", "ledger_node": "position", "ledger_checkpoint": "size"}


def filled(world: World) -> Desk:
    desk = Desk(world)
    paid = Message(MessageType.PURCHASE, "stripe", method="stripe")  # an entry that nothing else refers to
    desk.accept(desk.delivery(paid, "evt_1"), NOW_MS)
    world.record()
    world.sign()
    append_purchases(desk.database, 4)
    world.sign()
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
    return (report.problems, report.size, report.checkpoints) == ([], 5, 2)


def test_update_and_delete_are_refused_on_both_databases(any_world: World) -> None:
    desk = filled(any_world)
    for table in APPEND_ONLY:
        refuse(desk, f"UPDATE {table} SET {COLUMN[table]} = {COLUMN[table]}")
        refuse(desk, f"UPDATE {table} SET {KEY[table]} = 99 WHERE {KEY[table]} = 1")
        refuse(desk, f"DELETE FROM {table} WHERE {KEY[table]} = 1")
        refuse(desk, f"DELETE FROM {table}")
    assert is_intact(desk)


def test_truncate_and_upsert_are_refused_on_postgresql(any_world: World) -> None:
    desk = filled(any_world)
    for table in APPEND_ONLY:
        upsert = (
            f"INSERT INTO {table} SELECT * FROM {table} ON CONFLICT ({KEY[table]}) DO UPDATE SET {COLUMN[table]} = "
        )
        if not desk.database.is_sqlite:
            refuse(desk, f"TRUNCATE {table} CASCADE")
            refuse(desk, f"{upsert} excluded.{COLUMN[table]}")
    assert is_intact(desk)


def test_replacing_a_row_is_refused_on_sqlite(world: World) -> None:
    desk = filled(world)
    for table in APPEND_ONLY:
        refuse(desk, replace_into(desk, table))
        refuse(desk, f"UPDATE OR REPLACE {table} SET {KEY[table]} = {KEY[table]} + 1")
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
        changed = {KEY[table]: str(key), "id": "randomblob(16)", "inbox_id": "NULL"}
        refuse(desk, replace_into(desk, table, **changed).replace("OR REPLACE ", ""))
    refuse(desk, "INSERT INTO ledger_checkpoint SELECT 3, note, signed_at_ms FROM ledger_checkpoint LIMIT 1")
    assert is_intact(desk)
