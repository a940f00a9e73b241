"""The audit of work: erasures and product access, what the leaves say about them against their rows.

Which payment gave what no leaf says; that there is a row for each grant, and that it lasts as long, they do.
"""

from typing import NamedTuple

from sqlalchemy import Connection, select

from ledger.audit_leaf import Leaf
from ledger.audit_people import People
from ledger.audit_report import Part, Report
from ledger.audit_rows import raw, stream
from ledger.product_rows import ENDED, GRANTED
from ledger.tables import erasure, product_access
from schemas.entry import Kind

_ERASED, _COMPLETED = Kind.ERASED.encode(), Kind.ERASURE_COMPLETED.encode()
_GRANTED, _REVOKED = Kind.ACCESS_GRANTED.encode(), Kind.ACCESS_REVOKED.encode()


class _Grant(NamedTuple):
    position: int
    subject: bytes | None
    product: bytes


class Work:
    """Every erasure and every grant of which the leaves speak: some 200 bytes for each."""

    def __init__(self, connection: Connection, report: Report) -> None:
        self._connection = connection
        self._report = report
        self._erased: dict[bytes, tuple[int, bytes | None]] = {}  # id of its entry -> position, handle
        self._completed: dict[bytes, int] = {}  # id of the erasure -> position of the entry that says so
        self._granted: dict[bytes, _Grant] = {}  # id of its entry
        self._revoked: set[bytes] = set()

    def take(self, leaf: Leaf) -> None:
        """The leaves in order."""
        kind = leaf.kind
        if kind == _ERASED:
            self._erased[leaf.id] = (leaf.position, leaf.subject)
        elif kind == _COMPLETED:
            self._completed[leaf.ref()] = leaf.position
        elif kind == _GRANTED:
            self._granted[leaf.id] = _Grant(leaf.position, leaf.subject, leaf.match["product"] or b"")
        elif kind == _REVOKED:
            self._revoked.add(leaf.ref())

    def close(self, people: People) -> None:
        """After the last leaf, and after `people`."""
        self._check_erasures()
        self._check_access(people)

    def _check_erasures(self) -> None:
        columns = (erasure.c.id, erasure.c.subject, erasure.c.completed_at_ms)
        for stored_id, stored_subject, completed_at_ms in stream(self._connection, select(*columns)):
            erasure_id = raw(stored_id)
            position, handle = self._erased.pop(erasure_id, (None, None))
            if position is None or handle != raw(stored_subject):
                self._note("erasure_unknown", position)
            elif (completed_at_ms is not None) != (erasure_id in self._completed):
                self._note("erasure_differs", self._completed.get(erasure_id, position))
        for position, _ in self._erased.values():
            self._note("erasure_missing", position)

    def _check_access(self, people: People) -> None:
        columns = [product_access.c[name] for name in ("product", "grant", "subject", "status")]
        there = set()
        for product, stored_grant, handle, status in stream(self._connection, select(*columns)):
            if raw(product) == ENDED.encode():
                continue  # a payment that was given back: about nobody, and no leaf names it
            grant_id = raw(stored_grant)
            grant = self._granted.get(grant_id)
            if grant is None or (grant.subject, grant.product) != (raw(handle), raw(product)):
                self._note("access_unknown", grant and grant.position)
                continue
            there.add(grant_id)
            if (raw(status) == GRANTED.encode()) == (grant_id in self._revoked):
                self._note("access_differs", grant.position)
        for grant_id, grant in self._granted.items():
            if grant_id not in there and grant.subject not in people.ended:
                self._note("access_missing", grant.position)

    def _note(self, reason: str, position: int | None) -> None:
        self._report.note(reason, Part.PEOPLE, position=position)
