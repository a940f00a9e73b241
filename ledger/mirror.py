"""The mirror: a folder that holds every signed leaf and the checkpoint over them, written forward and read back.

`entries.ndjson` is the exact leaves, one on each line; `checkpoint` is the signed note; `mirror.json` is a bookmark, so
that a run with nothing to add reads next to nothing. A folder that holds what this ledger does not is never changed: it
may be all that is left of a later day.
"""

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection

from ledger.checkpoints import newest_checkpoint
from ledger.durable_file import locked, replace_file
from ledger.errors import LedgerError, RefusedError
from ledger.log import read_entries, root, size
from ledger.note import Checkpoint, NoteError, NoteVerifier, open_note, parse_checkpoint, unverified_text
from ledger.tiles import ENTRY_SIZE_MAX_BYTES
from ledger.tlog import EMPTY_ROOT, Frontier, TreeStoreError, leaf_hash

ENTRIES, CHECKPOINT, BOOKMARK = "entries.ndjson", "checkpoint", "mirror.json"
LINE_SIZE_MAX_BYTES = ENTRY_SIZE_MAX_BYTES + 1


class MirrorError(RefusedError):
    """The folder is not a mirror of this ledger, or not one at all; nothing in it was changed."""


@dataclass(frozen=True, slots=True)
class _Bookmark:
    """The first `size_bytes` of entries.ndjson are known to be the leaves under `frontier`."""

    size_bytes: int
    frontier: Frontier


_START = _Bookmark(0, Frontier(0, ()))


def extend_mirror(connection: Connection, folder: Path) -> int:
    """Append what is signed and missing; returns how many leaves that was. Killed at any byte, the next run goes on.

    Raises MirrorError `mirror_is_ahead` or `mirror_differs`, LedgerError `mirror_not_usable` for a disk that is full or
    away, and `ledger_differs_from_checkpoint` when our own leaves are not what was signed.
    """
    if not folder.is_dir():  # never made here: where a disk is not mounted, it would be made on the wrong one
        raise LedgerError("mirror_not_usable")
    with _disk(), locked(folder / BOOKMARK):
        return _extend(connection, folder)


def check_mirror(connection: Connection, folder: Path, verifiers: Sequence[NoteVerifier]) -> Checkpoint:
    """Read the whole mirror; returns its checkpoint if that and every leaf under it are this ledger's."""
    checkpoint = verify_mirror(folder, verifiers)
    _check_ours(connection, checkpoint.size, checkpoint.root, size(connection))
    return checkpoint


def verify_mirror(folder: Path, verifiers: Sequence[NoteVerifier]) -> Checkpoint:
    """The mirror's checkpoint, if a known key signed it and the leaves are those that it signs. One pass.

    Needs no database. Leaves after the signed ones, of a run that was interrupted, do not count.
    """
    checkpoint, leaves = open_mirror(folder, verifiers)
    for _ in leaves:
        pass
    return checkpoint


def open_mirror(folder: Path, verifiers: Sequence[NoteVerifier]) -> tuple[Checkpoint, Iterator[bytes]]:
    """The verified checkpoint, and its leaves, of which nothing may be believed before the last one was read.

    The iterator ends with MirrorError `mirror_differs` if they are not the leaves that were signed.
    """
    with _disk():
        try:
            checkpoint = parse_checkpoint(open_note((folder / CHECKPOINT).read_bytes(), verifiers).text)
        except FileNotFoundError:
            raise MirrorError("mirror_without_checkpoint") from None
    return checkpoint, _verified(checkpoint, read_leaves(folder, 0, checkpoint.size))


def _verified(checkpoint: Checkpoint, leaves: Iterator[bytes]) -> Iterator[bytes]:
    frontier = _START.frontier
    for leaf in leaves:
        frontier, _ = frontier.append(leaf_hash(leaf))
        yield leaf
    if frontier.root() != checkpoint.root:
        raise MirrorError("mirror_differs")


def read_leaves(folder: Path, start: int, end: int) -> Iterator[bytes]:
    """The leaves [start, end) as they stand there. Raises MirrorError `mirror_cut_short` if they do not all."""
    with _disk(), open(folder / ENTRIES, "rb") as file:
        for number, line in enumerate(islice(iter(lambda: file.readline(LINE_SIZE_MAX_BYTES), b""), end), start=1):
            if not line.endswith(b"\n"):
                raise MirrorError("mirror_cut_short")
            if number > start:
                yield line[:-1]
            if number == end:
                return
    if start < end:
        raise MirrorError("mirror_cut_short")


