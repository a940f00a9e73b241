"""The audit of boxes: one for every commitment, or an entry that says why not; and each opens to what was committed.

Opening needs the key-encryption key. Nothing of a restricted person is opened before an entry says so.
"""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from ledger.audit_leaf import Leaf
from ledger.audit_people import IN_ONE_QUERY, People, chunks
from ledger.audit_report import Part, Report
from ledger.audit_rows import Rows, fetch, raw
from ledger.errors import LedgerError
from ledger.keyring import Key
from ledger.log import NewEntry, append_many, lock_head, new_id
from ledger.quarantine import reason_of
from ledger.sealing import commitment, unseal_versioned
from ledger.tables import ledger_entry, subject, vault
from ledger.vault import Subject, open_payload
from schemas.entry import Entry, Kind

_IN_RUN = (vault.c.position >= bindparam("first")) & (vault.c.position < bindparam("end"))
_OWNERS = select(vault.c.position, vault.c.subject).where(_IN_RUN)
_BOXES = (
    select(vault.c.position, vault.c.subject, vault.c.box, subject.c.data_key, subject.c.restricted_at_ms)
    .join(subject, subject.c.handle == vault.c.subject, isouter=True)
    .where(_IN_RUN)
)
_REDACTED = Kind.REDACTED.encode()
DATA_KEYS_MAX = 20_000  # some 8 MB


def announce_restricted(connection: Connection, now_ms: int) -> frozenset[int]:
    """Positions of the boxes of restricted people, once an entry says that so many are opened.

    None, and no entry, where nothing is restricted, and in quarantine, where nothing is recorded.
    """
    lock_head(connection)
    if reason_of(connection) is not None:
        return frozenset()
    boxes = select(vault.c.position).join(subject, subject.c.handle == vault.c.subject)
    positions = frozenset(connection.execute(boxes.where(subject.c.restricted_at_ms.is_not(None))).scalars())
    if positions:
        count = len(positions)
        entry = Entry(new_id(now_ms), Kind.AUDITED, now_ms, source="operator", method="operator", count=count)
        append_many(connection, [NewEntry(entry)])
    return positions


class Boxes:
    """Asks of each leaf whether its box is there, and lets `opener`, if there is one, look inside."""

    def __init__(self, connection: Connection, report: Report, opener: "Opener | None") -> None:
        self._connection = connection
        self._report = report
        self._opener = opener
        self._missing: dict[bytes, tuple[int, bytes]] = {}  # entry id -> position, handle
        self._redacted: dict[bytes, int] = {}  # entry id -> position of the entry that says so

    def check(self, leaves: Sequence[Leaf], first: int, end: int) -> None:
        """`leaves`: those of the entries [first, end) that can be read."""
        query = _OWNERS if self._opener is None else _BOXES
        held = {row[0]: row for row in fetch(self._connection, query, {"first": first, "end": end})}
        self._report.boxes += len(held)
        for leaf in leaves:
            row = held.get(leaf.position)
            if row is not None:
                self._check_held(leaf, row)
            elif leaf.commitment is not None:
                self._missing[leaf.id] = (leaf.position, leaf.subject or b"")
            if leaf.kind == _REDACTED:
                self._redact(leaf)

    def _check_held(self, leaf: Leaf, row: tuple[Any, ...]) -> None:
        if leaf.commitment is None:
            self._note("box_without_commitment", leaf.position, leaf.id)
            return
        if row[1] != leaf.subject:
            self._note("box_of_somebody_else", leaf.position, leaf.id)
        if self._opener is not None:
            self._opener.open(leaf, row)

    def _redact(self, leaf: Leaf) -> None:
        """Only what came before can be redacted."""
        if self._missing.pop(leaf.ref(), None) is None:
            self._redacted[leaf.ref()] = leaf.position

    def close(self, people: People, size: int) -> None:
        """After the last leaf: what is missing is explained by now, or not at all."""
        for entry_id, (position, handle) in self._missing.items():
            if people.ended.get(handle, -1) < position:
                self._note("box_missing", position, entry_id)
        for entry_id, position in self._held_of_redacted():
            if position < self._redacted[entry_id]:
                self._note("redacted_box_kept", position, entry_id)
        outside = select(func.count()).where((vault.c.position < 0) | (vault.c.position >= size))
        beyond = self._connection.execute(outside).scalar()
        if beyond:
            self._report.note("box_without_entry", Part.BOXES, position=size, count=int(beyond))

    def _held_of_redacted(self) -> Rows:
        held = select(ledger_entry.c.id, vault.c.position).join(vault, vault.c.position == ledger_entry.c.position)
        queries = (held.where(ledger_entry.c.id.in_(ids)) for ids in chunks(self._redacted, IN_ONE_QUERY))
        return [row for query in queries for row in fetch(self._connection, query, {})]

    def _note(self, reason: str, position: int, entry_id: bytes) -> None:
        self._report.note(reason, Part.BOXES, position=position, entry=entry_id)


class Opener:
    """Opens boxes and compares them with their commitments. `announced`: which of restricted people it may open."""

    def __init__(self, report: Report, kek: Key, announced: Collection[int]) -> None:
        self._report = report
        self._kek = kek
        self._announced = announced
        self._unwrap = lru_cache(maxsize=DATA_KEYS_MAX)(self._unwrap_anew)

    def open(self, leaf: Leaf, row: tuple[Any, ...]) -> None:
        """`row` as _BOXES has it: position, subject, box, wrapped data key, and since when the person is restricted."""
        position, handle, box, data_key, restricted_at_ms = row
        if restricted_at_ms is not None and position not in self._announced:
            self._report.closed += 1
            return
        self._report.opened += 1
        try:
            person = self._unwrap(raw(handle), raw(data_key))
            committed = commitment(*open_payload(person, leaf.id, raw(box)))
        except LedgerError:
            self._report.note("box_does_not_open", Part.OPENED, position=position, entry=leaf.id)
            return
        if committed != leaf.commitment:
            self._report.note("box_differs_from_commitment", Part.OPENED, position=position, entry=leaf.id)

    def _unwrap_anew(self, handle: bytes, data_key: bytes) -> Subject:
        return Subject(handle, unseal_versioned(self._kek, data_key, handle), language="")
