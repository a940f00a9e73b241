"""The audit of people: what the leaves say about them, replayed, against the rows about them.

Consent states, restrictions, and who has ended follow from the leaves alone. Suppressions do not: a leaf does not say
whose address a stop is about. Nor do tags and links; only that those of somebody who has ended are gone.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

from sqlalchemy import Connection, bindparam, func, select

from ledger.audit_leaf import Leaf
from ledger.audit_report import Part, Report
from ledger.audit_rows import raw, stream
from ledger.state import STATE_OF_KIND, Order, order_of, state_of
from ledger.tables import (
    consent_state,
    drift_check,
    ledger_entry,
    link,
    product_access,
    subject,
    subject_address,
    vault,
)
from ledger.vault import HANDLE_SIZE_BYTES
from schemas.entry import ENDING_KINDS, Kind

_STATES = {kind.encode(): state for kind, state in STATE_OF_KIND.items()}
_ENDING = frozenset(kind.encode() for kind in ENDING_KINDS)
# Only somebody who has rows can say one of these; a stop may come from somebody whom nobody knows.
_SAID_BY_KNOWN = frozenset(kind.encode() for kind in (Kind.REQUESTED, Kind.GIVEN, Kind.REFUSED))
_RESTRICTED, _UNRESTRICTED = Kind.RESTRICTED.encode(), Kind.UNRESTRICTED.encode()
_ABOUT = (subject_address, vault, link, consent_state, product_access, drift_check)
_OF_SUBJECT = (subject.c.handle, *(table.c.subject for table in _ABOUT))
_FIRST = select(func.min(ledger_entry.c.position)).where(ledger_entry.c.subject == bindparam("handle"))
IN_ONE_QUERY = 1_000


class People:
    """Everybody of whom the leaves speak: some 400 bytes for each of them and each purpose, the most an audit keeps."""

    def __init__(self, connection: Connection, report: Report) -> None:
        self._connection = connection
        self._report = report
        self._states: dict[bytes, Order] = {}  # by handle and purpose, one after the other
        self._known: dict[bytes, bool] = {}  # whether anything was ever sealed about them
        self._restricted: dict[bytes, int] = {}
        self.ended: dict[bytes, int] = {}  # with the position of the entry that says so

    def take(self, leaf: Leaf) -> None:
        """The leaves in order. ValueError for a time that is none."""
        handle, kind = leaf.subject, leaf.kind
        if handle is None:
            return
        if leaf.commitment is not None:
            self._known[handle] = True
        elif kind in _SAID_BY_KNOWN:
            self._known.setdefault(handle, False)
        if kind in _STATES:
            purpose, at_ms = leaf.consent()
            key, event = handle + purpose, order_of(_STATES[kind], at_ms, leaf.position)
            if event > self._states.get(key, event[:0]):
                self._states[key] = event
        elif kind in _ENDING:
            self.ended[handle] = leaf.position
        elif kind == _RESTRICTED:
            self._restricted[handle] = leaf.position
        elif kind == _UNRESTRICTED:
            self._restricted.pop(handle, None)

    def close(self) -> None:
        """After the last leaf: every row about a person against what the leaves say."""
        present = self._check_subjects()
        for handle, was_sealed in self._known.items():
            # Somebody of whom nothing was sealed may be lost in a restore, without anything to say about it.
            if was_sealed and handle not in present and handle not in self.ended:
                self._note("person_missing", self._first_position(handle))
        self._check_states(present)
        self._check_ended()

    def _check_subjects(self) -> set[bytes]:
        """Returns the handles that have a row."""
        present = set()
        for stored, restricted_at_ms in stream(self._connection, select(subject.c.handle, subject.c.restricted_at_ms)):
            handle = raw(stored)
            present.add(handle)
            if handle in self.ended:
                continue  # named by _check_ended, with everything else that was kept
            if handle not in self._known:
                self._note("person_unknown")
            if (restricted_at_ms is not None) != (handle in self._restricted):
                self._note("restriction_differs", self._restricted.get(handle))
        self._report.people = len(present)
        return present

    def _check_states(self, present: set[bytes]) -> None:
        """The rows are the replayed states of whoever has a row, no more and no less."""
        columns = [consent_state.c[name] for name in ("subject", "purpose", "state", "effective_at_ms", "position")]
        for stored, purpose, state, at_ms, position in stream(self._connection, select(*columns)):
            self._report.states += 1
            handle = raw(stored)
            order = self._states.pop(handle + raw(purpose), None)
            if handle in self.ended:
                continue
            if order is None or handle not in present:
                self._note("state_unknown")
                continue
            replayed = state_of(order)
            if (raw(state), at_ms, position) != (replayed.state.encode(), replayed.effective_at_ms, replayed.position):
                self._note("state_differs", replayed.position)
        for key, order in self._states.items():
            handle = key[:HANDLE_SIZE_BYTES]
            if handle in present and handle not in self.ended:
                self._note("state_missing", state_of(order).position)

    def _check_ended(self) -> None:
        kept: set[bytes] = set()
        for handles in chunks(self.ended, IN_ONE_QUERY):
            for column in _OF_SUBJECT:
                kept.update(self._connection.execute(select(column).where(column.in_(handles)).distinct()).scalars())
        for position in sorted(self.ended[handle] for handle in kept):
            self._note("ended_person_kept", position)

    def _first_position(self, handle: bytes) -> int | None:
        if not self._report.has_room():
            return None
        found: int | None = self._connection.execute(_FIRST, {"handle": handle}).scalar()
        return found

    def _note(self, reason: str, position: int | None = None) -> None:
        self._report.note(reason, Part.PEOPLE, position=position)


def chunks(items: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    """In lists of at most `size`."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
