"""Keys and who holds them: one file per key, and each process reads only the keys of its role.

A broken web process must not open a box (decision 0001): it holds the inbox *public* key, never the private.
"""

import base64
import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ledger.durable_file import replace_file
from ledger.errors import KeyringError

KEY_SIZE_BYTES = 32
VERSIONS = range(1, 256)  # a box begins with the version of its key, in one byte

# Which process may read which key. `operator` is the command line, run by whoever may read the files.
ROLES: Mapping[str, frozenset[str]] = {
    "web": frozenset({"inbox_public", "index_pepper", "suppression", "token_mac"}),
    "record": frozenset({"inbox_private", "index_pepper", "kek", "suppression"}),
    "relay": frozenset({"index_pepper", "kek", "receipt", "suppression", "token_mac"}),
    "intake": frozenset({"inbox_public", "index_pepper", "token_mac"}),
    "clock": frozenset({"checkpoint"}),
    "operator": frozenset({"inbox_private", "index_pepper", "kek", "suppression", "checkpoint", "receipt"}),
}
SIGNER_STATE = "checkpoint.state.json"  # beside the key, outside the database
NAMES = ("inbox_public", "inbox_private", "index_pepper", "token_mac", "kek", "suppression", "checkpoint", "receipt")


@dataclass(frozen=True, slots=True)
class Key:
    """One named key in its versions: `versions[current]` is used for new work, the others still open.

    A version above the current one is known already and not yet used (ledger.rotation).
    `retired`: public keys of versions that signed and whose private part is destroyed; what they signed still verifies.
    """

    current: int
    versions: Mapping[int, bytes]
    origin: str | None = None
    retired: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def value(self) -> bytes:
        return self.versions[self.current]

    def __repr__(self) -> str:
        return "Key(redacted)"


class Keyring:
    """The keys of one role; asking for a key the role does not hold is an error, not None.

    A key that came from a file is read again once the file is another one: no process goes on sealing with a version
    that its own key file has left behind, and none must be restarted to learn a new one.
    """

    def __init__(self, role: str, keys: Mapping[str, Key], keys_dir: Path | None = None) -> None:
        """`keys_dir`: whence each key comes that `keys` lacks. Raises KeyringError if one cannot be read."""
        self.role = role
        self._keys = dict(keys)
        self._files = {} if keys_dir is None else {name: _KeyFile(keys_dir, name) for name in ROLES[role] - keys.keys()}

    def __getitem__(self, name: str) -> Key:
        if name in self._files:
            return self._files[name].read()
        if name not in self._keys:
            raise KeyringError(f"key_not_held_{name}")
        return self._keys[name]

    def __repr__(self) -> str:
        return f"Keyring({self.role})"


def key_path(keys_dir: Path, name: str) -> Path:
    return keys_dir / f"{name}.json"


class _KeyFile:
    """What a key file said last. Looked at before every use, which costs a few microseconds."""

    def __init__(self, keys_dir: Path, name: str) -> None:
        self._path = str(key_path(keys_dir, name))
        try:
            self._seen = self._look()
        except (OSError, UnicodeDecodeError):
            raise KeyringError(f"key_missing_{name}") from None

    def read(self) -> Key:
        """A file that is away, or not yet copied whole, changes nothing: what we have goes on working."""
        try:
            if self._stamp() != self._seen[0]:
                self._seen = self._look()
        except (OSError, UnicodeDecodeError, KeyringError):
            pass
        return self._seen[1]

    def _stamp(self) -> tuple[int, int]:
        """Another one for each file that was put there: another inode, or edited at another time."""
        found = os.stat(self._path)
        return found.st_ino, found.st_mtime_ns

    def _look(self) -> tuple[tuple[int, int], Key]:
        stamp = self._stamp()  # before the text: if that changes meanwhile, the next use looks again
        with open(self._path, encoding="ascii") as file:
            return stamp, parse_key(file.read())