def _extend(connection: Connection, folder: Path) -> int:
    tree_size, note = newest_checkpoint(connection) or (0, "")
    tree_root = parse_checkpoint(unverified_text(note)).root if note else EMPTY_ROOT
    _check_published(connection, folder, tree_size)
    descriptor = os.open(folder / ENTRIES, os.O_CREAT | os.O_RDWR, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        known = _read_bookmark(connection, folder, tree_size, os.fstat(descriptor).st_size)
        there, frontier = _compare(connection, file, known, tree_size)
        if frontier.root() != tree_root:
            raise LedgerError("ledger_differs_from_checkpoint")
        size_bytes = _append(connection, file, there, tree_size)
    if note:
        _replace_if_changed(folder / CHECKPOINT, note.encode())
        _replace_if_changed(folder / BOOKMARK, _format_bookmark(_Bookmark(size_bytes, frontier)))
    return tree_size - there.size


@dataclass(frozen=True, slots=True)
class _There:
    """What the file already has of ours: so many leaves, in its first `size_bytes`."""

    size: int
    size_bytes: int


def _compare(connection: Connection, file: BinaryIO, known: _Bookmark, size: int) -> tuple[_There, Frontier]:
    """Our leaves after the bookmark against the lines there; where those end, and the tree over all of ours.

    Usually there are no such lines: they are what an interrupted run left, or what somebody else wrote.
    """
    file.seek(known.size_bytes)
    frontier, there, line = known.frontier, _There(known.frontier.size, known.size_bytes), b"\n"
    for entry in read_entries(connection, known.frontier.size, size):
        frontier, _ = frontier.append(leaf_hash(entry.leaf))
        if line.endswith(b"\n"):
            line = file.readline(LINE_SIZE_MAX_BYTES)
            if line == entry.leaf + b"\n":
                there = _There(frontier.size, there.size_bytes + len(line))
            elif line.endswith(b"\n") or len(line) == LINE_SIZE_MAX_BYTES:
                raise MirrorError("mirror_differs")
    if line.endswith(b"\n") and file.readline(LINE_SIZE_MAX_BYTES).endswith(b"\n"):
        raise MirrorError("mirror_is_ahead")
    return there, frontier


def _append(connection: Connection, file: BinaryIO, there: _There, size: int) -> int:
    """Write the leaves from `there` on, in the place of a torn last line; returns the size of the file in bytes."""
    file.seek(there.size_bytes)
    file.truncate()
    for entry in read_entries(connection, there.size, size):
        file.write(entry.leaf + b"\n")
    file.flush()
    os.fsync(file.fileno())  # before the checkpoint that vouches for them
    return file.tell()


def _check_published(connection: Connection, folder: Path, size: int) -> None:
    """The checkpoint that stands there, signed by us or not, must be one of this very tree."""
    try:
        checkpoint = parse_checkpoint(unverified_text((folder / CHECKPOINT).read_bytes()))
    except FileNotFoundError:
        return
    except NoteError:
        raise MirrorError("mirror_differs") from None
    _check_ours(connection, checkpoint.size, checkpoint.root, size)


def _check_ours(connection: Connection, their_size: int, their_root: bytes, size: int) -> None:
    """A tree of our stored hashes with this size has this root: so ours, of any greater size, continues it."""
    if their_size > size:
        raise MirrorError("mirror_is_ahead")
    if root(connection, their_size) != their_root:
        raise MirrorError("mirror_differs")


def _read_bookmark(connection: Connection, folder: Path, size: int, file_size_bytes: int) -> _Bookmark:
    """The bookmark; the start, so that everything is compared, where there is none or the file lost what it names."""
    try:
        document = json.loads((folder / BOOKMARK).read_bytes())
        size_bytes, tree_size = document["size_bytes"], document["size"]
        if type(size_bytes) is not int or type(tree_size) is not int:
            return _START
        frontier = Frontier.from_bytes(tree_size, b64decode(document["frontier"], validate=True))
        bookmark = _Bookmark(size_bytes, frontier)
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError, TreeStoreError):
        return _START
    _check_ours(connection, frontier.size, frontier.root(), size)
    return bookmark if 0 <= bookmark.size_bytes <= file_size_bytes else _START


def _format_bookmark(bookmark: _Bookmark) -> bytes:
    frontier = b64encode(bookmark.frontier.to_bytes()).decode()
    document = {"size": bookmark.frontier.size, "size_bytes": bookmark.size_bytes, "frontier": frontier}
    return json.dumps(document).encode()


def _replace_if_changed(path: Path, data: bytes) -> None:
    if not path.exists() or path.read_bytes() != data:
        replace_file(path, data, mode=0o644)


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError:  # it would name a path
        raise LedgerError("mirror_not_usable") from None
