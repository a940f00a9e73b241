"""One leaf as the audit reads it: the members that it compares, out of the exact bytes."""

import re
from binascii import unhexlify
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from schemas.entry import DPV_STATE_OF_KIND, LEAF_GRAMMAR, parse_time


def _groups(*members: str) -> tuple[int, ...]:
    return tuple(LEAF_GRAMMAR.groupindex[member] for member in members)


class Leaf(NamedTuple):
    """What every check asks for: ids, handle and commitment as bytes, the rest as it is written."""

    position: int
    id: bytes
    subject: bytes | None
    commitment: bytes | None
    kind: bytes
    recorded_at: bytes
    match: re.Match[bytes]

    def consent(self) -> tuple[bytes, int]:
        """Purpose, and when it took effect (docs/decisions/0001-record.md, Order), of a leaf that claims a state."""
        purpose, occurred_at, received_at = self.match.group(*_CONSENT_GROUPS)
        return purpose or b"", time_ms(occurred_at or received_at or self.recorded_at)

    def ref(self) -> bytes:
        """Id of the entry concerned; nothing if the leaf names none."""
        return unhexlify(self.match["ref"] or b"")


_GROUPS = _groups(*Leaf._fields[1:-1], "state")
_CONSENT_GROUPS = _groups("purpose", "occurred_at", "received_at")
_LEAF: Callable[[type[Leaf], tuple[object, ...]], Leaf] = tuple.__new__  # without NamedTuple's own in between
_STATES = {kind.encode(): state.encode() for kind, state in DPV_STATE_OF_KIND.items()}


def read_leaf(position: int, text: bytes) -> Leaf | None:
    """None if the bytes are not a leaf of the vocabulary (schemas.entry.parse_leaf, at a third of its time)."""
    match = LEAF_GRAMMAR.fullmatch(text)
    if match is None:
        return None
    entry_id, subject, commitment, kind, recorded_at, state = match.group(*_GROUPS)
    if state != _STATES.get(kind):
        return None
    members = (
        position,
        unhexlify(entry_id),
        subject and unhexlify(subject),
        commitment and unhexlify(commitment),
        kind,
        recorded_at,
        match,
    )
    return _LEAF(Leaf, members)


def time_ms(text: bytes) -> int:
    """The inverse of format_time, of a text that the grammar let through. ValueError if there is no such day."""
    return _day_ms(text[:10]) + _time_of_day_ms(text[11:19]) + int(text[20:23])


@lru_cache(maxsize=4096)
def _day_ms(text: bytes) -> int:
    return parse_time(f"{text.decode()}T00:00:00Z")


@lru_cache(maxsize=24 * 60 * 60)
def _time_of_day_ms(text: bytes) -> int:
    return parse_time(f"1970-01-01T{text.decode()}Z")
