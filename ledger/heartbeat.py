"""Heartbeats: when a process that nothing else would miss was last seen alive."""

from sqlalchemy import Connection, bindparam, insert, select, update

from ledger.database import Database
from ledger.tables import heartbeat

_BEAT = update(heartbeat).where(heartbeat.c.process == bindparam("name")).values(at_ms=bindparam("now_ms"))


def beat(database: Database, process: str, now_ms: int) -> None:
    with database.write() as connection:
        if connection.execute(_BEAT, {"name": process, "now_ms": now_ms}).rowcount == 0:
            connection.execute(insert(heartbeat), {"process": process, "at_ms": now_ms, "detail": ""})


def last_beat_ms(connection: Connection, process: str) -> int | None:
    found = connection.execute(select(heartbeat.c.at_ms).where(heartbeat.c.process == process))
    return found.scalar_one_or_none()
