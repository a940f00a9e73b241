"""Rotation: a version of a key is known first, then used, then left behind, and destroyed once nothing needs it.

`begin` adds it, not yet used: whoever must open with it knows it before anybody seals with it. `finish` makes it the
current one, and does again with it what was done with older ones. `destroy` takes an older one out of the key files.
Every step leaves an entry, can be repeated after an interruption, and waits while another operator is at one.
"""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from ledger.database import Database
from ledger.durable_file import locked
from ledger.errors import KeyringError, NotFoundError, RefusedError
from ledger.key_uses import REWORKED, Uses, uses_of
from ledger.keyring import KEY_SIZE_BYTES, VERSIONS, Key, key_path, read_key, replace_key
from ledger.log import NewEntry, append_many, lock_head, new_id
from ledger.rework import Progress, reseal, retag, rewrap
from ledger.sealing import public_of
from ledger.tables import ledger_entry
from schemas.entry import Entry, Kind

# What can be rotated, and the files of each: the private half first.
FILES: Mapping[str, tuple[str, ...]] = {
    "kek": ("kek",),
    "index_pepper": ("index_pepper",),
    "inbox": ("inbox_private", "inbox_public"),
    "suppression": ("suppression",),
    "token_mac": ("token_mac",),
    "checkpoint": ("checkpoint",),
    "receipt": ("receipt",),
}
SIGNING = frozenset({"checkpoint", "receipt"})
# Longer than a transaction lasts, whose statements give up after 30 s (ledger.database): by then whatever was sealed
# before the change is written, or never will be.
SETTLED_AFTER_MS = 60_000


