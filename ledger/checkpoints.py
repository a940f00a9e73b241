"""Checkpoints: the signer, its memory outside the database, and the notes in it with the lines of their witnesses.

The signer signs nothing that is not a continuation of what it signed before, so a restored or edited database is
noticed by the very next signature, without a network.
"""

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import BigInteger, Connection, Text, exists, func, insert, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from ledger import tlog
from ledger.database import Database
from ledger.durable_file import locked, replace_file
from ledger.errors import SignerError
from ledger.keyring import SIGNER_STATE, Key
from ledger.log import node_reader, read_entries, root, size
from ledger.note import (
    Checkpoint,
    NoteSigner,
    NoteVerifier,
    format_checkpoint,
    open_note,
    parse_signature_line,
    sign_note,
)
from ledger.published_keys import CHECKPOINT, publish
from ledger.tables import ledger_checkpoint, ledger_cosignature

# Leaves that are compared with their stored hashes at a time: one read of nodes for each batch, not for each leaf.
LEAF_BATCH = 5_000


@dataclass(frozen=True, slots=True)
class SignerState:
    """The largest tree that was ever signed."""

    size: int
    root: bytes


def note_signer(key: Key) -> NoteSigner:
    """The signer with the current version of a key."""
    return _note_signer(key, key.current)


def note_signers(key: Key) -> tuple[NoteSigner, ...]:
    """A signer with every live version, the current one first: while a key is rotated, both are."""
    older = sorted(set(key.versions) - {key.current}, reverse=True)
    return tuple(_note_signer(key, version) for version in (key.current, *older))


def note_verifiers(key: Key) -> tuple[NoteVerifier, ...]:
    """Whoever may have signed with this key, the current version first: what a retired one signed still verifies."""
    live = (signer.verifier() for signer in note_signers(key))
    retired = (NoteVerifier(_origin(key), key.retired[version]) for version in sorted(key.retired, reverse=True))
    return (*live, *retired)


def _note_signer(key: Key, version: int) -> NoteSigner:
    return NoteSigner(_origin(key), Ed25519PrivateKey.from_private_bytes(key.versions[version]))


def _origin(key: Key) -> str:
    assert key.origin, "a key that signs notes names its origin"
    return key.origin


class Signer:
    """Signs the head of the ledger when it has grown. `keys_dir` holds the state file.

    A note carries a line of every live version of the key, so that in a rotation the readers of the old public key
    and those of the new one read the same notes (https://c2sp.org/tlog-checkpoint#signatures).
    """

    def __init__(self, key: Key, keys_dir: Path) -> None:
        self._signers, self._verifiers = note_signers(key), note_verifiers(key)
        self._state_path = keys_dir / SIGNER_STATE

    @property
    def vkey(self) -> str:
        return self._signers[0].vkey()

    @contextmanager
    def _locked(self) -> Iterator[SignerState]:
        """The state, while no other signer can move it."""
        if not self._state_path.exists():
            raise SignerError("signer_state_missing")
        with locked(self._state_path):
            yield read_state(self._state_path)

    def sign_if_grown(self, database: Database, now_ms: int) -> int | None:
        """Sign the head; returns its size, or None if it is signed already. SignerError when it must not be."""
        with self._locked() as state:
            with database.read() as connection:
                tree_size = size(connection)
                newest = newest_checkpoint(connection)
                published = newest[0] if newest is not None else 0
                if tree_size == published == state.size:
                    return None
                tree_root = check_continuation(connection, state, tree_size)
            write_state(self._state_path, SignerState(tree_size, tree_root))
            if tree_size <= published:  # only the memory was behind: the state file of an earlier day
                return None
            text = format_checkpoint(Checkpoint(self._signers[0].name, tree_size, tree_root))
            note = sign_note(text, self._signers)
            for signer in self._signers:  # what we publish, every reader can verify
                open_note(note, [signer.verifier()])
            with database.write() as connection:
                connection.execute(insert(ledger_checkpoint).values(size=tree_size, note=note, signed_at_ms=now_ms))
                publish(connection, CHECKPOINT, self._verifiers, now_ms)
        return tree_size


