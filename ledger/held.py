"""Held: everything that this service holds about one person, as plain data (GDPR Articles 15 and 20).

Only what is theirs for certain. A spelling that may be somebody else's is left out, and so is a suppression: its tag
fits every spelling of a mailbox, and does not say whose it is.
"""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, Table, select

from ledger import restriction, vault
from ledger.links import split
from ledger.redaction import Payload, open_boxes
from ledger.state import read_states
from ledger.tables import ledger_entry, link, product_access, relay, rights_request, subject
from ledger.vault import SPELLING, Subject
from schemas.entry import format_time
from schemas.policy import Policy, Text

Document = dict[str, Any]


def held(connection: Connection, policy: Policy, person: Subject) -> Document:
    """The ledger's part of an access answer. An entry that says who opens it and why comes first (RefusedError).

    Times are RFC 3339 UTC; words are those of docs/reference/export.md.
    """
    boxes = list(open_boxes(connection, person))
    profile: dict[str, str] = {}
    for _, _, payload in boxes:
        profile |= {name: str(payload[name]) for name in policy.personal_data if name in payload and name != "email"}
    entries = [json.loads(leaf) for leaf in _leaves(connection, person.handle)]
    return {
        "subject": person.handle.hex(),
        "language": person.language,
        "known_since": _known_since(connection, person.handle),
        "restricted": restriction.reason_of(connection, person.handle),
        "addresses": list(vault.emails(connection, person)),
        "profile": {name: value for name, value in profile.items() if value},
        "consents": _consents(connection, policy, person.handle),
        "sealed": [_sealed(entry_id, payload) for _, entry_id, payload in boxes],
        "entries": entries,
        "notices": _notices(policy, entries),
        "requests": [_request(row) for row in _rows(connection, rights_request, person.handle, "asked_at_ms")],
        "links": [_link(row) for row in _rows(connection, link, person.handle, "created_at_ms")],
        "relays": [_relay(row) for row in _rows(connection, relay, person.handle, "sequence")],
        "products": [_product(policy, row) for row in _rows(connection, product_access, person.handle, "product")],
    }


def _leaves(connection: Connection, handle: bytes) -> Iterable[bytes]:
    query = select(ledger_entry.c.leaf).where(ledger_entry.c.subject == handle).order_by(ledger_entry.c.position)
    return connection.execute(query).scalars()


def _rows(connection: Connection, table: Table, handle: bytes, order: str) -> list[Row[Any]]:
    return list(connection.execute(select(table).where(table.c.subject == handle).order_by(table.c[order])))


def _known_since(connection: Connection, handle: bytes) -> str | None:
    return _time(connection.execute(select(subject.c.created_at_ms).where(subject.c.handle == handle)).scalar())


def _consents(connection: Connection, policy: Policy, handle: bytes) -> list[Document]:
    return [
        {
            "purpose": key,
            "name": _words(policy.purposes[key].name) if key in policy.purposes else None,
            "state": state.state,
            "since": format_time(state.effective_at_ms),
        }
        for key, state in sorted(read_states(connection, handle).items())
    ]


def _sealed(entry_id: bytes, payload: Payload) -> Document:
    """What was sealed with an entry, without a spelling of whoever it may be."""
    return {"entry": entry_id.hex(), **{name: value for name, value in payload.items() if name != SPELLING}}


def _notices(policy: Policy, entries: Iterable[Document]) -> list[Document]:
    """The texts that the person was shown, as far as an entry says which."""
    shown = {leaf.get("notice") for leaf in entries}
    return [
        {"notice": one.key, "published": one.published_at, "url": one.url, "sha256": one.sha256}
        for one in policy.notices.values()
        if one.key in shown
    ]


def _request(row: Row[Any]) -> Document:
    return {
        "id": row.id.hex(),
        "right": row.right,
        "status": row.status,
        "asked": _time(row.asked_at_ms),
        "confirmed": _time(row.confirmed_at_ms),
        "due": _time(row.due_at_ms),
        "extended": _time(row.extended_at_ms),
        "ended": _time(row.ended_at_ms),
        "reason": row.reason,
    }


def _link(row: Row[Any]) -> Document:
    """Without its id: whoever has that could use it."""
    return {
        "kind": row.kind,
        "about": list(split(row.purposes)),
        "status": row.status,
        "made": _time(row.created_at_ms),
    }


def _relay(row: Row[Any]) -> Document:
    return {
        "processor": row.processor,
        "action": row.action,
        "purposes": list(split(row.purposes)),
        "status": row.status,
        "outcome": row.outcome,
        "reason": row.reason,
        "made": _time(row.created_at_ms),
        "changed": _time(row.updated_at_ms),
        "retained_until": _time(row.retained_until_ms),
    }


def _product(policy: Policy, row: Row[Any]) -> Document:
    known = policy.products.get(row.product)
    return {"product": row.product, "name": _words(known.name) if known else None, "status": row.status}


def _words(text: Text) -> dict[str, str]:
    return {"nb": text.nb, "en": text.en}


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_time(at_ms)
