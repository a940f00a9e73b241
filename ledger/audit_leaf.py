"""One leaf as the audit reads it: the members that it compares, out of the exact bytes."""

import re
from binascii import unhexlify
from functools import lru_cache
from typing import NamedTuple

from schemas.entry import DPV_STATE_OF_KIND, LEAF_GRAMMAR, parse_time


class Leaf(NamedTuple):
    """What every check asks for: ids, handle and commitment as bytes, the rest as it is written."""

    position: int
    id: bytes
    subject: bytes | None
    commitment: bytes | None
    kind: bytes
    recorded_at: bytes
    match: re.Match[bytes]

    def member(self, name: str) -> bytes | None:
        """Any member as it is written; None if the leaf does not have it."""
        return self.match[name]


_GROUPS = tuple(LEAF_GRAMMAR.groupindex[name] for name in (*Leaf._fields[1:-1], "state"))
_STATES = {kind.encode(): state.encode() for kind, state in DPV_STATE_OF_KIND.items()}


def read_leaf(position: int, text: bytes) -> Leaf | None:
    """None if the bytes are not a leaf of the vocabulary (schemas.entry.parse_leaf, at a third of its time)."""
    match = LEAF_GRAMMAR.fullmatch(text)
    if match is None:
        return None
    entry_id, subject, commitment, kind, recorded_at, state = match.group(*_GROUPS)
    if state != _STATES.get(kind):
        return None
    return Leaf(
        position,
        unhexlify(entry_id),
        subject and unhexlify(subject),
        commitment and unhexlify(commitment),
        kind,
        recorded_at,
        match,
    )


def time_ms(text: bytes) -> int:
    """The inverse of format_time, of a text that the grammar let through. ValueError if there is no such day."""
    return _second_ms(text[:19]) + int(text[20:23])


@lru_cache(maxsize=4096)
def _second_ms(text: bytes) -> int:
    return parse_time(text.decode() + "Z")
