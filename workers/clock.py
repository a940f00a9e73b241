"""The clock: rings for everything that is due, signs the ledger's head, and ends what has had its time.

It replaces RQ's own scheduler, whose memory is in Redis and whose jobs are pickled. Two clocks do no harm: every
deed here is decided by the database. The publisher works beside it in a thread: a slow witness delays no signature.
"""

import signal
import threading
from functools import partial

from redis import RedisError
from sqlalchemy import Connection, func, select

from ledger import drift, processors, retention
from ledger.checkpoints import Signer
from ledger.claiming import is_due
from ledger.database import Database
from ledger.heartbeat import beat
from ledger.inbox import NEW
from ledger.tables import inbox
from schemas.log_line import log
from workers.context import Context, now_ms
from workers.deadline_mails import remind_operator
from workers.guarded import guarded, quarantining
from workers.publishing import Publisher
from workers.queue import INTAKE, RECORD, RELAY, RELAY_URGENT, connect, ring

TICK_S = 1.0
HOUSEKEEPING_MS = 60_000


def run(context: Context) -> None:
    """Tick until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=Publisher(context).run, args=(stop,), daemon=True).start()
    log.info("worker_started", process="clock")
    housekept_at_ms = 0
    while not stop.wait(TICK_S):
        keeps_house = now_ms() - housekept_at_ms > HOUSEKEEPING_MS
        guarded("sweep", partial(sweep, context, calendar=keeps_house))
        guarded("sign", lambda: sign(context))
        if keeps_house:
            housekept_at_ms = now_ms()
            guarded("heartbeat", lambda: beat(context.database, "clock", now_ms()))
            guarded("deadlines", lambda: remind_operator(context, now_ms()))
            guarded("retention", lambda: retention.expire(context.database, context.policy, now_ms()))


def sign(context: Context) -> None:
    """Sign the head if it has grown; a ledger that is not the one that was signed goes into quarantine."""
    signer = Signer(context.keyring["checkpoint"], context.settings.keys_dir)  # made anew: the key may be rotated
    with quarantining(context.database):
        signer.sign_if_grown(context.database, now_ms())


def sweep(context: Context, *, calendar: bool = False) -> list[str]:
    """Ring every queue that has work waiting in the database; returns their names.

    `calendar`: the recorder and the intake too. What falls due by the day, such as a proof's end, waits in no row, and
    what a source has for us waits there.
    """
    due = due_queues(context.database, now_ms())
    if calendar:
        due += [queue for queue in (RECORD, INTAKE) if queue not in due]
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
            RELAY_URGENT: _relays_wait(connection, now, urgent=True),
            RELAY: _relays_wait(connection, now, urgent=False) or drift.is_due(connection, now),
        }
    return [queue for queue, count in waiting.items() if count]


def _relays_wait(connection: Connection, now: int, *, urgent: bool) -> bool:
    """For a processor that may be called now: ringing for the others would be in vain."""
    states = processors.states(connection).values()
    return is_due(connection, urgent, now, [one.processor for one in states if not one.can_claim(1, now)])


def _new_deliveries(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(inbox).where(inbox.c.status == NEW)).scalar_one())
