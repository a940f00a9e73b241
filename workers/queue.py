"""The queue: four names, one job each, JSON only. A job means "there is work"; it never carries any.

RQ names the function to call inside the job's data, so whoever can write to Redis could call anything: the Job
class here runs only the functions of this list.
"""

from collections.abc import Callable
from typing import Any

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

RECORD, RELAY_URGENT, RELAY, INTAKE = "record", "relay-urgent", "relay", "intake"
JOB_OF_QUEUE = {
    RECORD: "workers.jobs.record",
    RELAY_URGENT: "workers.jobs.relay_urgent",
    RELAY: "workers.jobs.relay",
    INTAKE: "workers.jobs.intake",
}
JOB_TIMEOUT_S = 120
FAILURE_TTL_S = 24 * 3600  # RQ keeps failed jobs for a year by default
WAKE_TTL_MS = 5_000
REDIS_TIMEOUT_S = 0.25


class AllowlistedJob(Job):
    """A job that refuses every function but ours, and every callback and webhook."""

    @classmethod
    def fetch(cls, id: str, connection: Redis | None = None, serializer: Any = None) -> Job:
        """What cannot be read is no job: RQ would die of it, and again of the same one at every start."""
        try:
            return super().fetch(id, connection, serializer)
        except RedisError:
            raise
        except Exception:
            raise NoSuchJobError("job_unreadable") from None

    def restore(self, raw_data: dict[Any, Any]) -> None:
        super().restore(raw_data)
        self.webhooks = []
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None

    @property
    def func(self) -> Callable[..., Any]:
        if self.func_name not in JOB_OF_QUEUE.values() or self.instance or self.args or self.kwargs:
            raise PermissionError("job_not_allowed")
        function: Callable[..., Any] = super().func
        return function


def connect(redis_url: str, timeout_s: float = REDIS_TIMEOUT_S) -> Redis:
    """A connection that answers or fails at once: redis-py would retry ten times, up to a minute."""
    return Redis.from_url(
        redis_url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
    )


def open_queue(name: str, connection: Redis) -> Queue:
    return Queue(
        name,
        connection=connection,
        serializer=JSONSerializer,
        job_class=AllowlistedJob,
        default_timeout=JOB_TIMEOUT_S,
    )


def ring(connection: Redis, name: str) -> bool:
    """Put one job on a queue unless one is waiting; False when one is. Raises redis.RedisError."""
    if not connection.set(wake_key(name), "1", nx=True, px=WAKE_TTL_MS):
        return False
    open_queue(name, connection).enqueue(
        JOB_OF_QUEUE[name],
        description=name,  # RQ's own description would repeat the call in its log
        result_ttl=0,
        failure_ttl=FAILURE_TTL_S,
        ttl=600,
    )
    return True


def wake_key(name: str) -> str:
    return f"samtykke:wake:{name}"
