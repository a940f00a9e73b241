"""Restoration: after a backup was put back, the ledger becomes again what was signed, out of the mirror of its leaves.

A leaf says what happened and to which handle, never to whom. So what the mirror brings back is: which people were
erased, restricted or withdrew since the backup, and that is done to them again. What only a box held is gone with the
boxes of the lost days, and the ledger says so, box by box.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection

from ledger import mirror, quarantine, tlog
from ledger.checkpoints import SignerState
from ledger.database import Database
from ledger.errors import RefusedError
from ledger.log import NewEntry, append_leaves, append_many, lock_head, new_id, root, size
from ledger.note import Checkpoint, NoteVerifier
from ledger.recorder import Recorder
from ledger.reenactment import Reenactment
from schemas.entry import Entry, Kind, parse_leaf

BATCH_LEAVES = 2_000


@dataclass(frozen=True, slots=True)
class Restored:
    """Sizes of the ledger before and of the mirror, and what was done again, by kind of deed."""

    size_before: int
    leaves: int
    done: dict[str, int]


def check_continuation(
    connection: Connection,
    folder: Path,
    verifiers: Sequence[NoteVerifier],
    known: Iterable[Checkpoint | SignerState],
) -> Checkpoint:
    """The mirror's checkpoint, if the mirror continues this ledger and whatever was ever `known` to be signed.

    One pass over the mirror. Raises RefusedError `mirror_is_behind` or `mirror_is_of_another_ledger`.
    """
    checkpoint, leaves = mirror.open_mirror(folder, verifiers)
    ours = size(connection)
    wanted = {one.size: one.root for one in known if one.size}
    if ours:
        wanted[ours] = root(connection, ours)
    if max(wanted, default=0) > checkpoint.size:
        raise RefusedError("mirror_is_behind")
    frontier = tlog.Frontier(0, ())
    for leaf in leaves:
        frontier, _ = frontier.append(tlog.leaf_hash(leaf))
        if frontier.size in wanted and wanted[frontier.size] != frontier.root():
            raise RefusedError("mirror_is_of_another_ledger")
    return checkpoint


def restore(
    database: Database,
    recorder: Recorder,
    folder: Path,
    checkpoint: Checkpoint,
    progress: Callable[[int], object] = lambda _done: None,
) -> Restored:
    """Append what is missing, do again what it says, and lift the quarantine, all in one transaction.

    `checkpoint`: what check_continuation gave. RefusedError, and nothing changed, if the tree does not become that one.
    """
    with database.write() as connection:
        lock_head(connection)
        before = size(connection)
        reenactment = Reenactment(recorder)
        leaves = mirror.read_leaves(folder, before, checkpoint.size)
        position = before
        while batch := list(islice(leaves, BATCH_LEAVES)):
            append_leaves(connection, batch)
            for leaf in batch:
                reenactment.play(connection, position, parse_leaf(leaf))
                position += 1
            progress(len(batch))
        if root(connection, checkpoint.size) != checkpoint.root:
            raise RefusedError("mirror_is_of_another_ledger")
        reenactment.finish(connection)
        if position > before:
            at_ms = recorder.recorded_at_ms
            restored = Entry(new_id(at_ms), Kind.RESTORED, at_ms, count=position - before)
            append_many(connection, [NewEntry(restored)])
        quarantine.lift(connection)
    database.forget_deleted(thoroughly=True)
    return Restored(before, position - before, reenactment.done())
