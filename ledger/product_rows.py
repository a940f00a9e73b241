"""The rows of product access: which payment has given what to whom, and whether it still does.

A payment is known by keyed tags of its names at the processor, for nothing in an event of a refund says who paid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, insert, select, update

from ledger.keyring import Key
from ledger.sealing import tag
from ledger.tables import product_access
from schemas.entry import Entry, Kind

GRANTED, REVOKED = "granted", "revoked"
ENDED = "*"  # in the place of a product: the payment was given back, whatever it was for
NOBODY = b""


@dataclass(frozen=True, slots=True)
class Payment:
    """The tags of a payment's names under the key's current version, and under every live one."""

    current: tuple[bytes, ...]
    known: tuple[bytes, ...]
    key_version: int


def payment_of(pepper: Key, names: Sequence[str]) -> Payment:
    tags = {version: tuple(tag(key, "payment", name) for name in names) for version, key in pepper.versions.items()}
    return Payment(tags[pepper.current], tuple(one for version in tags.values() for one in version), pepper.current)


def given_by(connection: Connection, payment: Payment) -> dict[str, Row[Any]]:
    """Product to its row; ENDED is one of them."""
    rows = connection.execute(select(product_access).where(product_access.c.tag.in_(payment.known)))
    return {row.product: row for row in rows}


def write(
    connection: Connection, payment: Payment, product: str, grant_id: bytes, handle: bytes, status: str = GRANTED
) -> None:
    """A row for every name of the payment that has none for this product."""
    same = product_access.c.tag.in_(payment.current) & (product_access.c.product == product)
    there = set(connection.execute(select(product_access.c.tag).where(same)).scalars())
    values = {"product": product, "grant": grant_id, "subject": handle, "status": status}
    rows = [values | {"tag": one, "key_version": payment.key_version} for one in payment.current if one not in there]
    if rows:
        connection.execute(insert(product_access), rows)


def revoke(connection: Connection, grant_id: bytes) -> None:
    by_grant = product_access.c.grant == grant_id
    connection.execute(update(product_access).where(by_grant).values(status=REVOKED))


def adopt(connection: Connection, payment: Payment, product: str, handle: bytes) -> bool:
    """Whether a restore brought this grant back without the names of its payment, which it has now."""
    mine = (product_access.c.subject == handle) & (product_access.c.product == product)
    nameless = mine & (product_access.c.tag == product_access.c.grant)
    row = connection.execute(select(product_access).where(nameless).limit(1)).one_or_none()
    if row is None:
        return False
    connection.execute(delete(product_access).where(product_access.c.tag == row.tag))
    write(connection, payment, product, row.grant, handle, row.status)
    return True


def bring_back(connection: Connection, pepper: Key, entry: Entry) -> None:
    """After a restore, from the leaf alone: it names no payment, so the row waits until that is told again."""
    if entry.kind is Kind.ACCESS_REVOKED:
        revoke(connection, bytes.fromhex(entry.ref or ""))
        return
    grant_id = bytes.fromhex(entry.id)
    nameless = Payment((grant_id,), (grant_id,), pepper.current)
    write(connection, nameless, entry.product or "", grant_id, entry.subject or NOBODY)


def is_granted(connection: Connection, handle: bytes, product: str) -> bool:
    """Whether any payment gives it to this person now."""
    mine = (product_access.c.subject == handle) & (product_access.c.product == product)
    query = select(exists().where(mine, product_access.c.status == GRANTED))
    return bool(connection.execute(query).scalar_one())


def has_any(handle: ColumnElement[bytes]) -> ColumnElement[bool]:
    """Of a column of handles: whether that person has access to anything, and so is not to be forgotten."""
    return exists().where(product_access.c.subject == handle, product_access.c.status == GRANTED)
