"""The intake's memory: how far a source that is asked has been read, and which of its deliveries are here already."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from ledger.keyring import Key
from ledger.recognition import marks_of
from ledger.tables import inbox, intake_position


@dataclass(frozen=True, slots=True)
class Position:
    """`place`: an id of the source's own. `checked_at_ms`: until then nothing is missing. `found`: what only asking
    brought, ever. `expires_at_ms`: until when the source tells of news by itself.
    """

    place: str
    checked_at_ms: int
    found: int
    expires_at_ms: int | None = None


def read_position(connection: Connection, source: str) -> Position | None:
    row = connection.execute(select(intake_position).where(intake_position.c.source == source)).one_or_none()
    return None if row is None else Position(row.position, row.checked_at_ms, row.found, row.expires_at_ms)


def write_position(connection: Connection, source: str, place: str, checked_at_ms: int, found: int = 0) -> None:
    """`found`: how many more."""
    values: dict[str, object] = {"position": place, "checked_at_ms": checked_at_ms}
    changed = connection.execute(
        update(intake_position)
        .where(intake_position.c.source == source)
        .values(**values, found=intake_position.c.found + found)
    )
    if changed.rowcount == 0:
        connection.execute(insert(intake_position).values(**values, source=source, found=found))


def write_expiry(connection: Connection, source: str, expires_at_ms: int) -> None:
    """Until when the source tells of news by itself; nothing, where there is no position yet."""
    connection.execute(
        update(intake_position).where(intake_position.c.source == source).values(expires_at_ms=expires_at_ms)
    )


def known_ids(connection: Connection, pepper: Key, source: str, sender_ids: Iterable[str]) -> set[str]:
    """Those of a source's own ids that stand in the inbox: they need not be taken in, nor looked at, again.

    Whether the body is still the same is not asked: a policy that has changed since reads it otherwise.
    """
    ids_of_keys = {
        mark.sender_id: sender_id for sender_id in sender_ids for mark in marks_of(pepper, source, sender_id, b"")
    }
    rows = select(inbox.c.delivery_key).where(inbox.c.source == source, inbox.c.delivery_key.in_(ids_of_keys))
    return {ids_of_keys[key] for key in connection.execute(rows).scalars()}
