"""The vault: subjects, their wrapped data keys, their addresses as tags, and their sealed payloads."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from ledger.errors import NotFoundError, RefusedError
from ledger.identity import AddressTags
from ledger.keyring import KEY_SIZE_BYTES, Key
from ledger.sealing import SALT_SIZE_BYTES, commitment, seal, seal_versioned, unseal, unseal_versioned
from ledger.tables import ledger_entry, pending_withdrawal, subject, subject_address, vault

HANDLE_SIZE_BYTES = 16
SPELLING = "spelling"  # in a payload: an address that is perhaps this person's, and perhaps somebody else's


@dataclass(frozen=True, slots=True)
class Subject:
    """A data subject: a random handle, and the key that opens this person's boxes.

    `restricted`: nothing of this person is opened before an entry says so (ledger.restriction.open_restricted).
    """

    handle: bytes
    data_key: bytes
    language: str
    restricted: bool = False

    def __repr__(self) -> str:
        return "Subject(redacted)"


# Prepared once: SQLAlchemy takes longer to put a statement together than the database to run it.
_INSERT_SUBJECT, _INSERT_ADDRESS = insert(subject), insert(subject_address)
_BY_HANDLE = select(subject).where(subject.c.handle == bindparam("key"))
_BY_NARROW = select(subject_address.c.subject).where(subject_address.c.narrow.in_(bindparam("tags", expanding=True)))
_BY_WIDE = select(subject_address.c.subject).where(subject_address.c.wide.in_(bindparam("tags", expanding=True)))


def new_handle() -> bytes:
    return secrets.token_bytes(HANDLE_SIZE_BYTES)


def create_subject(connection: Connection, kek: Key, tags: AddressTags, language: str, now_ms: int) -> Subject:
    created = Subject(new_handle(), secrets.token_bytes(KEY_SIZE_BYTES), language)
    wrapped = seal_versioned(kek, created.data_key, created.handle)
    connection.execute(
        _INSERT_SUBJECT,
        {"handle": created.handle, "data_key": wrapped, "language": language, "created_at_ms": now_ms},
    )
    add_address(connection, created.handle, tags)
    return created


def add_address(connection: Connection, handle: bytes, tags: AddressTags) -> None:
    """One more spelling of a person, which nobody has."""
    for older in tags.older:  # in a rotation of the key: all spellings of one mailbox go on finding each other
        for table in (subject_address, pending_withdrawal):
            connection.execute(update(table).where(table.c.wide == older.wide).values(wide=tags.wide))
    row = {"narrow": tags.narrow, "wide": tags.wide, "subject": handle, "key_version": tags.key_version}
    connection.execute(_INSERT_ADDRESS, row)


def load_subject(connection: Connection, kek: Key, handle: bytes) -> Subject:
    row = connection.execute(_BY_HANDLE, {"key": handle}).one_or_none()
    if row is None:
        raise NotFoundError("subject_not_found")
    data_key = unseal_versioned(kek, row.data_key, handle)
    return Subject(handle, data_key, row.language, restricted=row.restricted_at_ms is not None)


def find_by_narrow(connection: Connection, tags: AddressTags) -> bytes | None:
    """Whose address this is for certain."""
    return connection.execute(_BY_NARROW, {"tags": tags.narrows}).scalar_one_or_none()


def find_by_wide(connection: Connection, tags: AddressTags) -> list[bytes]:
    """Everybody whom the address may mean."""
    return _of_wide(connection, tags.wides)


def _of_wide(connection: Connection, wides: Sequence[bytes]) -> list[bytes]:
    return sorted(set(connection.execute(_BY_WIDE, {"tags": list(wides)}).scalars()))


def siblings(connection: Connection, handle: bytes) -> list[bytes]:
    """Every subject that may be the same person, the subject itself among them."""
    return _of_wide(connection, wide_tags(connection, handle))


def wide_tags(connection: Connection, handle: bytes) -> list[bytes]:
    found = connection.execute(select(subject_address.c.wide).where(subject_address.c.subject == handle))
    return list(found.scalars())


def for_erasure(person: Subject) -> Subject:
    """The same with boxes that can be opened: the entry of the erasure says why, and nothing is left to open."""
    return replace(person, restricted=False)


def seal_payload(person: Subject, entry_id: str, payload: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """(commitment for the leaf, box for the vault). The box holds salt || payload, bound to the entry's id."""
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    salt = secrets.token_bytes(SALT_SIZE_BYTES)
    return commitment(salt, text), seal(person.data_key, salt + text, bytes.fromhex(entry_id))


def open_payload(person: Subject, entry_id: bytes, box: bytes) -> tuple[bytes, bytes]:
    """(salt, payload bytes) of one box. RefusedError before there is an entry that says who opens it and why."""
    if person.restricted:
        raise RefusedError("subject_restricted")
    opened = unseal(person.data_key, box, entry_id)
    return opened[:SALT_SIZE_BYTES], opened[SALT_SIZE_BYTES:]


def open_payloads(connection: Connection, person: Subject) -> list[dict[str, Any]]:
    """Everything sealed about a person, oldest first."""
    rows = connection.execute(
        select(ledger_entry.c.id, vault.c.box)
        .join(ledger_entry, ledger_entry.c.position == vault.c.position)
        .where(vault.c.subject == person.handle)
        .order_by(vault.c.position)
    )
    return [json.loads(open_payload(person, row.id, row.box)[1]) for row in rows]


def emails(connection: Connection, person: Subject) -> tuple[str, ...]:
    """Every address that is this person's for certain, as it was spelled, oldest first. Mails go nowhere else."""
    return _addresses(connection, person, "email")


def emails_to_stop(connection: Connection, person: Subject) -> tuple[str, ...]:
    """Also the spellings by which a withdrawal may have meant this person: those must fall silent too."""
    return tuple(dict.fromkeys(emails(connection, person) + _addresses(connection, person, SPELLING)))


def _addresses(connection: Connection, person: Subject, field: str) -> tuple[str, ...]:
    found = [payload[field] for payload in open_payloads(connection, person) if payload.get(field)]
    return tuple(dict.fromkeys(found))
