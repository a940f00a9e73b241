"""The public keys that verify checkpoints and receipts, kept where the web process can read them: it holds no private
key, and a person's page must verify what the person holds.

Whoever wants to be certain takes them from elsewhere (docs/guides/verify-the-ledger.md): a database can be written to.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update

from ledger.note import NoteVerifier, format_vkey
from ledger.tables import heartbeat

CHECKPOINT, RECEIPT = "checkpoint", "receipt"
_PREFIX = "public_keys_"


def publish(connection: Connection, name: str, verifiers: Sequence[NoteVerifier], now_ms: int) -> None:
    """In a write, by whoever has just signed with the key. Nothing is written where nothing has changed."""
    lines = "\n".join(format_vkey(one.name, one.public_key) for one in verifiers)
    own = heartbeat.c.process == _PREFIX + name
    held = connection.execute(select(heartbeat.c.detail).where(own)).scalar_one_or_none()
    if held is None:
        connection.execute(insert(heartbeat), {"process": _PREFIX + name, "at_ms": now_ms, "detail": lines})
    elif held != lines:
        connection.execute(update(heartbeat).where(own).values(detail=lines, at_ms=now_ms))


def published(connection: Connection, name: str) -> tuple[NoteVerifier, ...]:
    """Empty before anything was signed."""
    held = connection.execute(select(heartbeat.c.detail).where(heartbeat.c.process == _PREFIX + name)).scalar()
    return tuple(NoteVerifier.from_vkey(line) for line in (held or "").split("\n") if line)
