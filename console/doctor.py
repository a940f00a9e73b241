"""`flask doctor`: is everything as it must be? One line per finding, and what to do about it."""

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click
from redis import RedisError
from sqlalchemy import func, select

from console.operator import Exit, Operator, Speaker, at, command
from ledger import quarantine
from ledger.checkpoints import read_state
from ledger.errors import LedgerError
from ledger.heartbeat import last_beat_ms
from ledger.keyring import NAMES, SIGNER_STATE
from ledger.log import size
from ledger.migrate import current_revision, newest_revision
from ledger.sqlite import has_wal_reset_bug, sqlite
from ledger.tables import inbox, relay
from schemas.policy import PolicyError, load_policy
from schemas.settings import form_secrets_name
from workers.context import now_ms
from workers.outlets import standings
from workers.queue import connect
from workers.relays.action import RelayError

LATE_MS = 15 * 60 * 1000
CLOCK_LATE_MS = 3 * 60 * 1000  # it beats once a minute
OK, WARNING, FAULT = "ok", "warning", "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """`level`: ok, warning or fault."""

    level: str
    check: str
    finding: str


@click.command("doctor")
@command
def doctor(operator: Operator, speak: Speaker) -> None:
    """Check this installation. Exit 1 if anything is a fault; warnings are for you to judge."""
    findings = list(_run(operator))
    rows = [{"level": one.level, "check": one.check, "finding": one.finding} for one in findings]
    speak.rows(rows, ["level", "check", "finding"], "")
    if any(one.level == FAULT for one in findings):
        raise SystemExit(int(Exit.NO))


def _run(operator: Operator) -> Iterator[Finding]:
    """Without policy and keys nothing else can be asked: say what lacks, once."""
    for check in (_policy, _keys):
        try:
            yield from check(operator)
        except PolicyError as error:
            yield Finding(FAULT, "policy", str(error))
            return
    try:
        _ = operator.context
    except LedgerError as error:
        yield Finding(FAULT, "context", error.reason)
        return
    for check in (_database, _queue, _secrets, _processors, _work, _clock, _signer, _quarantine, _publishing):
        try:
            yield from check(operator)
        except LedgerError as error:
            yield Finding(FAULT, check.__name__.strip("_"), error.reason)


def _policy(operator: Operator) -> Iterator[Finding]:
    policy = load_policy(operator.settings.policy_file)
    yield Finding(OK, "policy", f"version {policy.version}, {len(policy.forms)} forms")
    for notice in policy.notices.values():
        if notice.sha256 is None:
            yield Finding(WARNING, "policy", f"notice {notice.key}: no confirmed hash; consents say notice unknown")


def _keys(operator: Operator) -> Iterator[Finding]:
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


def _database(operator: Operator) -> Iterator[Finding]:
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


def _queue(operator: Operator) -> Iterator[Finding]:
    connection = connect(operator.settings.redis_url)
    try:
        policy = connection.config_get("maxmemory-policy").get("maxmemory-policy")
        level = OK if policy == "noeviction" else FAULT
        yield Finding(level, "queue", f"reached, maxmemory-policy {policy}")
    except RedisError:
        yield Finding(FAULT, "queue", "not reached; deliveries are accepted, and recorded when it is back")
    finally:
        connection.close()


def _secrets(operator: Operator) -> Iterator[Finding]:
    settings = operator.settings
    for form in operator.context.policy.forms:
        count = len(settings.form_secrets.get(form, ()))
        if count == 0:
            yield Finding(WARNING, "secrets", f"form {form} has none: set {form_secrets_name(form)}")
        elif count > 2:
            yield Finding(WARNING, "secrets", f"form {form} has {count} live secrets; two are enough to rotate")
    if not settings.stripe_webhook_secrets:
        yield Finding(WARNING, "secrets", "STRIPE_WEBHOOK_SECRETS is empty: Stripe events are refused")


def _processors(operator: Operator) -> Iterator[Finding]:
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
    if context.settings.unsafe_allow_loopback:
        yield Finding(WARNING, "processors", "UNSAFE_ALLOW_LOOPBACK is on: development only")


def _work(operator: Operator) -> Iterator[Finding]:
    now = now_ms()
    with operator.context.database.read() as connection:
        parked = connection.execute(select(func.count()).where(inbox.c.status == "parked")).scalar_one()
        oldest = connection.execute(select(func.min(inbox.c.received_at_ms)).where(inbox.c.status == "new")).scalar()
        stuck = connection.execute(select(func.count()).where(relay.c.status == "parked")).scalar_one()
        waiting = (relay.c.status == "pending") & (relay.c.urgent == 1)
        since = connection.execute(select(func.min(relay.c.created_at_ms)).where(waiting)).scalar()
    late: Callable[[int | None], bool] = lambda moment: moment is not None and now - moment > LATE_MS  # noqa: E731
    yield Finding(WARNING if parked else OK, "work", f"{parked} deliveries parked")
    yield Finding(WARNING if stuck else OK, "work", f"{stuck} relays parked")
    if late(oldest):
        yield Finding(FAULT, "work", "a delivery has waited over 15 minutes: is the recorder running?")
    if late(since):
        yield Finding(FAULT, "work", "a withdrawal has waited over 15 minutes: is the relayer running?")


def _clock(operator: Operator) -> Iterator[Finding]:
    with operator.context.database.read() as connection:
        seen_ms = last_beat_ms(connection, "clock")
    if seen_ms is None:
        yield Finding(WARNING, "clock", "never seen: is it running? It signs, and rings for what waits")
        return
    ago_s = max(0, now_ms() - seen_ms) // 1000
    level = OK if ago_s * 1000 < CLOCK_LATE_MS else FAULT
    yield Finding(level, "clock", f"seen {ago_s} s ago")


def _publishing(operator: Operator) -> Iterator[Finding]:
    with operator.context.database.read() as connection:
        found = standings(connection, operator.settings, now_ms())
    if not found:
        yield Finding(
            WARNING, "publishing", "no checkpoint is kept elsewhere: docs/guides/keep-checkpoints-elsewhere.md"
        )
    for one in found:
        yield Finding(
            WARNING if one.is_late else OK, "publishing", f"{one.name}: last {at(one.published_at_ms) or 'never'}"
        )


def _quarantine(operator: Operator) -> Iterator[Finding]:
    with operator.context.database.read() as connection:
        reason = quarantine.reason_of(connection)
    if reason is not None:
        yield Finding(FAULT, "quarantine", f"{reason}: nothing is recorded or carried; docs/guides/restore.md")


def _signer(operator: Operator) -> Iterator[Finding]:
    state = read_state(operator.settings.keys_dir / SIGNER_STATE)
    with operator.context.database.read() as connection:
        entries = size(connection)
    if entries < state.size:
        yield Finding(FAULT, "ledger", f"{entries} entries, but {state.size} were signed: was a backup restored?")
    else:
        yield Finding(OK, "ledger", f"{entries} entries, {state.size} signed")
