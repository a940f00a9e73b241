"""Suppressions: addresses that said stop and of which nothing else is known, or nothing any more.

Two reasons: `withdrawn` by somebody unknown, one row for each purpose; `erased`, one row for every purpose, those too
that come later. Both stand under a key of their own, and end with a confirmed yes that is newer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select

from ledger.identity import suppression_tags
from ledger.keyring import Key
from ledger.tables import suppression
from schemas.address import Address

WITHDRAWN, ERASED = "withdrawn", "erased"
EVERY_PURPOSE = "*"


@dataclass(frozen=True, slots=True)
class Suppression:
    """`purpose` may be EVERY_PURPOSE."""

    purpose: str
    effective_at_ms: int
    reason: str

    def covers(self, purpose: str) -> bool:
        return self.purpose in (purpose, EVERY_PURPOSE)


_COLUMNS = (suppression.c.purpose, suppression.c.effective_at_ms, suppression.c.reason)
_FIND = select(*_COLUMNS).where(suppression.c.tag.in_(bindparam("tags", expanding=True)))
_REMOVE = delete(suppression).where(
    suppression.c.tag.in_(bindparam("tags", expanding=True)),
    suppression.c.purpose.in_(bindparam("names", expanding=True)),
)
_INSERT = insert(suppression)


def find(connection: Connection, key: Key, address: Address) -> list[Suppression]:
    """All that an address has, under every live version of the key."""
    rows = connection.execute(_FIND, {"tags": _tags(key, address)})
    return [Suppression(row.purpose, row.effective_at_ms, row.reason) for row in rows]


def since_ms(found: Sequence[Suppression], purpose: str) -> int | None:
    """The latest stop that covers the purpose."""
    return max((one.effective_at_ms for one in found if one.covers(purpose)), default=None)


def is_erased(found: Iterable[Suppression]) -> bool:
    return any(one.reason == ERASED for one in found)


def keep(connection: Connection, key: Key, address: Address, new: Suppression) -> None:
    """The latest time that was ever said stays: an older withdrawal that comes late moves nothing."""
    known = [one for one in find(connection, key, address) if one.purpose == new.purpose]
    latest_ms = max([new.effective_at_ms, *(one.effective_at_ms for one in known)])
    reason = ERASED if is_erased([new, *known]) else WITHDRAWN
    _remove(connection, key, address, [new.purpose])
    version, tag = suppression_tags(key, address)[0]
    row = {"tag": tag, "purpose": new.purpose, "effective_at_ms": latest_ms, "reason": reason, "key_version": version}
    connection.execute(_INSERT, row)


def lift(connection: Connection, key: Key, address: Address, purposes: Sequence[str], others: Iterable[str]) -> None:
    """After a confirmed yes to `purposes`. An erasure goes on covering `others`, now one by one."""
    erasures = [one for one in find(connection, key, address) if one.purpose == EVERY_PURPOSE]
    _remove(connection, key, address, [*purposes, EVERY_PURPOSE])
    for erasure in erasures:
        for purpose in others:
            keep(connection, key, address, Suppression(purpose, erasure.effective_at_ms, erasure.reason))


def _remove(connection: Connection, key: Key, address: Address, purposes: Sequence[str]) -> None:
    connection.execute(_REMOVE, {"tags": _tags(key, address), "names": list(purposes)})


def _tags(key: Key, address: Address) -> list[bytes]:
    return [tag for _, tag in suppression_tags(key, address)]
