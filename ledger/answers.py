"""Answers that wait behind a mailed link, each sealed under a key of its own that only the link holds.

Until its mail has left, that key is kept for the mail, sealed with the key-encryption key; then it is wiped, and
nobody but whoever has the link can open the box: neither who has the database, nor who has every key of ours.
"""

import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from ledger.errors import NotFoundError, SealError
from ledger.keyring import Key
from ledger.recorder import DAY_MS
from ledger.sealing import seal, seal_versioned, unseal, unseal_versioned
from ledger.tables import answer

KEY_SIZE_BYTES = 32
_BOX, _KEY = b"answer/box/", b"answer/key/"  # what each box is bound to, before the answer's id


@dataclass(frozen=True, slots=True)
class Waiting:
    """`key`: of the box, while the mail has not left; None afterwards."""

    id: bytes
    key: bytes | None

    def __repr__(self) -> str:
        return f"Waiting({self.id.hex()}, redacted)"


@dataclass(frozen=True, slots=True)
class NewAnswer:
    """`id`: that of the relay that mails it, 16 random bytes, so one mail has one answer. `bundle`: what is sealed."""

    id: bytes
    request_id: bytes
    subject: bytes
    bundle: bytes

    def __repr__(self) -> str:
        return f"NewAnswer({self.id.hex()}, redacted)"


def store(connection: Connection, kek: Key, new: NewAnswer, now_ms: int, days: int) -> Waiting:
    """Seal it under a fresh key. One that is stored already stays as it is: whoever comes second gets the first."""
    found = find(connection, kek, new.id)
    if found is not None:
        return found
    key = secrets.token_bytes(KEY_SIZE_BYTES)
    row = {
        "id": new.id,
        "request": new.request_id,
        "subject": new.subject,
        "box": seal(key, new.bundle, _BOX + new.id),
        "key_box": seal_versioned(kek, key, _KEY + new.id),
        "created_at_ms": now_ms,
        "expires_at_ms": now_ms + days * DAY_MS,
    }
    connection.execute(insert(answer), row)
    return Waiting(new.id, key)


def find(connection: Connection, kek: Key, answer_id: bytes) -> Waiting | None:
    """None also for one whose key the key-encryption key no longer opens: it is deleted, to be made anew."""
    row = connection.execute(select(answer.c.key_box).where(answer.c.id == answer_id)).one_or_none()
    if row is None:
        return None
    if row.key_box is None:
        return Waiting(answer_id, None)
    try:
        return Waiting(answer_id, unseal_versioned(kek, row.key_box, _KEY + answer_id))
    except SealError:
        connection.execute(delete(answer).where(answer.c.id == answer_id))
        return None


def forget_key(connection: Connection, answer_id: bytes) -> None:
    """Its mail has left: from here on only the link opens it."""
    connection.execute(update(answer).where(answer.c.id == answer_id).values(key_box=None))


def open_answer(connection: Connection, answer_id: bytes, key: bytes, now_ms: int) -> bytes:
    """The bundle. Raises NotFoundError alike for one that is unknown, expired or not opened by this key."""
    query = select(answer.c.box).where(answer.c.id == answer_id, answer.c.expires_at_ms > now_ms)
    box = connection.execute(query).scalar_one_or_none()
    try:
        if box is not None and len(key) == KEY_SIZE_BYTES:
            return unseal(key, box, _BOX + answer_id)
    except SealError:
        pass
    raise NotFoundError("answer_not_found")


def expire(connection: Connection, now_ms: int) -> int:
    """Delete those whose time is over. Returns how many."""
    return connection.execute(delete(answer).where(answer.c.expires_at_ms <= now_ms)).rowcount
