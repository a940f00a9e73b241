"""Links in mails: random ids in an erasable table; the token that carries one says nothing about a person."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, update

from ledger.tables import link

LINK_ID_SIZE_BYTES = 16
WITHDRAW, CONFIRM = "withdraw", "confirm"


@dataclass(frozen=True, slots=True)
class Link:
    """`purposes` empty means all. `request_ids`: entries that a confirmation answers."""

    id: bytes
    kind: str
    subject: bytes
    purposes: tuple[str, ...]
    status: str
    created_at_ms: int
    request_ids: tuple[str, ...]


_INSERT = insert(link)
_ASKED_SINCE = select(link).where(
    link.c.subject.in_(bindparam("handles", expanding=True)),
    link.c.kind == CONFIRM,
    link.c.created_at_ms > bindparam("since_ms"),
)


def split(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part)


def create_link(
    connection: Connection,
    kind: str,
    subject: bytes,
    now_ms: int,
    purposes: Sequence[str] = (),
    request_ids: Sequence[str] = (),
) -> bytes:
    link_id = secrets.token_bytes(LINK_ID_SIZE_BYTES)
    connection.execute(
        _INSERT,
        {
            "id": link_id,
            "kind": kind,
            "subject": subject,
            "purposes": ",".join(purposes),
            "status": "open",
            "created_at_ms": now_ms,
            "request_ids": ",".join(request_ids),
        },
    )
    return link_id


def find_link(connection: Connection, link_id: bytes) -> Link | None:
    row = connection.execute(select(link).where(link.c.id == link_id)).one_or_none()
    return None if row is None else _link(row)


def withdraw_link(connection: Connection, subject: bytes, now_ms: int) -> bytes:
    """The withdrawal link of a subject, made at first need; it never expires."""
    condition = (link.c.subject == subject) & (link.c.kind == WITHDRAW)
    found = connection.execute(select(link.c.id).where(condition)).scalars().first()
    return found if found is not None else create_link(connection, WITHDRAW, subject, now_ms)


def confirmations(connection: Connection, subject: bytes) -> list[Link]:
    """Every confirmation that was mailed to a subject, used or not, oldest first."""
    condition = (link.c.subject == subject) & (link.c.kind == CONFIRM)
    return [_link(row) for row in connection.execute(select(link).where(condition).order_by(link.c.created_at_ms))]


def asked_since(connection: Connection, subjects: Sequence[bytes], since_ms: int) -> list[Link]:
    """Every confirmation that was mailed to any of these after `since_ms`."""
    rows = connection.execute(_ASKED_SINCE, {"handles": list(subjects), "since_ms": since_ms})
    return [_link(row) for row in rows]


def use(connection: Connection, link_id: bytes) -> None:
    connection.execute(update(link).where(link.c.id == link_id).values(status="used"))


def close_confirmations(connection: Connection, subject: bytes) -> None:
    """After a withdrawal no older request of the person can be confirmed any more."""
    condition = (link.c.subject == subject) & (link.c.kind == CONFIRM) & (link.c.status == "open")
    connection.execute(update(link).where(condition).values(status="closed"))


def _link(row: object) -> Link:
    values = row._mapping  # type: ignore[attr-defined]
    return Link(
        values["id"],
        values["kind"],
        values["subject"],
        split(values["purposes"]),
        values["status"],
        values["created_at_ms"],
        split(values["request_ids"]),
    )
