"""Recognition: the marks by which a delivery that comes again is known, under every version of the index pepper.

A mark is keyed: a sender may make its ids of names or addresses, and a body with few unknowns could be guessed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from ledger.identity import other_versions
from ledger.keyring import Key
from ledger.sealing import tag


@dataclass(frozen=True, slots=True)
class Mark:
    """Tags of one delivery under one version of the pepper. `sender_id` is hex, or None where the sender has no ids."""

    key_version: int
    digest: bytes
    sender_id: str | None


def marks_of(pepper: Key, source: str, sender_id: str | None, content: bytes) -> list[Mark]:
    """The mark under the current version, which a new row gets, then those that older rows may have."""
    return [_mark(pepper, version, source, sender_id, content) for version in (pepper.current, *other_versions(pepper))]


def _mark(pepper: Key, version: int, source: str, sender_id: str | None, content: bytes) -> Mark:
    key = pepper.versions[version]
    digest = tag(key, "body", f"{source}\x00{content.hex()}")
    return Mark(version, digest, tag(key, "id", f"{source}\x00{sender_id}").hex() if sender_id else None)


def wait_for_twins(connection: Connection, marks: Sequence[Mark]) -> None:
    """Twins that arrive at once and have no unique key to meet at queue here; SQLite has one writer anyway.

    They are those without an id and, in a rotation, those that two processes mark under different versions.
    """
    if connection.dialect.name == "sqlite" or (len(marks) == 1 and marks[0].sender_id):
        return
    for mark in sorted(marks, key=lambda one: one.key_version):  # in one order for everybody: no deadlock
        twin = bytes.fromhex(mark.sender_id) if mark.sender_id else mark.digest
        connection.execute(select(func.pg_advisory_xact_lock(int.from_bytes(twin[:8], "big", signed=True))))