def check_continuation(connection: Connection, state: SignerState, tree_size: int) -> bytes:
    """The root at `tree_size`, if the signed tree is its prefix and the new leaves hash to the stored nodes."""
    if tree_size < state.size:
        raise SignerError("ledger_behind_signer")
    read = node_reader(connection)
    tree_root = root(connection, tree_size)
    if state.size:
        try:
            proof = tlog.prove_consistency(state.size, tree_size, read)
            tlog.check_consistency(state.size, state.root, tree_size, tree_root, proof)
        except tlog.TreeProofError:
            raise SignerError("ledger_forked") from None
    for start in range(state.size, tree_size, LEAF_BATCH):
        _check_leaves(connection, read, start, min(start + LEAF_BATCH, tree_size))
    return tree_root


def _check_leaves(connection: Connection, read: tlog.HashReader, start: int, end: int) -> None:
    """The stored bytes of the leaves [start, end) are what was hashed when they were appended."""
    hashes = {entry.position: tlog.leaf_hash(entry.leaf) for entry in read_entries(connection, start, end)}
    indexes = {position: tlog.stored_index(0, position) for position in range(start, end)}
    stored = read(list(indexes.values()))
    if any(hashes.get(position) != stored[index] for position, index in indexes.items()):
        raise SignerError("ledger_leaf_changed")


def read_state(path: Path) -> SignerState:
    try:
        document = json.loads(path.read_text(encoding="ascii"))
        tree_size, tree_root = document["size"], base64.b64decode(document["root"], validate=True)
    except FileNotFoundError:
        raise SignerError("signer_state_missing") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SignerError("signer_state_malformed") from None
    if type(tree_size) is not int or tree_size < 0 or len(tree_root) != (tlog.HASH_SIZE_BYTES if tree_size else 0):
        raise SignerError("signer_state_malformed")
    return SignerState(tree_size, tree_root)


def write_state(path: Path, state: SignerState) -> None:
    document = {"size": state.size, "root": base64.b64encode(state.root).decode()}
    replace_file(path, json.dumps(document).encode(), mode=0o644)  # no secret: doctor and verify read it too


def newest_checkpoint(connection: Connection, at_least: int = 1) -> tuple[int, str] | None:
    """(size, note) of the newest checkpoint, if it covers at least so many entries; its witnesses' lines come last."""
    query = select(ledger_checkpoint.c.size, ledger_checkpoint.c.note).order_by(ledger_checkpoint.c.size.desc())
    row = connection.execute(query.limit(1)).first()
    if row is None or row.size < at_least:
        return None
    lines = select(ledger_cosignature.c.line).where(ledger_cosignature.c.size == row.size)
    witnessed = connection.execute(lines.order_by(ledger_cosignature.c.name)).scalars()
    return row.size, "".join([row.note, *witnessed])


def store_cosignatures(connection: Connection, size: int, lines: Sequence[str]) -> None:
    """Keep the verified lines of witnesses, each with its newline, beside the note of this size.

    A witness that signed this size before said the same then: its first line stays. NoteError if one is no line.
    """
    into = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(ledger_cosignature)
    for line in lines:
        name, _, _ = parse_signature_line(line.removesuffix("\n"))
        is_there = exists().where(ledger_cosignature.c.size == size, ledger_cosignature.c.name == name)
        row = select(literal(size, BigInteger), literal(name, Text), literal(line, Text)).where(~is_there)
        # The condition for SQLite, whose trigger refuses before a conflict can be passed over; the clause for
        # PostgreSQL, where another transaction may be writing the same row.
        connection.execute(into.from_select(["size", "name", "line"], row).on_conflict_do_nothing())


def newest_cosigned(connection: Connection, name: str) -> int | None:
    """The largest size that the witness of this name has signed, as far as we know."""
    query = select(func.max(ledger_cosignature.c.size)).where(ledger_cosignature.c.name == name)
    found: int | None = connection.execute(query).scalar_one()
    return found