def read_key(keys_dir: Path, name: str) -> Key:
    """One key from its file. Raises KeyringError."""
    return _KeyFile(keys_dir, name).read()


def replace_key(keys_dir: Path, name: str, key: Key) -> None:
    """Put a changed key where it was, whole and on the disk, with the mode it had. Raises KeyringError, OSError.

    Only its owner may: a file of another user would be one that the service cannot read.
    """
    path = key_path(keys_dir, name)
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise KeyringError("key_file_of_another_user")
    replace_file(path, format_key(key).encode("ascii"), mode=stat.S_IMODE(found.st_mode))


def parse_key(text: str) -> Key:
    """Read a key file: {"current": 1, "keys": {"1": "<base64 of 32 bytes>"}, "origin": …, "retired": {…}}."""
    try:
        document: Any = json.loads(text)
        versions, retired = (_parse_versions(document.get(name, {})) for name in ("keys", "retired"))
        current, origin = document["current"], document.get("origin")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise KeyringError("key_malformed") from None
    if type(current) is not int or current not in versions or not isinstance(origin, str | None):
        raise KeyringError("key_malformed")
    if versions.keys() & retired.keys():
        raise KeyringError("key_malformed")
    return Key(current, versions, origin, retired)


def _parse_versions(document: Mapping[str, str]) -> dict[int, bytes]:
    versions = {int(number): base64.b64decode(value, validate=True) for number, value in document.items()}
    if any(number not in VERSIONS or len(value) != KEY_SIZE_BYTES for number, value in versions.items()):
        raise KeyringError("key_malformed")
    return versions


def _format_versions(versions: Mapping[int, bytes]) -> dict[str, str]:
    return {str(number): base64.b64encode(value).decode() for number, value in sorted(versions.items())}


def format_key(key: Key) -> str:
    document: dict[str, Any] = {"current": key.current, "keys": _format_versions(key.versions)}
    if key.origin:
        document["origin"] = key.origin
    if key.retired:
        document["retired"] = _format_versions(key.retired)
    return json.dumps(document, indent=1)


def load_keyring(role: str, keys_dir: Path, keyring: str | None = None) -> Keyring:
    """The keys of `role`, from its files or, where there is no disk, from the KEYRING setting."""
    try:
        texts: Any = json.loads(keyring or "{}")
        given = {name: parse_key(json.dumps(texts[name])) for name in ROLES[role] if name in texts}
    except (ValueError, TypeError, RecursionError):
        raise KeyringError("keyring_malformed") from None
    return Keyring(role, given, keys_dir)


def generate_keys(origin: str) -> dict[str, Key]:
    """A fresh set of every key. `origin` names the ledger for ever (C2SP tlog-checkpoint, "origin")."""
    inbox = X25519PrivateKey.generate()
    keys = {name: Key(1, {1: secrets.token_bytes(KEY_SIZE_BYTES)}) for name in NAMES}
    keys["inbox_private"] = Key(1, {1: inbox.private_bytes_raw()})
    keys["inbox_public"] = Key(1, {1: inbox.public_key().public_bytes_raw()})
    keys["checkpoint"] = Key(1, {1: Ed25519PrivateKey.generate().private_bytes_raw()}, origin)
    keys["receipt"] = Key(1, {1: Ed25519PrivateKey.generate().private_bytes_raw()}, f"{origin}/receipts")
    return keys


def write_keys(keys_dir: Path, keys: Mapping[str, Key]) -> list[str]:
    """Write each key that has no file yet (0400); returns the names written. Never overwrites one."""
    keys_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    written = []
    for name, key in keys.items():
        path = key_path(keys_dir, name)
        if path.exists():
            continue
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o400)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(format_key(key))
            file.flush()
            os.fsync(file.fileno())
        written.append(name)
        if name == "checkpoint":
            (keys_dir / SIGNER_STATE).write_text('{"size": 0, "root": ""}', encoding="ascii")
    return written
