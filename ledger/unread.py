"""Unread fields: names, never values, of what a sender sends and nobody reads, so that a renamed field is noticed."""

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, insert, select, update

from ledger.tables import unread_field

NAMES_MAX = 200  # of one source: a name is text from outside, and a sender may make up new ones for ever

_KNOWN = select(unread_field.c.name).where(unread_field.c.source == bindparam("of"))
_ADD = insert(unread_field)
_COUNT = (
    update(unread_field)
    .where(unread_field.c.source == bindparam("of"), unread_field.c.name == bindparam("called"))
    .values(count=unread_field.c.count + bindparam("more"), seen_at_ms=bindparam("at_ms"))
)


def count_unread(connection: Connection, seen: Mapping[str, Counter[str]], now_ms: int) -> None:
    """`seen`: source -> name -> how often. The caller holds the head's lock, so nobody else adds a name meanwhile."""
    for source, names in sorted((source, names) for source, names in seen.items() if names):
        known = set(connection.execute(_KNOWN, {"of": source}).scalars())
        new = sorted(names.keys() - known)[: max(0, NAMES_MAX - len(known))]
        counted = sorted(names.keys() & known)
        if counted:
            rows = [{"of": source, "called": name, "more": names[name], "at_ms": now_ms} for name in counted]
            connection.execute(_COUNT, rows)
        if new:
            added = [{"source": source, "name": name, "count": names[name], "seen_at_ms": now_ms} for name in new]
            connection.execute(_ADD, added)
