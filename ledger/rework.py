"""Rework: what was made under older versions of a key is made anew under the current one, while the service runs.

In bounded transactions and in the order of the rows' ids. Interrupted anywhere, a second run does the rest; whatever
another process changes meanwhile is left as that process made it.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, Connection, Row, bindparam, select, update

from ledger import vault
from ledger.database import Database
from ledger.errors import SealError
from ledger.identity import AddressTags, address_tags
from ledger.inbox import open_box, replace_box
from ledger.key_uses import box_version
from ledger.keyring import Key, Keyring
from ledger.log import lock_head
from ledger.restriction import open_restricted
from ledger.sealing import seal_versioned, unseal_versioned
from ledger.tables import inbox, pending_withdrawal, relay, subject, subject_address
from schemas.address import parse_address

BOX_BATCH = 500  # about 10 ms of one transaction: nobody waits long for the writer
PERSON_BATCH = 20  # each is a read of its boxes as well
REASON = "key_rotation"
NOTES_CONTEXT = b"notes"  # before the id of the relay: what its notes are bound to
Progress = Callable[[int], object]


def rewrap(database: Database, kek: Key, progress: Progress) -> None:
    """Every person's data key, and the addresses and notes that relays keep, under the current key-encryption key."""
    for ids, boxes, prefix in (
        (subject.c.handle, subject.c.data_key, b""),
        (relay.c.id, relay.c.box, b""),
        (relay.c.id, relay.c.notes, NOTES_CONTEXT),
    ):
        _renew_boxes(database, ids, boxes, kek.current, _rewrapping(kek, ids.name, boxes.name, prefix), progress)


def _rewrapping(kek: Key, ids: str, boxes: str, prefix: bytes) -> Callable[[Row[Any]], bytes]:
    """Each is bound to the id of its row."""

    def renew(row: Row[Any]) -> bytes:
        context = prefix + row._mapping[ids]
        return seal_versioned(kek, unseal_versioned(kek, row._mapping[boxes], context), context)

    return renew


def reseal(database: Database, private: Key, progress: Progress) -> None:
    """Every delivery that waits or is parked, for the current inbox key."""
    keyring = Keyring("operator", {"inbox_private": private})

    def renew(row: Row[Any]) -> bytes:
        return replace_box(keyring, row, open_box(keyring, row))

    _renew_boxes(database, inbox.c.id, inbox.c.box, private.current, renew, progress)


def _renew_boxes(
    database: Database,
    ids: Column[Any],
    boxes: Column[Any],
    version: int,
    renew: Callable[[Row[Any]], bytes],
    progress: Progress,
) -> None:
    stale = select(ids.table).where(boxes.is_not(None), box_version(boxes) != bytes([version])).order_by(ids)
    # Only the box that was read is replaced: somebody may have erased the person, or recorded the delivery.
    same = (ids == bindparam("row_id")) & (boxes == bindparam("old"))
    store = update(ids.table).where(same).values({boxes: bindparam("new")})
    query = stale.limit(BOX_BATCH)
    while True:
        with database.read() as connection:
            rows = connection.execute(query).all()
        if not rows:
            return
        changes = [change for row in rows if (change := _change(row, ids.name, boxes.name, renew)) is not None]
        if changes:
            with database.write() as connection:
                connection.execute(store, changes)
        progress(len(rows))
        query = stale.where(ids > rows[-1]._mapping[ids.name]).limit(BOX_BATCH)


def _change(row: Row[Any], ids: str, boxes: str, renew: Callable[[Row[Any]], bytes]) -> dict[str, Any] | None:
    try:
        return {"row_id": row._mapping[ids], "old": row._mapping[boxes], "new": renew(row)}
    except SealError:  # it opened no more before this either; it stays, and with it the version that it names
        return None


def retag(database: Database, pepper: Key, kek: Key, now_ms: int, progress: Progress) -> None:
    """Every address under the current index pepper, by opening what is sealed about its person.

    An address that stands in no box cannot be tagged anew and stays under its version: of somebody who only ever
    refused, until that ends by itself (ledger.retention).
    """
    stale = select(subject_address.c.subject).where(subject_address.c.key_version != pepper.current).distinct()
    stale = stale.order_by(subject_address.c.subject).limit(PERSON_BATCH)
    query = stale
    while True:
        with database.write() as connection:
            lock_head(connection)  # nobody is created, erased or restricted meanwhile
            handles = connection.execute(query).scalars().all()
            for handle in handles:
                _retag_person(connection, pepper, kek, handle, now_ms)
        if not handles:
            return
        progress(len(handles))
        query = stale.where(subject_address.c.subject > handles[-1])


def _retag_person(connection: Connection, pepper: Key, kek: Key, handle: bytes, now_ms: int) -> None:
    try:
        person = open_restricted(connection, vault.load_subject(connection, kek, handle), REASON, now_ms)
        payloads = vault.open_payloads(connection, person)
    except SealError:
        return
    found = {payload.get(field) for payload in payloads for field in ("email", vault.SPELLING)}
    for address in filter(None, found):
        _move(connection, handle, address_tags(pepper, parse_address(address)))


# Prepared once: SQLAlchemy takes longer to put a statement together than the database to run it.
_HAS_OWNER = select(subject_address.c.subject).where(subject_address.c.narrow == bindparam("key"))
_MOVE_NARROW = (
    update(subject_address)
    .where(subject_address.c.narrow == bindparam("old"), subject_address.c.subject == bindparam("handle"))
    .values(narrow=bindparam("new"), key_version=bindparam("version"))
)
_MOVE_WIDE = [
    update(table).where(table.c.wide == bindparam("old")).values(wide=bindparam("new"))
    for table in (subject_address, pending_withdrawal)
]


def _move(connection: Connection, handle: bytes, tags: AddressTags) -> None:
    """One mailbox to its tags of the current version, with everybody who is found by the same wide tag."""
    for older in tags.older:
        if connection.execute(_HAS_OWNER, {"key": tags.narrow}).first() is None:
            values = {"old": older.narrow, "handle": handle, "new": tags.narrow, "version": tags.key_version}
            connection.execute(_MOVE_NARROW, values)
        for statement in _MOVE_WIDE:
            connection.execute(statement, {"old": older.wide, "new": tags.wide})
