"""The audit: reads everything, writes nothing, and names what does not fit.

Four parts, each sees what the others cannot: leaves against nodes and head; checkpoints, above all one kept
elsewhere; columns against leaves; sealed boxes against their commitments.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from ledger import tlog
from ledger.canonical import CanonicalError, parse_canonical
from ledger.checkpoints import SignerState
from ledger.errors import LedgerError
from ledger.keyring import Key
from ledger.log import StoredEntry, read_entries, size
from ledger.note import NoteVerifier, open_note, parse_checkpoint
from ledger.sealing import commitment
from ledger.tables import ledger_checkpoint, ledger_entry, ledger_head, ledger_node, subject, vault
from ledger.vault import load_subject, open_payload
from schemas.entry import format_time

PROBLEMS_MAX = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """`position` of the entry that does not fit, or None where the whole is at fault."""

    reason: str
    position: int | None = None
    entry: str | None = None


@dataclass(slots=True)
class Report:
    """What was read, and everything that did not fit (at most PROBLEMS_MAX)."""

    size: int = 0
    root: bytes = b""
    checkpoints: int = 0
    boxes: int = 0
    problems: list[Problem] = field(default_factory=list)

    def has(self, reason: str) -> bool:
        return any(problem.reason == reason for problem in self.problems)

    def note(self, reason: str, entry: StoredEntry | None = None, position: int | None = None) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            at = entry.position if entry is not None else position
            self.problems.append(Problem(reason, at, entry.id.hex() if entry is not None else None))


def audit(
    connection: Connection,
    vkey: str | None = None,
    outside: Sequence[str] = (),
    state: SignerState | None = None,
    kek: Key | None = None,
    progress: Callable[[int], object] = lambda _done: None,
) -> Report:
    """`vkey` checks signatures, `kek` opens boxes; `outside`: notes kept elsewhere; `state`: the signer's memory."""
    report = Report(size=size(connection))
    wanted = _checkpoints(connection, report, vkey, outside, state)
    opener = _Boxes(connection, kek, report) if kek is not None else None
    frontier = tlog.Frontier(0, ())
    expected = 0
    for entry in read_entries(connection, 0, max(report.size, _last_position(connection) + 1)):
        while expected < entry.position:
            report.note("entry_missing", position=expected)
            expected += 1
        frontier = _check_tree(connection, report, frontier, entry)
        try:
            _check_columns(report, entry)
            if opener is not None:
                opener.check(entry)
        except (TypeError, ValueError, AttributeError):  # a value of another type than we ever wrote
            report.note("entry_unreadable", entry)
        expected = entry.position + 1
        if frontier.size in wanted and wanted[frontier.size] != frontier.root():
            report.note("checkpoint_differs", position=entry.position)
        progress(1)
    report.root = frontier.root()
    _check_head(connection, report, frontier)
    for tree_size in wanted:
        if tree_size > frontier.size:
            report.note("ledger_cut_short", position=frontier.size)
    return report


def _last_position(connection: Connection) -> int:
    newest = connection.execute(select(func.max(ledger_entry.c.position))).scalar()
    return -1 if newest is None else int(newest)


def _checkpoints(
    connection: Connection, report: Report, vkey: str | None, outside: Sequence[str], state: SignerState | None
) -> dict[int, bytes]:
    """Root by size of everything that was ever signed, as far as we can see."""
    wanted: dict[int, bytes] = {}
    if state is not None and state.size:
        wanted[state.size] = state.root
    if vkey is None:
        return wanted
    stored = connection.execute(select(ledger_checkpoint.c.note).order_by(ledger_checkpoint.c.size)).scalars()
    verifiers = [NoteVerifier.from_vkey(vkey)]
    for note in [*outside, *stored]:
        try:
            checkpoint = parse_checkpoint(open_note(note, verifiers).text)
        except LedgerError as error:
            report.note(f"checkpoint_{error.reason}")
            continue
        report.checkpoints += 1
        if wanted.setdefault(checkpoint.size, checkpoint.root) != checkpoint.root:
            report.note("two_roots_for_one_size", position=checkpoint.size - 1)
    return wanted


def _check_tree(connection: Connection, report: Report, frontier: tlog.Frontier, entry: StoredEntry) -> tlog.Frontier:
    frontier, completed = frontier.append(tlog.leaf_hash(entry.leaf))
    indexes = [index for index, _ in completed]
    rows = connection.execute(
        select(ledger_node.c.position, ledger_node.c.hash).where(ledger_node.c.position.in_(indexes))
    )
    stored = {row.position: row.hash for row in rows}
    for index, value in completed:
        if stored.get(index) != value:
            # The leaf's own node says which entry was edited; the nodes above it only repeat that.
            level, _ = tlog.split_stored_index(index)
            if level == 0:
                report.note("entry_differs_from_tree", entry)
            elif not report.has("entry_differs_from_tree"):
                report.note("node_differs", position=entry.position)
    return frontier


def _check_head(connection: Connection, report: Report, frontier: tlog.Frontier) -> None:
    head = connection.execute(select(ledger_head)).one()
    if head.size != frontier.size or head.frontier != frontier.to_bytes():
        report.note("head_differs", position=min(head.size, frontier.size))


def _check_columns(report: Report, entry: StoredEntry) -> None:
    try:
        leaf = parse_canonical(entry.leaf)
    except CanonicalError:
        report.note("leaf_not_canonical", entry)
        return
    handle = entry.subject.hex() if entry.subject is not None else None
    copies = {"id": entry.id.hex(), "kind": entry.kind, "recorded_at": format_time(entry.recorded_at_ms)}
    if any(leaf.get(name) != value for name, value in copies.items()) or leaf.get("subject") != handle:
        report.note("columns_differ", entry)


class _Boxes:
    """Opens every box once; a missing one must be explained by the end of its subject."""

    def __init__(self, connection: Connection, kek: Key, report: Report) -> None:
        self._connection = connection
        self._kek = kek
        self._report = report

    def check(self, entry: StoredEntry) -> None:
        row = self._connection.execute(select(vault.c.box).where(vault.c.position == entry.position)).one_or_none()
        wanted = json.loads(entry.leaf).get("commitment")
        if row is None:
            if wanted is not None and self._is_alive(entry.subject):
                self._report.note("box_missing", entry)
            return
        self._report.boxes += 1
        try:
            person = load_subject(self._connection, self._kek, entry.subject or b"")
            salt, payload = open_payload(person, entry.id, row.box)
        except LedgerError:
            self._report.note("box_does_not_open", entry)
            return
        if commitment(salt, payload).hex() != wanted:
            self._report.note("box_differs_from_commitment", entry)

    def _is_alive(self, handle: bytes | None) -> bool:
        found = self._connection.execute(select(subject.c.handle).where(subject.c.handle == handle))
        return found.first() is not None