class StillUsedError(RefusedError):
    """A version that rows still need; `uses`: what, and how many."""

    def __init__(self, uses: Mapping[str, int]) -> None:
        super().__init__("key_version_still_used")
        self.uses = uses


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a key stands: its live versions, those of which only the public part is left, and what uses each."""

    name: str
    key: Key = field(repr=False)
    uses: Uses

    @property
    def newest(self) -> int:
        return max(self.key.versions)

    @property
    def outstanding(self) -> int:
        """How many rows `finish` would do again."""
        stale = (of for version, of in self.uses.items() if version != self.newest)
        return sum(count for of in stale for what, count in of.items() if what in REWORKED)

    @property
    def is_finished(self) -> bool:
        return self.newest == self.key.current and not self.outstanding

    @property
    def unused(self) -> list[int]:
        """Older versions that could be destroyed."""
        older = sorted(version for version in self.key.versions if version < self.key.current)
        return [version for version in older if version not in self.uses and self.name != "token_mac"]


def standing(database: Database, keys_dir: Path, name: str) -> Standing:
    """Raises KeyringError."""
    key = read_key(keys_dir, FILES[name][0])
    with database.read() as connection:
        return Standing(name, key, uses_of(connection, name))


@dataclass(frozen=True, slots=True)
class Rotation:
    """The steps for one key. `now_ms`: unix milliseconds. All raise KeyringError where the files cannot be changed."""

    database: Database
    keys_dir: Path
    name: str
    now_ms: int

    def begin(self) -> int:
        """Add a version, and return its number. RefusedError while the last one is not in use."""
        with self._alone() as key:
            newest = max((*key.versions, *key.retired))
            if newest == max(key.versions) > key.current:
                self._settle(key, newest)
                raise RefusedError("rotation_unfinished")
            if newest + 1 not in VERSIONS:
                raise RefusedError("key_versions_used_up")
            # Any 32 bytes are a key of each kind: RFC 8032, 5.1.5 hashes them, RFC 7748, 5 clamps them.
            versions = {**key.versions, newest + 1: secrets.token_bytes(KEY_SIZE_BYTES)}
            self._settle(replace(key, versions=versions), newest + 1)
        return newest + 1

    def finish(self, progress: Progress) -> None:
        """Use the newest version, and do the rework. What is left afterwards, `standing` tells."""
        with self._alone() as key:
            newest = max(key.versions)
            self._settle(key, newest)
            key = replace(key, current=newest)
            self._write(key)
            self._record(key, newest, "in_use")
            if self.name == "kek":
                rewrap(self.database, key, progress)
            elif self.name == "inbox":
                reseal(self.database, key, progress)
            elif self.name == "index_pepper":
                retag(self.database, key, read_key(self.keys_dir, "kek"), self.now_ms, progress)

    def destroy(self, version: int) -> None:
        """Of a signing key the public part stays: what it signed still verifies. RefusedError, StillUsedError."""
        with self._alone() as key:
            if version in key.versions:
                self._require_needless(key, version)
                with self.database.write() as connection:
                    lock_head(connection)  # nothing is recorded between the last look and the end of the secret
                    uses = uses_of(connection, self.name).get(version)
                    if uses:
                        raise StillUsedError(uses)
                    self._write(_without(self.name, key, version))
                self._remove_drafts()
            elif not 0 < version < key.current:
                raise NotFoundError("key_version_unknown")
            self._record(key, version, "retired" if self.name in SIGNING else "destroyed")

    def _require_needless(self, key: Key, version: int) -> None:
        if version >= key.current:
            raise RefusedError("key_version_in_use")
        if self.name == "token_mac":
            raise RefusedError("mailed_links_work_for_ever")
        changed_at_ms = key_path(self.keys_dir, FILES[self.name][0]).stat().st_mtime_ns // 1_000_000
        if self.now_ms - changed_at_ms < SETTLED_AFTER_MS:
            raise RefusedError("key_changed_just_now")

    @contextmanager
    def _alone(self) -> Iterator[Key]:
        """The key as its file says, while no other operator changes it."""
        try:
            with locked(self.keys_dir / "rotation"):
                yield read_key(self.keys_dir, FILES[self.name][0])
        except OSError:
            raise KeyringError("key_files_not_writable") from None

    def _settle(self, key: Key, newest: int) -> None:
        """The files and the entry of a new version, or what an interruption has left out of them."""
        self._write(key)
        self._record(key, newest, "added")

    def _write(self, key: Key) -> None:
        halves = (key, public_of(key)) if self.name == "inbox" else (key,)
        for name, half in zip(FILES[self.name], halves, strict=True):
            if read_key(self.keys_dir, name) != half:
                replace_key(self.keys_dir, name, half)

    def _remove_drafts(self) -> None:
        """What a kill has left of a file that was being written (ledger.durable_file) may hold the secret still."""
        for name in FILES[self.name]:
            for draft in self.keys_dir.glob(f".{name}.json.*"):
                draft.unlink()

    def _record(self, key: Key, version: int, reason: str) -> None:
        """Once. The first version is not announced: it is as old as the ledger."""
        if version == 1 and reason in ("added", "in_use"):
            return
        query = select(ledger_entry.c.leaf).where(ledger_entry.c.kind == Kind.KEY)
        with self.database.read() as connection:
            leaves = [json.loads(leaf) for leaf in connection.execute(query).scalars()]
        said = {(leaf.get("key"), leaf.get("key_version"), leaf.get("reason")) for leaf in leaves}
        if (self.name, version, reason) in said:
            return
        public = public_versions(self.name, key).get(version)
        entry = Entry(
            id=new_id(self.now_ms),
            kind=Kind.KEY,
            recorded_at_ms=self.now_ms,
            source="operator",
            method="operator",
            reason=reason,
            key=self.name,
            key_version=version,
            public_key_sha256=sha256(public).hexdigest() if public else None,
        )
        with self.database.write() as connection:
            append_many(connection, [NewEntry(entry)])


def public_versions(name: str, key: Key) -> Mapping[int, bytes]:
    """The public parts of a key that has one, of retired versions too."""
    if name == "inbox":
        return public_of(key).versions
    if name not in SIGNING:
        return {}
    private = {version: Ed25519PrivateKey.from_private_bytes(value) for version, value in key.versions.items()}
    return {**key.retired, **{version: one.public_key().public_bytes_raw() for version, one in private.items()}}


def _without(name: str, key: Key, version: int) -> Key:
    live = {number: value for number, value in key.versions.items() if number != version}
    retired = {**key.retired, version: public_versions(name, key)[version]} if name in SIGNING else key.retired
    return replace(key, versions=live, retired=retired)
