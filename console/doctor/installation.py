"""What an installation needs before anything can come in: policy, keys, database, queue, secrets, processors."""

import datetime
import stat
from collections.abc import Iterator

from redis import RedisError

from console.doctor.finding import FAULT, OK, WARNING, Finding
from console.operator import Operator
from ledger.deadlines import local_day
from ledger.keyring import NAMES
from ledger.migrate import current_revision, newest_revision
from ledger.sqlite import has_wal_reset_bug, sqlite
from schemas.policy import Processor, load_policy
from schemas.settings import form_secrets_name
from workers.context import now_ms
from workers.queue import connect

REVIEW_DAYS = 366


def policy(operator: Operator) -> Iterator[Finding]:
    policy = load_policy(operator.settings.policy_file)
    yield Finding(OK, "policy", f"version {policy.version}, {len(policy.forms)} forms")
    for notice in policy.notices.values():
        if notice.sha256 is None:
            yield Finding(WARNING, "policy", f"notice {notice.key}: no confirmed hash; consents say notice unknown")


def keys(operator: Operator) -> Iterator[Finding]:
    if operator.settings.keyring:
        yield Finding(OK, "keys", "from KEYRING")
        return
    for name in NAMES:
        path = operator.settings.keys_dir / f"{name}.json"
        if not path.exists():
            yield Finding(FAULT, "keys", f"{name} is missing: flask keys generate")
        elif stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding(FAULT, "keys", f"{name} can be read by others: chmod 0400")
        else:
            yield Finding(OK, "keys", name)


def database(operator: Operator) -> Iterator[Finding]:
    database = operator.context.database
    revision, newest = current_revision(database), newest_revision()
    if revision != newest:
        yield Finding(FAULT, "database", "not migrated: flask database upgrade")
    else:
        yield Finding(OK, "database", f"{database.url.get_backend_name()}, revision {revision}")
    if database.is_sqlite and has_wal_reset_bug():
        yield Finding(
            WARNING, "database", f"SQLite {sqlite.sqlite_version} has the WAL-reset bug; only the recorder checkpoints"
        )


def queue(operator: Operator) -> Iterator[Finding]:
    connection = connect(operator.settings.redis_url)
    try:
        policy = connection.config_get("maxmemory-policy").get("maxmemory-policy")
        level = OK if policy == "noeviction" else FAULT
        yield Finding(level, "queue", f"reached, maxmemory-policy {policy}")
    except RedisError:
        yield Finding(FAULT, "queue", "not reached; deliveries are accepted, and recorded when it is back")
    finally:
        connection.close()


def secrets(operator: Operator) -> Iterator[Finding]:
    settings = operator.settings
    for form in operator.context.policy.forms:
        count = len(settings.form_secrets.get(form, ()))
        if count == 0:
            yield Finding(WARNING, "secrets", f"form {form} has none: set {form_secrets_name(form)}")
        elif count > 2:
            yield Finding(WARNING, "secrets", f"form {form} has {count} live secrets; two are enough to rotate")
    if not settings.stripe_webhook_secrets:
        yield Finding(WARNING, "secrets", "STRIPE_WEBHOOK_SECRETS is empty: Stripe events are refused")


def processors(operator: Operator) -> Iterator[Finding]:
    from workers.relays.action import RelayError  # with it come the vendors' SDKs: half a second

    context = operator.context
    for processor in context.policy.processors.values():
        try:
            connection = context.connections.to(processor.key)
        except RelayError as error:
            yield Finding(FAULT, "processors", f"{processor.key}: {error.reason}")
            continue
        if connection is None:
            yield Finding(WARNING, "processors", f"{processor.key} is not connected: its relays are parked")
        else:
            yield Finding(OK, "processors", f"{processor.key} is connected")
        yield from _review(processor, local_day(now_ms()))
    if context.settings.unsafe_allow_loopback:
        yield Finding(WARNING, "processors", "UNSAFE_ALLOW_LOOPBACK is on: development only")


def _review(processor: Processor, today: datetime.date) -> Iterator[Finding]:
    """Who stores for us is looked at now and then: its terms, its place, its residual copies."""
    if processor.reviewed_at is None:
        yield Finding(WARNING, "processors", f"{processor.key}: never reviewed; read its terms, set reviewed_at")
    elif (today - datetime.date.fromisoformat(processor.reviewed_at)).days > REVIEW_DAYS:
        yield Finding(FAULT, "processors", f"{processor.key}: reviewed {processor.reviewed_at}, over a year ago")
