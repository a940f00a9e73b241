"""The ledger entry: event kinds, leaf fields and their closed vocabulary (docs/decisions/0001-record.md).

One table says what each member of a leaf may hold; the grammar of a leaf's exact bytes is made from it. Whatever is
written is matched against that, and so is whatever is read.
"""

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

from marshmallow import validate

from schemas.kinds import DPV_STATE_OF_KIND as DPV_STATE_OF_KIND
from schemas.kinds import ENDING_KINDS as ENDING_KINDS
from schemas.kinds import Kind as Kind

VERSION = 1
RIGHTS = ("access", "rectification", "erasure", "restriction", "objection", "portability")  # GDPR, 15 to 21
FIELDS = ("email", "first_name", "last_name", "company", "other")

# Our own identifiers: form keys, purposes, notice keys, reasons. No spaces, no '@': no place for free text.
# No pattern takes a quotation mark, a backslash or a letter beyond ASCII, so a leaf never needs an escape.
_IDENTIFIER = "[a-z0-9][a-z0-9_.:-]{0,79}"
_HEX16, _HEX32 = "[0-9a-f]{32}", "[0-9a-f]{64}"
_TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z"
_COUNT = "[1-9][0-9]{0,14}"  # below 2^53, which every JSON reader keeps exact

# The end is \Z: `$` would let a line end through, and \d is every script's digits.
IDENTIFIER = validate.Regexp(rf"{_IDENTIFIER}\Z")
HEX16 = validate.Regexp(rf"{_HEX16}\Z")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry before it has a position. Times are unix milliseconds; the payload is sealed, never in the leaf."""

    id: str
    kind: Kind
    recorded_at_ms: int
    subject: bytes | None = None
    purpose: str | None = None
    occurred_at_ms: int | None = None
    received_at_ms: int | None = None
    basis: str | None = None
    source: str | None = None
    method: str | None = None
    notice: str | None = None
    notice_sha256: str | None = None
    ref: str | None = None
    commitment: bytes | None = None
    processor: str | None = None
    action: str | None = None
    outcome: str | None = None
    reason: str | None = None
    rule: str | None = None
    field: str | None = None
    count: int | None = None
    key: str | None = None
    key_version: int | None = None
    public_key_sha256: str | None = None
    right: str | None = None
    product: str | None = None
    retained_until_ms: int | None = None
    fact: str | None = None

    @property
    def state(self) -> str | None:
        """The DPV consent status, for consent events."""
        return DPV_STATE_OF_KIND.get(self.kind)


def _one_of(*words: str) -> str:
    return "|".join(map(re.escape, words))


# Name of each member: what its value must match whole. In the order of the leaf, which is that of the alphabet.
MEMBERS: Mapping[str, str] = {
    "action": _IDENTIFIER,
    "basis": _one_of("consent", "contract", "legal_obligation"),
    "commitment": _HEX32,
    "count": _COUNT,
    "fact": _IDENTIFIER,
    "field": _one_of(*FIELDS),
    "id": _HEX16,
    "key": _IDENTIFIER,
    "key_version": _COUNT,
    "kind": _one_of(*Kind),
    "method": _one_of("form", "one_click", "web_form", "double_opt_in", "stripe", "mail", "operator"),
    "notice": _IDENTIFIER,
    "notice_sha256": _HEX32,
    "occurred_at": _TIME,
    "outcome": _IDENTIFIER,
    "processor": _IDENTIFIER,
    "product": _IDENTIFIER,
    "public_key_sha256": _HEX32,
    "purpose": _IDENTIFIER,
    "reason": _IDENTIFIER,
    "received_at": _TIME,
    "recorded_at": _TIME,
    "ref": _HEX16,
    "retained_until": _TIME,
    "right": _one_of(*RIGHTS),
    "rule": _IDENTIFIER,
    "source": _IDENTIFIER,
    "state": _one_of(*DPV_STATE_OF_KIND.values()),
    "subject": _HEX16,
}
_NUMBERS = frozenset({"count", "key_version"})
_REQUIRED = frozenset({"id", "kind", "recorded_at"})


def _grammar() -> "re.Pattern[bytes]":
    """Exactly the leaves that we write: members in order, each at most once, nothing between them.

    Whatever it matches is in RFC 8785 form: sorted ASCII keys, no white space, no escapes, no fractions. Possessive:
    no member can match in the place of another, so nothing that was matched is ever tried again.
    """
    parts = []
    for name, pattern in MEMBERS.items():
        value = f"(?P<{name}>{pattern})" if name in _NUMBERS else f'"(?P<{name}>{pattern})"'
        parts.append(f'"{name}":{value},' if name in _REQUIRED else f'(?:"{name}":{value},)?+')
    return re.compile(rf'\{{{"".join(parts)}"v":{VERSION}\}}'.encode())


LEAF_GRAMMAR = _grammar()


@lru_cache(maxsize=1024)
def _format_second(at_s: int) -> str:
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")


def format_time(at_ms: int) -> str:
    """Unix milliseconds -> RFC 3339 UTC, e.g. 2026-11-23T04:21:00.000Z."""
    return f"{_format_second(at_ms // 1000)}.{at_ms % 1000:03d}Z"


def parse_time(text: str) -> int:
    """The inverse of format_time; also any RFC 3339 time with an offset. ValueError otherwise."""
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without an offset")
    delta = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return delta // datetime.timedelta(milliseconds=1)


def _quoted(write: Callable[[Any], str] = str) -> Callable[[Any], str]:
    return lambda value: f'"{write(value)}"'


_WRITE: Mapping[str, Callable[[Any], str]] = {
    **{name: _quoted() for name in MEMBERS},
    **{name: _quoted(format_time) for name, pattern in MEMBERS.items() if pattern == _TIME},
    **dict.fromkeys(("subject", "commitment"), _quoted(bytes.hex)),
    **dict.fromkeys(_NUMBERS, str),
}
_FIELD = {name: f"{name}_ms" if pattern == _TIME else name for name, pattern in MEMBERS.items()}
_READ: Mapping[str, Callable[[str], Any]] = {
    "kind": Kind,
    **{name: parse_time for name, pattern in MEMBERS.items() if pattern == _TIME},
    **dict.fromkeys(("subject", "commitment"), bytes.fromhex),
    **dict.fromkeys(_NUMBERS, int),
}
_WRITERS = [(f'"{name}":', _WRITE[name]) for name in MEMBERS]
_VALUES = attrgetter(*_FIELD.values())


def format_leaf(entry: Entry) -> bytes:
    """The exact bytes that are stored and hashed; AssertionError if ours are outside the vocabulary."""
    written = [
        name + write(value) for (name, write), value in zip(_WRITERS, _VALUES(entry), strict=True) if value is not None
    ]
    leaf = f'{{{",".join(written)},"v":{VERSION}}}'.encode()
    assert LEAF_GRAMMAR.fullmatch(leaf), f"a leaf outside the vocabulary: {_wrong_members(written)}"
    return leaf


def parse_leaf(leaf: bytes) -> Entry:
    """The inverse of format_leaf. ValueError for anything else, without saying what it was."""
    found = LEAF_GRAMMAR.fullmatch(leaf)
    if found is None:
        raise ValueError("not a leaf")
    values = {name: value.decode() for name, value in found.groupdict().items() if value is not None}
    state = values.pop("state", None)
    entry = Entry(**{_FIELD[name]: _READ.get(name, str)(value) for name, value in values.items()})
    if entry.state != state:
        raise ValueError("not a leaf")
    return entry


def _wrong_members(written: list[str]) -> list[str]:
    """Names only: the values may be what must not be told."""
    names = [member.partition('":')[0].removeprefix('"') for member in written]
    return [
        name
        for name, member in zip(names, written, strict=True)
        if not re.fullmatch(MEMBERS[name] if name in _NUMBERS else f'"(?:{MEMBERS[name]})"', member.partition(":")[2])
    ]
