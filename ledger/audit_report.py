"""What an audit found: which of its parts saw what, where, and how often."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

LISTED_MAX = 100  # all are counted; a list that nobody can read to its end helps nobody


class Part(StrEnum):
    """The parts of the audit, each of which sees what the others cannot (docs/concepts/the-ledger.md)."""

    TREE = "tree"  # leaves against nodes and head
    CHECKPOINTS = "checkpoints"  # the signed notes in the database
    ELSEWHERE = "elsewhere"  # notes kept elsewhere, and the signer's memory
    COLUMNS = "columns"  # a row's copies against its leaf
    PEOPLE = "people"  # what the leaves say about people against the rows about them
    BOXES = "boxes"  # a box for every commitment, or an entry that says why not
    OPENED = "opened"  # each box against its commitment, which needs the key


@dataclass(frozen=True, slots=True)
class Problem:
    """`position` of the entry that does not fit, or None where the whole is at fault; `entry`: its id, hex."""

    reason: str
    position: int | None = None
    entry: str | None = None


@dataclass(slots=True)
class Report:
    """What was read, and everything that did not fit: all of it counted, the first LISTED_MAX listed.

    `boxes` are there; `opened` of them were compared with what they committed to, `closed` were left alone because the
    person is restricted.
    """

    size: int = 0
    root: bytes = b""
    checkpoints: int = 0
    people: int = 0
    states: int = 0
    boxes: int = 0
    opened: int = 0
    closed: int = 0
    problems: list[Problem] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    seen_by: set[Part] = field(default_factory=set)

    def note(
        self, reason: str, *parts: Part, position: int | None = None, entry: bytes | None = None, count: int = 1
    ) -> None:
        """`parts`: each of those that would have seen it without the others."""
        self.counts[reason] += count
        self.seen_by.update(parts)
        if self.has_room():
            self.problems.append(Problem(reason, position, entry.hex() if isinstance(entry, bytes) else None))

    def has_room(self) -> bool:
        return len(self.problems) < LISTED_MAX
