"""The audit: reads everything, writes nothing, and names what does not fit.

Its parts each see what the others cannot (ledger.audit_report.Part); here each row of the ledger is read once, in
order, compared with its own leaf, and handed to them.
"""

from collections.abc import Callable, Collection, Iterator, Sequence

from sqlalchemy import Connection, bindparam, select

from ledger.audit_boxes import Boxes, Opener
from ledger.audit_leaf import Leaf, read_leaf, time_ms
from ledger.audit_people import People
from ledger.audit_report import Part, Report
from ledger.audit_rows import Rows, collection_paused, fetch, raw, texts_as_bytes
from ledger.audit_tree import Tree, signed_roots
from ledger.audit_work import Work
from ledger.canonical import CanonicalError, parse_canonical
from ledger.checkpoints import SignerState
from ledger.keyring import Key
from ledger.log import READ_BATCH
from ledger.note import NoteVerifier
from ledger.tables import ledger_entry

# Missing entries in a row after which nothing is a ledger any more. They take a place each in the tree, so a
# position that somebody made up must not be reached by counting.
GAP_MAX = 1_000_000
_ROWS = (
    select(*(ledger_entry.c[name] for name in ("position", "id", "kind", "subject", "recorded_at_ms", "leaf")))
    .where(ledger_entry.c.position >= bindparam("first"))
    .order_by(ledger_entry.c.position)
    .limit(READ_BATCH)
)


def audit(
    connection: Connection,
    verifiers: Sequence[NoteVerifier] = (),
    outside: Sequence[str | bytes] = (),
    state: SignerState | None = None,
    kek: Key | None = None,
    announced: Collection[int] = (),
    progress: Callable[[int], object] = lambda _entries: None,
) -> Report:
    """One snapshot, in one pass; everything of ours that is wrong is in the report, and nothing is raised.

    `verifiers` check the notes in the database and `outside`, which were kept elsewhere; `state` is the signer's
    memory, of a moment before the snapshot. With `kek` every box is opened, of restricted people only those
    `announced` (ledger.audit_boxes.announce_restricted). `progress` is told how many entries more were read.
    Memory: a batch of rows, and what People keeps.
    """
    report = Report()
    with texts_as_bytes(connection), collection_paused():
        tree = Tree(connection, report, signed_roots(connection, report, verifiers, outside, state))
        people, work = People(connection, report), Work(connection, report)
        boxes = Boxes(connection, report, None if kek is None else Opener(report, kek, announced))
        for run in _runs(connection, report):
            first = run[0][0]
            leaves = [row[-1] if type(row[-1]) is bytes else raw(row[-1]) for row in run]
            tree.skip(first - tree.size)
            tree.check(leaves, run)
            boxes.check(_read(report, run, leaves, people.take, work.take), first, tree.size)
            progress(len(run))
        tree.close()
        people.close()
        boxes.close(people, tree.size)
        work.close(people)
    return report


def _runs(connection: Connection, report: Report) -> Iterator[Rows]:
    """Every entry in order, in lists without a gap."""
    expected = 0
    while rows := fetch(connection, _ROWS, {"first": expected}):
        start = 0
        for index, (position, *_) in enumerate(rows):
            if position == expected:
                expected += 1
                continue
            if index > start:
                yield rows[start:index]
            if type(position) is not int or position - expected > GAP_MAX:
                report.note("entry_missing", Part.TREE, position=expected)
                return
            for missing in range(expected, position):
                report.note("entry_missing", Part.TREE, position=missing)
            start, expected = index, position + 1
        yield rows[start:]


def _read(report: Report, run: Rows, stored: Sequence[bytes], *takers: Callable[[Leaf], None]) -> list[Leaf]:
    """The leaves that can be read, each compared with the copies in its row and taken by every one of `takers`."""
    leaves = []
    for (position, entry_id, kind, subject, recorded_at_ms, _), text in zip(run, stored, strict=True):
        leaf = read_leaf(position, text)
        if leaf is None:
            report.note(_fault_of(text), Part.COLUMNS, position=position, entry=entry_id)
            continue
        try:
            copies = (leaf.id, leaf.kind, leaf.subject, time_ms(leaf.recorded_at))
            if copies != (entry_id, kind if type(kind) is bytes else raw(kind), subject, recorded_at_ms):
                report.note("columns_differ", Part.COLUMNS, position=position, entry=entry_id)
            for take in takers:
                take(leaf)
        except ValueError:  # a day that no calendar has
            report.note("leaf_time_impossible", Part.COLUMNS, position=position, entry=entry_id)
        leaves.append(leaf)
    return leaves


def _fault_of(leaf: bytes) -> str:
    try:
        parse_canonical(leaf)
    except CanonicalError:
        return "leaf_not_canonical"
    return "leaf_outside_vocabulary"
