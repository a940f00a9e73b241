"""The clock: rings for everything that is due, signs the ledger's head, and ends what has had its time.

It replaces RQ's own scheduler, whose memory is in Redis and whose jobs are pickled. Two clocks do no harm: every
deed here is decided by the database.
"""

import signal
import threading
from collections.abc import Callable

from redis import RedisError
from sqlalchemy import Connection, func, select

from ledger import outbox, retention
from ledger.checkpoints import Signer
from ledger.database import Database
from ledger.errors import LedgerError
from ledger.heartbeat import beat
from ledger.inbox import NEW
from ledger.tables import inbox
from schemas.log_line import error_fields, log
from workers.context import Context, now_ms
from workers.queue import RECORD, RELAY, RELAY_URGENT, connect, ring

TICK_S = 1.0
HOUSEKEEPING_MS = 60_000


def run(context: Context) -> None:
    """Tick until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    signer = Signer(context.keyring["checkpoint"], context.settings.keys_dir)
    log.info("worker_started", process="clock")
    housekept_at_ms = 0
    while not stop.wait(TICK_S):
        _guarded("sweep", lambda: sweep(context))
        _guarded("sign", lambda: signer.sign_if_grown(context.database, now_ms()))
        if now_ms() - housekept_at_ms > HOUSEKEEPING_MS:
            housekept_at_ms = now_ms()
            _guarded("heartbeat", lambda: beat(context.database, "clock", now_ms()))
            _guarded("retention", lambda: retention.expire(context.database, context.policy, now_ms()))


def _guarded(action: str, deed: Callable[[], object]) -> None:
    """One deed that fails must not stop the others; it is tried again at the next tick."""
    try:
        deed()
    except LedgerError as error:
        log.error("clock_failed", action=action, reason=error.reason)
    except Exception as error:
        log.error("clock_failed", action=action, **error_fields(error))


def sweep(context: Context) -> list[str]:
    """Ring every queue that has work waiting in the database; returns their names."""
    due = due_queues(context.database, now_ms())
    connection = connect(context.settings.redis_url)
    try:
        for queue in due:
            ring(connection, queue)
    except RedisError:
        log.warning("queue_away")
    finally:
        connection.close()
    return due


def due_queues(database: Database, now: int) -> list[str]:
    with database.read() as connection:
        waiting = {
            RECORD: _new_deliveries(connection),
            RELAY_URGENT: outbox.due_count(connection, True, now),
            RELAY: outbox.due_count(connection, False, now),
        }
    return [queue for queue, count in waiting.items() if count]


def _new_deliveries(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(inbox).where(inbox.c.status == NEW)).scalar_one())
