"""The audit of the tree: leaves against stored nodes and head, and against every root that was ever signed."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, bindparam, func, select

from ledger import tlog
from ledger.audit_report import Part, Report
from ledger.audit_rows import Rows, fetch, raw
from ledger.checkpoints import SignerState
from ledger.errors import LedgerError
from ledger.log import READ_BATCH
from ledger.note import NoteVerifier, open_note, parse_checkpoint
from ledger.tables import ledger_checkpoint, ledger_entry, ledger_head, ledger_node

# By size: each root that was signed, and where we know it from.
SignedRoots = dict[int, dict[bytes, set[Part]]]

_CHECKPOINTS = select(ledger_checkpoint.c.size, ledger_checkpoint.c.note).order_by(ledger_checkpoint.c.size)
_NODES = (
    select(ledger_node.c.position, ledger_node.c.hash)
    .where(ledger_node.c.position >= bindparam("low"), ledger_node.c.position < bindparam("high"))
    .order_by(ledger_node.c.position)
)


def signed_roots(
    connection: Connection,
    report: Report,
    verifiers: Sequence[NoteVerifier],
    outside: Sequence[str | bytes],
    state: SignerState | None,
) -> SignedRoots:
    """Everything that was ever signed, as far as we can see. Without verifiers only the signer's memory counts."""
    signed: SignedRoots = {}
    if verifiers:
        for size, note in connection.execute(_CHECKPOINTS, execution_options={"yield_per": READ_BATCH}):
            position = size - 1 if isinstance(size, int) else None
            found = _open(report, raw(note), verifiers, Part.CHECKPOINTS, position)
            if found is not None and found[0] != size:
                report.note("checkpoint_size_differs", Part.CHECKPOINTS, position=position)
            _add(report, signed, found, Part.CHECKPOINTS)
        newest = max(signed, default=0)
        for note in outside:
            _add(report, signed, _open(report, note, verifiers, Part.ELSEWHERE), Part.ELSEWHERE)
        # The signer remembers before it publishes, so an older memory was put back.
        if state is not None and state.size < newest:
            report.note("signer_state_behind", Part.ELSEWHERE, position=state.size)
    if state is not None and state.size:
        _add(report, signed, (state.size, state.root), Part.ELSEWHERE)
    return signed


def _open(
    report: Report, note: str | bytes, verifiers: Sequence[NoteVerifier], part: Part, position: int | None = None
) -> tuple[int, bytes] | None:
    """Size and root of a note that a known key signed; lines of other keys, such as a witness's, do not count."""
    try:
        checkpoint = parse_checkpoint(open_note(note, verifiers).text)
    except LedgerError as error:
        report.note(f"checkpoint_{error.reason}", part, position=position)
        return None
    report.checkpoints += 1
    return checkpoint.size, checkpoint.root


def _add(report: Report, signed: SignedRoots, found: tuple[int, bytes] | None, part: Part) -> None:
    if found is None:
        return
    size, root = found
    known = signed.setdefault(size, {})
    if known and root not in known:
        report.note("two_roots_for_one_size", part, position=size - 1)
    known.setdefault(root, set()).add(part)


class Tree:
    """Grows from the leaves as they stand, in order, and compares what it computes with what is stored."""

    def __init__(self, connection: Connection, report: Report, signed: SignedRoots) -> None:
        self._frontier = tlog.Frontier(0, ())
        self._connection = connection
        self._report = report
        self._signed = signed
        self._wrong_roots: list[tuple[int, set[Part]]] = []
        self._sizes = iter(sorted(signed))
        self._next_size = next(self._sizes, None)
        self._grow([])
        self._name_wrong_roots()

    @property
    def size(self) -> int:
        return self._frontier.size

    def check(self, leaves: Sequence[bytes], rows: Rows) -> None:
        """The entries that follow, without a gap; `rows` begin with position and id."""
        first, low = self.size, tlog.stored_count(self.size)
        nodes = self._grow([tlog.leaf_hash(leaf) for leaf in leaves])
        stored = fetch(self._connection, _NODES, {"low": low, "high": low + len(nodes)})
        if stored != nodes:
            by_index = {index: raw(value) for index, value in stored}
            for index, node in nodes:
                if by_index.get(index) != node:
                    self._name_difference(index, first, rows)
        self._name_wrong_roots()

    def skip(self, missing: int) -> None:
        """Entries that are not there: what follows keeps its place in the tree, and no root comes out right."""
        self._grow([bytes(tlog.HASH_SIZE_BYTES)] * missing)
        self._name_wrong_roots()

    def close(self) -> None:
        """After the last entry: the head, what is stored beyond it, and what was signed beyond it."""
        report, frontier = self._report, self._frontier
        report.size, report.root = self.size, frontier.root()
        heads = self._connection.execute(select(ledger_head.c.size, ledger_head.c.frontier)).all()
        if list(map(tuple, heads)) != [(frontier.size, frontier.to_bytes())]:
            report.note("head_differs", Part.TREE, position=self.size)
        if self._count(ledger_node.c.position >= tlog.stored_count(self.size)):
            report.note("node_differs", Part.TREE, position=self.size)
        if before := self._count(ledger_entry.c.position < 0):
            report.note("entry_before_first", Part.TREE, count=before)
        for size, roots in self._signed.items():
            if size > self.size:
                report.note("ledger_cut_short", *set().union(*roots.values()), position=self.size)

    def _count(self, condition: ColumnElement[bool]) -> int:
        return int(self._connection.execute(select(func.count()).where(condition)).scalar_one())

    def _grow(self, leaf_hashes: Sequence[bytes]) -> list[tuple[int, bytes]]:
        """The nodes that these leaves complete, by stored index. Each root on the way that was signed is checked."""
        nodes: list[tuple[int, bytes]] = []
        start, first = 0, self.size
        while self._next_size is not None and self._next_size <= first + len(leaf_hashes):
            end = self._next_size - first
            self._frontier, completed = self._frontier.append(*leaf_hashes[start:end])
            nodes += completed
            self._check_root()
            start, self._next_size = end, next(self._sizes, None)
        self._frontier, completed = self._frontier.append(*leaf_hashes[start:])
        return nodes + completed

    def _check_root(self) -> None:
        computed = self._frontier.root()
        roots = self._signed[self.size].items()
        self._wrong_roots += [(self.size - 1, parts) for root, parts in roots if root != computed]

    def _name_wrong_roots(self) -> None:
        """After the entry that is why."""
        for position, parts in self._wrong_roots:
            self._report.note("checkpoint_differs", *parts, position=position)
        self._wrong_roots.clear()

    def _name_difference(self, index: int, first: int, rows: Rows) -> None:
        level, n = tlog.split_stored_index(index)
        position = ((n + 1) << level) - 1
        if level == 0:
            self._report.note("entry_differs_from_tree", Part.TREE, position=position, entry=rows[position - first][1])
        elif not self._report.counts.keys() & {"entry_differs_from_tree", "entry_missing"}:
            # Otherwise the nodes above a changed leaf only repeat what its own node has said.
            self._report.note("node_differs", Part.TREE, position=position)
