"""The plain model of a history: the same without a database, and without anything of ours but the leaf's bytes."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ledger.state import GIVEN, REFUSED, REQUESTED, REVOKED, WITHDRAWN
from schemas.entry import ENDING_KINDS, Kind, format_leaf
from tests.ledger.history import PURPOSES, RESTRICTS, Event


@dataclass
class Model:
    """Tree as RFC 6962 draws it, level by level; states as the greatest claim; boxes as a dictionary."""

    leaves: list[bytes] = field(default_factory=list)
    nodes: list[bytes] = field(default_factory=list)
    levels: list[list[bytes]] = field(default_factory=list)
    states: dict[tuple[bytes, str], tuple[Any, ...]] = field(default_factory=dict)
    boxes: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    people: dict[bytes, int | None] = field(default_factory=dict)  # since when they are restricted
    positions: dict[str, int] = field(default_factory=dict)  # by entry id
    boxes_of: dict[bytes, list[int]] = field(default_factory=dict)

    def add_leaf(self, leaf: bytes) -> None:
        """https://www.rfc-editor.org/rfc/rfc6962.html#section-2.1, every complete subtree in the order of completion"""
        self.leaves.append(leaf)
        level, node = 0, hashlib.sha256(b"\x00" + leaf).digest()
        while True:
            self.nodes.append(node)
            if level == len(self.levels):
                self.levels.append([])
            self.levels[level].append(node)
            if len(self.levels[level]) % 2:
                return
            node = hashlib.sha256(b"\x01" + b"".join(self.levels[level][-2:])).digest()
            level += 1

    def add(self, event: Event) -> None:
        entry, position = event.new.entry, len(self.leaves)
        self.add_leaf(format_leaf(entry))
        self.positions[entry.id] = position
        if entry.subject is not None:
            self.people.setdefault(entry.subject, None)
        if event.state is not None and entry.purpose is not None:
            self._claim((event.person, entry.purpose), event.state, event.effective_at_ms, position)
        if event.new.box is not None:
            self.boxes[position] = (event.person, event.new.box)
            self.boxes_of.setdefault(event.person, []).append(position)
        if entry.kind in ENDING_KINDS:
            self._end(event.person)
        elif entry.kind is Kind.REDACTED:
            self.boxes.pop(self.positions.get(entry.ref or "", -1), None)
        elif entry.kind in RESTRICTS:
            self.people[event.person] = entry.recorded_at_ms if RESTRICTS[entry.kind] else None

    def _end(self, handle: bytes) -> None:
        del self.people[handle]
        for position in self.boxes_of.pop(handle, ()):
            self.boxes.pop(position, None)
        for purpose in PURPOSES:
            self.states.pop((handle, purpose), None)

    def _claim(self, key: tuple[bytes, str], state: str, effective_at_ms: int, position: int) -> None:
        """docs/decisions/0001-record.md, Order: what decides beats what does not; then time; then withdrawn."""
        decides = state in (GIVEN, REVOKED, WITHDRAWN)
        rank = (REFUSED, REQUESTED, GIVEN, REVOKED, WITHDRAWN).index(state)
        order = (effective_at_ms, rank) if decides else (rank, effective_at_ms)
        claim = (decides, *order, position, state, effective_at_ms)
        self.states[key] = max(self.states.get(key, claim), claim)

    @property
    def frontier(self) -> bytes:
        size = len(self.leaves)
        return b"".join(level[-1] for level in reversed(self.levels) if len(level) % 2) if size else b""

    def parts(self) -> Iterator[Iterable[tuple[object, ...]]]:
        yield ((position, leaf) for position, leaf in enumerate(self.leaves))
        yield ((position, node) for position, node in enumerate(self.nodes))
        yield [(len(self.leaves), self.frontier)]
        yield ((*key, claim[-2], claim[-1], claim[3]) for key, claim in sorted(self.states.items()))
        yield ((position, *box) for position, box in sorted(self.boxes.items()))
        yield sorted(self.people.items())


def model_of(events: Iterable[Event]) -> Model:
    model = Model()
    for event in events:
        model.add(event)
    return model
