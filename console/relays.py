"""`flask relays`: what is carried to which processor, how it ended, and replaying what was parked."""

from datetime import UTC, datetime
from typing import Any

import click
from sqlalchemy import ColumnElement, Row, and_, select

from console.operator import Exit, Operator, Speaker, at, command, hex_id, stop
from ledger import outbox, processors
from ledger.carrying import ERASE, WITHDRAW
from ledger.erasure_work import complete_if_done
from ledger.errors import NotFoundError, RefusedError
from ledger.log import NewEntry, append_many, lock_head, new_id
from ledger.tables import relay
from schemas.entry import Entry, Kind
from workers.context import now_ms
from workers.queue import RELAY, RELAY_URGENT


@click.group()
def relays() -> None:
    """Actions carried to processors."""


STATUSES = click.Choice([outbox.PENDING, outbox.CONFIRMED, outbox.SUPERSEDED, outbox.PARKED])


@relays.command("list")
@click.option("--status", type=STATUSES)
@click.option("--processor")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@command
def list_relays(operator: Operator, speak: Speaker, status: str | None, processor: str | None, limit: int) -> None:
    """The newest relays first."""
    query = select(relay).where(_filter(status, processor)).order_by(relay.c.created_at_ms.desc()).limit(limit)
    with operator.context.database.read() as connection:
        rows = [_summary(row) for row in connection.execute(query)]
    columns = ["id", "processor", "action", "status", "outcome", "reason", "attempts", "created_at"]
    speak.rows(rows, columns, "No relays.")


@relays.command("show")
@click.argument("relay_id")
@command
def show(operator: Operator, speak: Speaker, relay_id: str) -> None:
    """One relay."""
    with operator.context.database.read() as connection:
        row = connection.execute(select(relay).where(relay.c.id == hex_id(relay_id))).one_or_none()
    if row is None:
        raise NotFoundError("relay_not_found")
    times = {"next_attempt_at": at(row.next_attempt_at_ms), "updated_at": at(row.updated_at_ms)}
    times["retained_until"] = at(row.retained_until_ms)
    speak.document(_summary(row) | times | {"purposes": row.purposes, "cause": row.cause.hex(), "epoch": row.epoch})


@relays.command("replay")
@click.argument("relay_id", nargs=-1)
@click.option("--processor", help="Every parked or waiting relay of one processor.")
@click.option("--dry-run", is_flag=True, help="Say what would happen, and do nothing.")
@command
def replay(operator: Operator, speak: Speaker, relay_id: tuple[str, ...], processor: str | None, dry_run: bool) -> None:
    """Try relays again, now, that are parked or wait after a failure. Name them, or a processor; never simply all."""
    if bool(relay_id) == bool(processor):
        raise RefusedError("name_relays_or_a_processor")
    results = [_replay(operator, one, dry_run) for one in _chosen(operator, relay_id, processor)]
    if not dry_run:
        operator.ring(RELAY_URGENT)
        operator.ring(RELAY)
    speak.rows(results, ["id", "processor", "action", "result"], "Nothing is parked.")
    done = sum(result["result"] in ("replayed", "would_replay") for result in results)
    if done < len(results):
        stop(Exit.PARTIAL if done else Exit.REFUSED, "not_all_replayed")


@relays.command("done")
@click.argument("relay_id")
@click.option("--outcome", required=True, type=click.Choice(["done", "removed", "not_found", "retained"]))
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Until when it is retained (UTC).")
@command
def done(operator: Operator, speak: Speaker, relay_id: str, outcome: str, until: datetime | None) -> None:
    """Say that you have done by hand what is parked. It counts as an answer, also for the erasure that asked for it."""
    if (until is not None) and outcome != "retained":
        raise RefusedError("until_is_for_retained")
    until_ms = None if until is None else int(until.replace(tzinfo=UTC).timestamp() * 1000)
    now, context = now_ms(), operator.context
    with context.database.write() as connection:
        lock_head(connection)
        row = connection.execute(select(relay).where(relay.c.id == hex_id(relay_id))).one_or_none()
        if row is None:
            raise NotFoundError("relay_not_found")
        if outcome == "done" and row.action in (ERASE, WITHDRAW):
            raise RefusedError("say_what_happened")  # removed, not_found or retained: it is an answer to a person
        if not outbox.resolve(connection, row.id, outcome, now, until_ms):
            raise RefusedError(f"not_parked_{row.status}")
        entry = Entry(
            id=new_id(now),
            kind=Kind.RELAY_RESOLVED,
            recorded_at_ms=now,
            subject=row.subject,
            processor=row.processor,
            action=row.action,
            outcome=outcome,
            product=row.product,
            retained_until_ms=until_ms,
            ref=row.cause.hex(),
            source="operator",
            method="operator",
        )
        append_many(connection, [NewEntry(entry)])
        completes = row.action == ERASE and complete_if_done(connection, row.cause, context.policy, now)
    speak.document({"id": relay_id, "status": outbox.CONFIRMED, "outcome": outcome, "erasure_completed": completes})


def _chosen(operator: Operator, relay_id: tuple[str, ...], processor: str | None) -> list[Row[Any]]:
    named = relay.c.id.in_([hex_id(one) for one in relay_id])
    wanted = outbox.can_rearm(now_ms()) & (relay.c.processor == processor) if processor else named
    with operator.context.database.read() as connection:
        rows = list(connection.execute(select(relay).where(wanted).order_by(relay.c.sequence)))
    if relay_id and not rows:
        raise NotFoundError("relay_not_found")
    return rows


def _replay(operator: Operator, row: Row[Any], dry_run: bool) -> dict[str, Any]:
    result = {"id": row.id.hex(), "processor": row.processor, "action": row.action}
    if row.status not in (outbox.PARKED, outbox.PENDING) or (row.status == outbox.PENDING and row.reason is None):
        return result | {"result": f"not_parked_{row.status}"}
    if dry_run:
        return result | {"result": "would_replay"}
    with operator.context.database.write() as connection:
        if not outbox.rearm(connection, row.id, now_ms()):
            return result | {"result": "replayed_by_someone_else"}
        processors.end_rest(connection, row.processor)  # now means now
    operator.record_deed(Kind.RELAY_REPLAYED, subject=row.subject, processor=row.processor, action=row.action)
    return result | {"result": "replayed"}


def _filter(status: str | None, processor: str | None) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [relay.c.id.is_not(None)]
    if status:
        conditions.append(relay.c.status == status)
    if processor:
        conditions.append(relay.c.processor == processor)
    return and_(*conditions)


def _summary(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id.hex(),
        "processor": row.processor,
        "action": row.action,
        "status": row.status,
        "outcome": row.outcome,
        "reason": row.reason,
        "attempts": row.attempts,
        "created_at": at(row.created_at_ms),
    }
