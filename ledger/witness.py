"""A C2SP witness, without its transport: what it answers to add-checkpoint, and what it must remember for that.

https://c2sp.org/tlog-witness. A witness keeps one thing of each log: the size and root of the newest checkpoint that
it cosigned. Whoever holds a cosignature knows that the log never showed the witness another history.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.cosignature import CosignatureSigner
from ledger.errors import LedgerError
from ledger.note import (
    TREE_SIZE_MAX,
    Checkpoint,
    NoteError,
    NoteVerifier,
    open_note,
    parse_checkpoint,
    unverified_text,
)
from ledger.tlog import EMPTY_ROOT, HASH_SIZE_BYTES, TreeProofError, check_consistency

# https://c2sp.org/tlog-witness#add-checkpoint "The client MUST NOT send more than 63 consistency proof lines."
PROOF_LINES_MAX = 63
# The proof takes 63 * 45 bytes; the rest is room for a note of 16 signatures (the least that C2SP lets a reader
# take) of 5 kB each, the largest there are.
REQUEST_SIZE_MAX_BYTES = 131_072
SIZE_CONTENT_TYPE = "text/x.tlog.size"

_OLD_SIZE = re.compile(r"old (0|[1-9][0-9]{0,18})")
_HASH = re.compile(r"[A-Za-z0-9+/]{43}=")
_SIZE = re.compile(r"(0|[1-9][0-9]{0,18})\n")
_NOT_SIGNED = frozenset({"not_signed_by_known_key", "signature_invalid"})


class WitnessRefusal(LedgerError):
    """The checkpoint is not cosigned. `status` is HTTP's; `size` is what the witness has, if that is the reason."""

    def __init__(self, status: int, reason: str, size: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.size = size


@dataclass(frozen=True, slots=True)
class TreeHead:
    """What a witness remembers of a log."""

    size: int
    root: bytes


EMPTY_HEAD = TreeHead(0, EMPTY_ROOT)


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request: the size that the witness is thought to have, the proof from there, and the signed checkpoint."""

    old_size: int
    proof: tuple[bytes, ...]
    note: str


class WitnessStore(Protocol):
    """What a witness knows of each origin, kept where a crash does not reach."""

    def verifiers(self, origin: str) -> Sequence[NoteVerifier]:
        """The keys that are trusted for this log; none if the log is unknown."""

    def head(self, origin: str) -> TreeHead:
        """The newest that was cosigned; EMPTY_HEAD at first."""

    def replace_head(self, origin: str, old: TreeHead, new: TreeHead) -> TreeHead:
        """Put `new` in the place of `old`, on the disk, and return it; or, if `old` is not there, return what is."""


def format_request(request: AddCheckpoint) -> bytes:
    proof = "".join(f"{b64encode(one).decode()}\n" for one in request.proof)
    return f"old {request.old_size}\n{proof}\n{request.note}".encode()


def parse_request(body: bytes) -> AddCheckpoint:
    """Raises WitnessRefusal unless the body is what format_request writes. The note is not opened."""
    try:
        head, blank_line, note = body.decode().partition("\n\n")
    except UnicodeDecodeError:
        raise WitnessRefusal(400, "request_malformed") from None
    old, *lines = head.split("\n")
    if not blank_line or not (found := _OLD_SIZE.fullmatch(old)) or int(found[1]) > TREE_SIZE_MAX:
        raise WitnessRefusal(400, "request_malformed")
    if len(lines) > PROOF_LINES_MAX:
        raise WitnessRefusal(400, "proof_too_long")
    return AddCheckpoint(int(found[1]), tuple(map(_parse_hash, lines)), note)


def format_size(size: int) -> str:
    """The body of a 409: "the tree size of the latest cosigned checkpoint in decimal, followed by a newline"."""
    return f"{size}\n"


def parse_size(body: str) -> int | None:
    found = _SIZE.fullmatch(body)
    return int(found[1]) if found and int(found[1]) <= TREE_SIZE_MAX else None


class Witness:
    def __init__(self, signer: CosignatureSigner, store: WitnessStore) -> None:
        self._signer = signer
        self._store = store

    def add_checkpoint(self, body: bytes, now_ms: int) -> str:
        """The cosignature line, once the checkpoint is remembered; WitnessRefusal in every other case.

        The steps of https://c2sp.org/tlog-witness#add-checkpoint, in its order.
        """
        # (1) "The request body MUST be a sequence of": 400.
        request = parse_request(body)
        # (2) A log that we know: 404. (3) "the public key(s) it trusts for the checkpoint origin": 403.
        text, checkpoint = self._open(request.note)
        # (4) "The old size MUST be equal to or lower than the checkpoint size": 400.
        if request.old_size > checkpoint.size:
            raise WitnessRefusal(400, "old_size_too_large")
        # (5) "that the old size matches the size of the latest checkpoint it cosigned": 409 with that size.
        head = self._store.head(checkpoint.origin)
        if request.old_size != head.size:
            raise WitnessRefusal(409, "old_size_differs", head.size)
        # (6) "If the old size matches the checkpoint size, [...] that the root hashes are also identical": 409.
        if checkpoint.size == head.size and checkpoint.root != head.root:
            raise WitnessRefusal(409, "root_differs", head.size)
        # (7) "If the Merkle Consistency Proof doesn't verify": 422.
        try:
            check_consistency(head.size, head.root, checkpoint.size, checkpoint.root, request.proof)
        except TreeProofError:
            raise WitnessRefusal(422, "proof_failed") from None
        # (8) "MUST persist the new checkpoint before responding", and only if (5) is still true: or a smaller tree
        # could take the place of a larger one that was cosigned meanwhile.
        new = TreeHead(checkpoint.size, checkpoint.root)
        now = self._store.replace_head(checkpoint.origin, head, new)
        if now != new:
            raise WitnessRefusal(409, "old_size_differs", now.size)
        # (9) 200.
        return self._signer.sign(text, now_ms)

    def _open(self, note: str) -> tuple[str, Checkpoint]:
        try:
            text = unverified_text(note)
            origin = parse_checkpoint(text).origin  # believed only for choosing the keys
            verifiers = self._store.verifiers(origin)
            if not verifiers:
                raise WitnessRefusal(404, "origin_unknown")
            open_note(note, verifiers)
        except NoteError as error:
            raise WitnessRefusal(403 if error.reason in _NOT_SIGNED else 400, error.reason) from None
        return text, parse_checkpoint(text)


def _parse_hash(line: str) -> bytes:
    if not _HASH.fullmatch(line):
        raise WitnessRefusal(400, "request_malformed")
    decoded = b64decode(line)
    if len(decoded) != HASH_SIZE_BYTES or b64encode(decoded).decode() != line:
        raise WitnessRefusal(400, "request_malformed")
    return decoded
