"""`flask requests`: what people have asked for under the GDPR, and until when it must be answered."""

from dataclasses import replace
from typing import Any

import click
from sqlalchemy import Connection, Row, select

from console.operator import Operator, Speaker, at, command, hex_id
from console.request_deeds import DEEDS
from ledger import requests as rights_requests
from ledger import vault
from ledger.deadlines import days_left, local_day
from ledger.errors import NotFoundError
from ledger.log import NewEntry, append_many, new_id
from ledger.tables import ledger_entry, rights_request
from schemas.address import parse_address, redact
from schemas.entry import Entry, Kind, parse_leaf
from workers.context import now_ms

COLUMNS = ("id", "right", "source", "status", "asked", "confirmed", "due", "days_left", "extended")


@click.group()
def requests() -> None:
    """Rights requests."""


for _deed in DEEDS:
    requests.add_command(_deed)


@requests.command("list")
@click.option(
    "--status", type=click.Choice(rights_requests.STATUSES), help="Only these; without it, those that are open."
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@command
def list_requests(operator: Operator, speak: Speaker, status: str | None, limit: int) -> None:
    """What must be answered, the most urgent first; then what waits for the person's confirmation."""
    wanted = [status] if status else list(rights_requests.OPEN)
    due = rights_request.c.due_at_ms
    query = select(rights_request).where(rights_request.c.status.in_(wanted)).limit(limit)
    with operator.context.database.read() as connection:
        found = connection.execute(query.order_by(due.is_(None), due, rights_request.c.asked_at_ms)).all()
    speak.rows([_summary(row, now_ms()) for row in found], COLUMNS, "No requests.")


@requests.command("show")
@click.argument("request_id")
@click.option("--reveal", is_flag=True, help="Show the person's addresses. This is recorded in the ledger.")
@command
def show(operator: Operator, speak: Speaker, request_id: str, reveal: bool) -> None:
    """One request, by its id, and its entries."""
    with operator.context.database.write() as connection:
        key = hex_id(request_id)
        row = connection.execute(select(rights_request).where(rights_request.c.id == key)).one_or_none()
        if row is None:
            raise NotFoundError("request_not_found")
        document = _summary(row, now_ms()) | {"subject": row.subject.hex()}
        document["addresses"] = _addresses(operator, connection, row, reveal)
        document["entries"] = _entries(connection, row)
    speak.document(document)


def _addresses(operator: Operator, connection: Connection, row: Row[Any], reveal: bool) -> list[str]:
    """Of somebody who is erased there is none; of somebody restricted none is opened unless an entry says so."""
    try:
        person = vault.load_subject(connection, operator.context.keyring["kek"], row.subject)
    except NotFoundError:
        return []
    if reveal:
        now = now_ms()
        entry = Entry(
            new_id(now), Kind.REVEALED, now, row.subject, source="operator", method="operator", ref=row.id.hex()
        )
        append_many(connection, [NewEntry(entry)])
        return list(vault.emails(connection, replace(person, restricted=False)))
    return [] if person.restricted else [redact(parse_address(one)) for one in vault.emails(connection, person)]


def _entries(connection: Connection, row: Row[Any]) -> list[dict[str, Any]]:
    """What the ledger says about this request."""
    query = select(ledger_entry.c.position, ledger_entry.c.leaf).where(ledger_entry.c.subject == row.subject)
    leaves = [(one.position, parse_leaf(one.leaf)) for one in connection.execute(query.order_by("position"))]
    return [
        {"position": position, "recorded_at": at(entry.recorded_at_ms), "kind": entry.kind.value}
        for position, entry in leaves
        if row.id.hex() in (entry.id, entry.ref)
    ]


def _summary(row: Row[Any], now: int) -> dict[str, Any]:
    """`days_left`: of what is still to be answered."""
    is_due = row.status == rights_requests.CONFIRMED
    return {
        "id": row.id.hex(),
        "right": row.right,
        "source": row.source,
        "status": row.status,
        "asked": at(row.asked_at_ms),
        "confirmed": at(row.confirmed_at_ms),
        "due": row.due_at_ms and local_day(row.due_at_ms).isoformat(),
        "days_left": days_left(row.due_at_ms, now) if is_due else None,
        "extended": at(row.extended_at_ms),
        "ended": at(row.ended_at_ms),
        "reason": row.reason,
    }
