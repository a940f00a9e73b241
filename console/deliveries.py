"""`flask deliveries`: what came in, what became of it, and replaying what was parked."""

import json
from typing import Any

import click
from sqlalchemy import Row, select

from console.operator import Exit, Operator, Speaker, at, command, stop
from ledger.errors import NotFoundError, RefusedError
from ledger.inbox import PARKED, open_box, replace_box, unpark
from ledger.tables import inbox, ledger_entry
from schemas.entry import Kind
from schemas.message import format_message, parse_message
from schemas.refusal import NotUnderstood
from schemas.understanding import parse_parked, understand
from workers.queue import RECORD


@click.group()
def deliveries() -> None:
    """Inbound webhooks."""


@deliveries.command("list")
@click.option("--status", type=click.Choice(["new", "recorded", "parked"]))
@click.option("--source", help="e.g. form:newsletter or stripe")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@command
def list_deliveries(operator: Operator, speak: Speaker, status: str | None, source: str | None, limit: int) -> None:
    """The newest deliveries first."""
    query = select(inbox).order_by(inbox.c.id.desc()).limit(limit)
    if status:
        query = query.where(inbox.c.status == status)
    if source:
        query = query.where(inbox.c.source == source)
    with operator.context.database.read() as connection:
        rows = [_summary(row) for row in connection.execute(query)]
    speak.rows(rows, ["id", "received_at", "source", "status", "reason"], "No deliveries.")


@deliveries.command("show")
@click.argument("delivery", type=int)
@click.option("--reveal", is_flag=True, help="Open a parked body. This is recorded in the ledger.")
@command
def show(operator: Operator, speak: Speaker, delivery: int, reveal: bool) -> None:
    """One delivery and the entries it caused."""
    row = _find(operator, delivery)
    query = select(ledger_entry.c.position, ledger_entry.c.kind, ledger_entry.c.leaf)
    with operator.context.database.read() as connection:
        caused = connection.execute(query.where(ledger_entry.c.inbox_id == delivery).order_by(ledger_entry.c.position))
        entries = [
            {"position": one.position, "kind": one.kind, "purpose": json.loads(one.leaf).get("purpose")}
            for one in caused
        ]
    document = _summary(row) | {"recorded_at": at(row.recorded_at_ms), "secret": row.key_id, "entries": entries}
    if reveal:
        document["body"] = _reveal(operator, row)
    speak.document(document)


def _reveal(operator: Operator, row: Row[Any]) -> Any:
    if row.box is None:
        raise RefusedError("body_is_gone")
    operator.record_deed(Kind.REVEALED)
    return json.loads(open_box(operator.context.keyring, row))


@deliveries.command("replay")
@click.argument("delivery", type=int, nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Say what would happen, and do nothing.")
@command
def replay(operator: Operator, speak: Speaker, delivery: tuple[int, ...], dry_run: bool) -> None:
    """Understand parked deliveries anew, with today's policy, and record them."""
    results = [{"id": one, "result": _replay(operator, one, dry_run)} for one in delivery]
    if not dry_run:
        operator.ring(RECORD)
    speak.rows(results, ["id", "result"], "")
    understood = sum(result["result"] in ("replayed", "would_replay") for result in results)
    if understood < len(results):
        stop(Exit.PARTIAL if understood else Exit.REFUSED, "not_all_understood")


def _replay(operator: Operator, delivery: int, dry_run: bool) -> str:
    try:
        row = _find(operator, delivery)
    except NotFoundError as error:
        return error.reason
    if row.status != PARKED:
        return "not_parked"
    if row.box is None:
        return "body_is_gone"
    context = operator.context
    body = open_box(context.keyring, row)
    try:
        new_body = _understand_anew(operator, row.source, body)
    except NotUnderstood as refused:
        return refused.reason
    if dry_run:
        return "would_replay"
    with context.database.write() as connection:
        box = replace_box(context.keyring, row, new_body)
        if not unpark(connection, delivery, box):
            return "not_parked"
    operator.record_deed(Kind.DELIVERY_REPLAYED)
    return "replayed"


def _understand_anew(operator: Operator, source: str, body: bytes) -> bytes:
    """A conflict was understood already; anything else is read again from its scrubbed body."""
    document = json.loads(body)
    if "type" in document:
        return format_message(parse_message(body))
    parsed, signed_at_ms = parse_parked(body)
    context = operator.context
    return format_message(
        understand(context.policy, source, parsed, signed_at_ms, context.settings.stripe_mode).message
    )


def _find(operator: Operator, delivery: int) -> Row[Any]:
    with operator.context.database.read() as connection:
        row = connection.execute(select(inbox).where(inbox.c.id == delivery)).one_or_none()
    if row is None:
        raise NotFoundError("delivery_not_found")
    return row


def _summary(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "received_at": at(row.received_at_ms),
        "source": row.source,
        "status": row.status,
        "reason": row.reason,
    }
