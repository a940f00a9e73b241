"""Start one worker process: `python -m workers record | relay-urgent | relay | intake | clock`."""

import os
import socket
import sys

from redis import Redis, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from ledger.checkpoints import note_verifiers
from ledger.keyring import ROLES
from ledger.published_keys import CHECKPOINT, RECEIPT, publish
from schemas.log_line import configure_logging, error_fields, log
from schemas.settings import load_settings
from workers import clock, jobs
from workers.context import Context, build_context, now_ms, project_root
from workers.guarded import guarded
from workers.queue import INTAKE, RECORD, RELAY, RELAY_URGENT, AllowlistedJob, connect, open_queue

ROLE_OF_PROCESS = {RECORD: "record", RELAY_URGENT: "relay", RELAY: "relay", INTAKE: "intake", "clock": "clock"}
WORKER_TTL_S = 30  # RQ looks after lost jobs only between dequeues; its default would be every 405 s
MAINTENANCE_INTERVAL_S = 15
JOBS_MAX = 20_000  # then a fresh process: a guard against slow leaks


class PatientWorker(SimpleWorker):
    """RQ would wait up to a minute between tries when Redis is away, and end for good over a key it cannot read."""

    max_connection_wait_time = 2.0

    def run_maintenance_tasks(self) -> None:
        """RQ's care for lost jobs. Ours carry no work, so whatever is wrong with one may stay wrong."""
        try:
            super().run_maintenance_tasks()  # type: ignore[no-untyped-call]
        except (RedisConnectionError, RedisTimeoutError):
            raise
        except Exception as error:
            log.error("queue_unreadable", **error_fields(error))


def work(process: str, context: Context) -> None:
    """One worker on one queue: with several, RQ takes jobs by BLPOP and loses them when it is killed."""
    connection = connect(context.settings.redis_url, timeout_s=5.0)
    require_noeviction(connection)
    jobs.set_up(context)
    worker = PatientWorker(
        [open_queue(process, connection)],
        connection=connection,
        serializer=JSONSerializer,
        job_class=AllowlistedJob,
        worker_ttl=WORKER_TTL_S,
        maintenance_interval=MAINTENANCE_INTERVAL_S,
        log_job_description=False,
    )
    log.info("worker_started", process=process)
    worker.work(logging_level="WARNING", max_jobs=JOBS_MAX, with_scheduler=False)


def require_noeviction(connection: Redis) -> None:
    """Under any other policy Redis throws jobs away without a word when it is full."""
    try:
        policy = connection.config_get("maxmemory-policy").get("maxmemory-policy")
    except ResponseError:  # managed services refuse CONFIG; the database remembers all work in any case
        log.warning("redis_policy_unknown")
        return
    if policy != "noeviction":
        log.error("redis_must_not_evict", status=str(policy))
        raise SystemExit(1)


def publish_keys(context: Context) -> None:
    """The public keys of what this process signs: after an upgrade or a restore the receipt page must know them too."""
    held = [name for name in (CHECKPOINT, RECEIPT) if name in ROLES[context.keyring.role]]
    for name in held:
        with context.database.write() as connection:
            publish(connection, name, note_verifiers(context.keyring[name]), now_ms())


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1] not in ROLE_OF_PROCESS:
        raise SystemExit(f"usage: python -m workers {' | '.join(ROLE_OF_PROCESS)}")
    process = sys.argv[1]
    settings = load_settings(project_root())
    configure_logging(settings.log_level)
    if os.environ.get("STRIPE_LOG"):  # it makes Stripe's library print addresses
        log.error("stripe_log_must_not_be_set")
        raise SystemExit(1)
    context = build_context(settings, ROLE_OF_PROCESS[process])
    guarded("publish_keys", lambda: publish_keys(context))
    try:
        if process == "clock":
            clock.run(context)
        else:
            work(process, context)
    except RedisError as error:
        log.error("queue_away", process=process, **error_fields(error))
        raise SystemExit(1) from None
    log.info("worker_stopped", process=process, source=socket.gethostname())


if __name__ == "__main__":
    main()
