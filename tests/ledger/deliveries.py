"""Deliveries as they lie in the inbox afterwards, so long ago, with the entries that they caused."""

import secrets
from collections.abc import Sequence

from sqlalchemy import insert

from ledger.log import NewEntry, append_many, new_id
from ledger.tables import inbox
from schemas.entry import Entry, Kind
from tests.world import World


def deliver(world: World, now_ms: int, *ages_ms: int, source: str, **values: object) -> list[int]:
    """Returns the ids of the rows, in the order given."""
    common = {"source": source, "body_digest": b"", "status": "recorded", "urgent": 0, "attempts": 0, **values}
    rows = [{**common, "delivery_key": secrets.token_hex(8), "received_at_ms": now_ms - age_ms} for age_ms in ages_ms]
    with world.database.write() as connection:
        return [connection.execute(insert(inbox).values(row)).inserted_primary_key[0] for row in rows]


def cause(world: World, inbox_id: int, *kinds: Kind) -> None:
    """The entries of a delivery, in one transaction."""
    entries = [NewEntry(Entry(new_id(0), kind, 0), None, inbox_id, ordinal) for ordinal, kind in enumerate(kinds)]
    with world.database.write() as connection:
        append_many(connection, entries)


def answer(world: World, now_ms: int, source: str, *forms: Sequence[Kind]) -> None:
    """A form a second, oldest first, each with the entries that it caused."""
    for number, kinds in enumerate(forms):
        (inbox_id,) = deliver(world, now_ms, (len(forms) - number) * 1000, source=source)
        cause(world, inbox_id, *kinds)
