"""`flask subjects`: one person's states, entries and relays. Addresses are redacted unless revealed."""

import json
from dataclasses import replace
from typing import Any

import click
from sqlalchemy import Connection, select

from console.addresses import email_option
from console.export import export
from console.operator import Operator, Speaker, at, command
from console.rights import erase, find, rectify, restrict, unrestrict
from ledger import restriction, vault
from ledger.log import NewEntry, append_many, new_id
from ledger.state import read_states
from ledger.tables import ledger_entry, relay
from schemas.address import parse_address, redact
from schemas.entry import Entry, Kind
from workers.context import now_ms


@click.group()
def subjects() -> None:
    """Data subjects."""


@subjects.command("show")
@email_option
@click.option("--reveal", is_flag=True, help="Show the addresses and the profile. This is recorded in the ledger.")
@command
def show(operator: Operator, speak: Speaker, email: str, reveal: bool) -> None:
    """What is recorded about one person."""
    context, handle = operator.context, find(operator, email)
    with context.database.write() as connection:
        person = vault.load_subject(connection, context.keyring["kek"], handle)
        document: dict[str, Any] = {
            "subject": handle.hex(),
            "restricted": restriction.reason_of(connection, handle),
            "addresses": [],
            "purposes": _purposes(connection, handle),
            "entries": _entries(connection, handle),
            "relays": _relays(connection, handle),
        }
        if reveal:  # said in the ledger before anything is opened
            entry = Entry(new_id(now_ms()), Kind.REVEALED, now_ms(), handle, source="operator", method="operator")
            append_many(connection, [NewEntry(entry)])
            person = replace(person, restricted=False)
            document["payloads"] = vault.open_payloads(connection, person)
        if not person.restricted:
            shown = str if reveal else _redacted
            document["addresses"] = [shown(one) for one in vault.emails(connection, person)]
    speak.document(document)


def _redacted(email: str) -> str:
    return redact(parse_address(email))


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
            "about": leaf.get("purpose") or leaf.get("right") or leaf.get("processor"),
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


for _command in (erase, export, rectify, restrict, unrestrict):
    subjects.add_command(_command)
