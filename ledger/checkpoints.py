"""Checkpoints: the signer, its memory outside the database, and the signed notes that it leaves in it.

The signer signs nothing that is not a continuation of what it signed before, so a restored or edited database is
noticed by the very next signature, without a network.
"""

import base64
import binascii
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, insert, select

from ledger import tlog
from ledger.database import Database
from ledger.errors import SignerError
from ledger.keyring import SIGNER_STATE, Key
from ledger.log import node_reader, read_entries, root, size
from ledger.note import Checkpoint, NoteSigner, NoteVerifier, format_checkpoint, open_note, sign_note
from ledger.tables import ledger_checkpoint


@dataclass(frozen=True, slots=True)
class SignerState:
    """The largest tree that was ever signed."""

    size: int
    root: bytes


def note_signer(key: Key) -> NoteSigner:
    assert key.origin, "the checkpoint key names its origin"
    return NoteSigner(key.origin, Ed25519PrivateKey.from_private_bytes(key.value))


class Signer:
    """Signs the head of the ledger when it has grown. `keys_dir` holds the state file."""

    def __init__(self, key: Key, keys_dir: Path) -> None:
        self._signer = note_signer(key)
        self._state_path = keys_dir / SIGNER_STATE

    @property
    def vkey(self) -> str:
        return self._signer.vkey()

    @contextmanager
    def _locked(self) -> Iterator[SignerState]:
        """The state, while no other signer can move it."""
        if not self._state_path.exists():
            raise SignerError("signer_state_missing")
        descriptor = os.open(f"{self._state_path}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield read_state(self._state_path)
        finally:
            os.close(descriptor)

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
            text = format_checkpoint(Checkpoint(self._signer.name, tree_size, tree_root))
            note = sign_note(text, [self._signer])
            open_note(note, [NoteVerifier.from_vkey(self.vkey)])  # what we publish, we have verified
            with database.write() as connection:
                connection.execute(insert(ledger_checkpoint).values(size=tree_size, note=note, signed_at_ms=now_ms))
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
    for entry in read_entries(connection, state.size, tree_size):
        index = tlog.stored_index(0, entry.position)
        if read([index])[index] != tlog.leaf_hash(entry.leaf):
            raise SignerError("ledger_leaf_changed")
    return tree_root


def read_state(path: Path) -> SignerState:
    try:
        document = json.loads(path.read_text(encoding="ascii"))
        return SignerState(int(document["size"]), base64.b64decode(document["root"], validate=True))
    except FileNotFoundError:
        raise SignerError("signer_state_missing") from None
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise SignerError("signer_state_malformed") from None


def write_state(path: Path, state: SignerState) -> None:
    """Replace the file so that a crash leaves the old state or the new one, on the disk."""
    temporary = path.with_suffix(".new")
    document = {"size": state.size, "root": base64.b64encode(state.root).decode()}
    with open(temporary, "w", encoding="ascii") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def newest_checkpoint(connection: Connection, at_least: int = 1) -> tuple[int, str] | None:
    """(size, note) of the newest checkpoint, if it covers at least so many entries."""
    query = select(ledger_checkpoint.c.size, ledger_checkpoint.c.note).order_by(ledger_checkpoint.c.size.desc())
    row = connection.execute(query.limit(1)).first()
    return (row.size, row.note) if row is not None and row.size >= at_least else None
