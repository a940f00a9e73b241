"""`flask subjects show`: one person's states, entries and relays. Addresses are redacted unless revealed."""

import json
from typing import Any

import click
from sqlalchemy import Connection, select

from console.addresses import email_option, read_address
from console.operator import Operator, Speaker, at, command
from ledger import vault
from ledger.errors import NotFoundError
from ledger.identity import address_tags
from ledger.state import read_states
from ledger.tables import ledger_entry, relay
from schemas.address import parse_address, redact
from schemas.entry import Kind


@click.group()
def subjects() -> None:
    """Data subjects."""


@subjects.command("show")
@email_option
@click.option("--reveal", is_flag=True, help="Show the addresses and the profile. This is recorded in the ledger.")
@command
def show(operator: Operator, speak: Speaker, email: str, reveal: bool) -> None:
    """What is recorded about one person."""
    context = operator.context
    tags = address_tags(context.keyring["index_pepper"], read_address(email))
    with context.database.read() as connection:
        handle = vault.find_by_narrow(connection, tags)
        if handle is None:
            raise NotFoundError("subject_not_found")
        person = vault.load_subject(connection, context.keyring["kek"], handle)
        document: dict[str, Any] = {
            "subject": handle.hex(),
            "addresses": [redact(parse_address(one)) for one in vault.emails(connection, person)],
            "purposes": _purposes(connection, handle),
            "entries": _entries(connection, handle),
            "relays": _relays(connection, handle),
        }
        if reveal:
            document["addresses"] = list(vault.emails(connection, person))
            document["payloads"] = vault.open_payloads(connection, person)
    if reveal:
        operator.record_deed(Kind.REVEALED, subject=handle)
    speak.document(document)


def _purposes(connection: Connection, handle: bytes) -> list[dict[str, Any]]:
    return [
        {"purpose": purpose, "state": state.state, "since": at(state.effective_at_ms)}
        for purpose, state in sorted(read_states(connection, handle).items())
    ]


def _entries(connection: Connection, handle: bytes) -> list[dict[str, Any]]:
    query = select(ledger_entry).where(ledger_entry.c.subject == handle).order_by(ledger_entry.c.position)
    leaves = [(row, json.loads(row.leaf)) for row in connection.execute(query)]
    return [
        {
            "position": row.position,
            "recorded_at": leaf["recorded_at"],
            "kind": row.kind,
            "about": leaf.get("purpose") or leaf.get("processor"),
            "outcome": leaf.get("outcome") or leaf.get("reason"),
        }
        for row, leaf in leaves
    ]


def _relays(connection: Connection, handle: bytes) -> list[dict[str, Any]]:
    query = select(relay).where(relay.c.subject == handle).order_by(relay.c.sequence)
    return [
        {"processor": row.processor, "action": row.action, "status": row.status, "outcome": row.outcome}
        for row in connection.execute(query)
    ]
