"""The functions that the queue may call. None takes an argument, none returns one, and none lets an error out.

RQ keeps the traceback of a failed job in Redis; what fails here is logged without its values and tried again by
the clock's sweep, because the work itself is in the database.
"""

from collections.abc import Callable

from redis import RedisError

from schemas.log_line import error_fields, log
from workers import drift
from workers import intake as taker
from workers import record as recorder
from workers import relay as relayer
from workers.context import Context
from workers.queue import INTAKE, RECORD, RELAY, RELAY_URGENT, connect, wake_key

_contexts: list[Context] = []


def set_up(context: Context) -> None:
    """Called once by the worker process, before its first job: RQ calls functions by name only."""
    _contexts[:] = [context]


def record() -> None:
    _run(RECORD, recorder.drain)


def relay_urgent() -> None:
    _run(RELAY_URGENT, lambda context: relayer.carry_due(context, urgent=True))


def relay() -> None:
    _run(RELAY, lambda context: relayer.carry_due(context, urgent=False) + drift.sweep(context))


def intake() -> None:
    _run(INTAKE, taker.take_all)


def _run(queue: str, deed: Callable[[Context], int]) -> None:
    (context,) = _contexts
    try:
        # Before the first look at the database: whoever rings from now on gets a job of its own.
        connect(context.settings.redis_url).delete(wake_key(queue))
    except RedisError:
        log.warning("queue_away", queue=queue)
    try:
        deed(context)
    except Exception as error:
        log.error("job_failed", queue=queue, **error_fields(error))
