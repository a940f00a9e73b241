"""Links in mails: random ids in an erasable table; the token that carries one says nothing about a person."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, bindparam, insert, select, update

from ledger.tables import link, subject_address

LINK_ID_SIZE_BYTES = 16
WITHDRAW, CONFIRM, REQUEST = "withdraw", "confirm", "request"
OPEN, USED, CLOSED = "open", "used", "closed"
DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Link:
    """`purposes` empty means all; of a request, it is the right. `request_ids`: entries that a confirmation answers."""

    id: bytes
    kind: str
    subject: bytes
    purposes: tuple[str, ...]
    status: str
    created_at_ms: int
    request_ids: tuple[str, ...]

    def can_confirm(self, at_ms: int, days: int) -> bool:
        """Whether what it asks may still be answered with yes, so many days after it was asked."""
        return self.status == OPEN and self.created_at_ms >= at_ms - days * DAY_MS


_INSERT = insert(link)
_ASKED_SINCE = (
    select(link)
    .join(subject_address, subject_address.c.subject == link.c.subject)
    .where(
        subject_address.c.wide.in_(bindparam("wides", expanding=True)),
        link.c.kind.in_((CONFIRM, REQUEST)),
        link.c.created_at_ms > bindparam("since_ms"),
    )
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
            "status": OPEN,
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


def confirmations(connection: Connection, subject: bytes, kind: str = CONFIRM) -> list[Link]:
    """Every question of a kind that was mailed to a subject, answered or not, oldest first."""
    condition = (link.c.subject == subject) & (link.c.kind == kind)
    return [_link(row) for row in connection.execute(select(link).where(condition).order_by(link.c.created_at_ms))]


def asked_since(connection: Connection, wides: Sequence[bytes], since_ms: int) -> list[Link]:
    """Every question of either kind that went to a mailbox after `since_ms`, whatever the spelling of its address."""
    rows = connection.execute(_ASKED_SINCE, {"wides": list(wides), "since_ms": since_ms})
    return [_link(row) for row in rows]


def use(connection: Connection, link_id: bytes) -> None:
    connection.execute(update(link).where(link.c.id == link_id).values(status=USED))


def close_confirmations(connection: Connection, subject: bytes) -> None:
    """After a withdrawal no older sign-up of the person can be confirmed any more."""
    _close(connection, (link.c.subject == subject) & (link.c.kind == CONFIRM))


def close_requests(connection: Connection, subject: bytes, right: str) -> None:
    """Once a request is confirmed, the same question asked before needs no other answer."""
    _close(connection, (link.c.subject == subject) & (link.c.kind == REQUEST) & (link.c.purposes == right))


def _close(connection: Connection, condition: ColumnElement[bool]) -> None:
    connection.execute(update(link).where(condition & (link.c.status == OPEN)).values(status=CLOSED))


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
