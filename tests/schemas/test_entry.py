"""The leaf: a closed vocabulary with no place for free text, and times that mean one moment."""

import datetime
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.canonical import canonical_json, parse_canonical
from schemas.entry import (
    DPV_STATE_OF_KIND,
    LEAF_GRAMMAR,
    MEMBERS,
    Entry,
    Kind,
    format_leaf,
    format_time,
    parse_leaf,
    parse_time,
)

ENTRY = Entry(
    id="0" * 32,
    kind=Kind.GIVEN,
    recorded_at_ms=1_795_400_000_123,
    subject=bytes(16),
    purpose="newsletter",
    occurred_at_ms=1_795_399_999_000,
    received_at_ms=1_795_400_000_000,
    basis="consent",
    source="form:newsletter",
    method="double_opt_in",
    notice="personvern-1",
    notice_sha256="a" * 64,
    ref="b" * 32,
    commitment=bytes(32),
)


def document_of(entry: Entry) -> dict[str, Any]:
    document: dict[str, Any] = parse_canonical(format_leaf(entry))
    return document


def read(document: dict[str, Any]) -> Entry:
    return parse_leaf(canonical_json(document))


LAST_MS = int(datetime.datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=datetime.UTC).timestamp() * 1000)


def test_a_leaf_is_exactly_this_document() -> None:
    assert document_of(ENTRY) == {
        "v": 1,
        "id": "0" * 32,
        "kind": "consent.given",
        "recorded_at": "2026-11-23T02:13:20.123Z",
        "subject": "0" * 32,
        "purpose": "newsletter",
        "occurred_at": "2026-11-23T02:13:19.000Z",
        "received_at": "2026-11-23T02:13:20.000Z",
        "basis": "consent",
        "source": "form:newsletter",
        "method": "double_opt_in",
        "notice": "personvern-1",
        "notice_sha256": "a" * 64,
        "ref": "b" * 32,
        "commitment": "0" * 64,
        "state": "dpv:ConsentGiven",
    }


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_fits_and_is_checked_like_a_strangers(kind: Kind) -> None:
    document = document_of(Entry(id="0" * 32, kind=kind, recorded_at_ms=0))
    assert set(document) == {"v", "id", "kind", "recorded_at"} | ({"state"} & {*document})
    assert document.get("state") == DPV_STATE_OF_KIND.get(kind)
    assert ("state" in document) is kind.startswith("consent.")
    read(document)


def test_every_field_of_an_entry_has_its_place_in_the_leaf() -> None:
    ours = {field.name.removesuffix("_ms") for field in fields(Entry)}
    assert ours | {"v", "state"} == {*MEMBERS, "v"}


words = st.text("abcdefghijklmnopqrstuvwxyz0123456789_.:-", min_size=1, max_size=80).filter(
    lambda text: text[0].isalnum()
)
hexes = {size: st.binary(min_size=size, max_size=size).map(bytes.hex) for size in (16, 32)}
times = st.integers(0, LAST_MS)
counts = st.integers(1, 10**15 - 1)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("purpose", "source", "notice", "processor", "action", "outcome", "reason", "rule", "key"), words),
    **dict.fromkeys(("occurred_at_ms", "received_at_ms"), times),
    **dict.fromkeys(("count", "key_version"), counts),
    **dict.fromkeys(("notice_sha256", "public_key_sha256"), hexes[32]),
    "subject": st.binary(min_size=16, max_size=16),
    "commitment": st.binary(min_size=32, max_size=32),
    "ref": hexes[16],
    "basis": st.sampled_from(("consent", "contract", "legal_obligation")),
    "method": st.sampled_from(("form", "one_click", "web_form", "double_opt_in", "stripe", "operator")),
    "field": st.sampled_from(("email", "first_name", "last_name", "company", "other")),
}
entries = st.builds(
    Entry,
    id=hexes[16],
    kind=st.sampled_from(Kind),
    recorded_at_ms=times,
    **{name: st.none() | values for name, values in VALUES.items()},
)


@settings(deadline=None)
@given(entries)
def test_every_leaf_is_canonical_json_and_is_read_back(entry: Entry) -> None:
    """What we write as text is what RFC 8785 makes of the document, byte for byte."""
    leaf, document = format_leaf(entry), document_of(entry)
    assert leaf == canonical_json(document)
    assert parse_leaf(leaf) == entry
    match = LEAF_GRAMMAR.fullmatch(leaf)
    assert match is not None
    found = {name: value.decode() for name, value in match.groupdict().items() if value is not None}
    assert found == {name: str(document[name]) for name in MEMBERS if name in document}


@settings(deadline=None)
@given(entries, st.data())
def test_the_grammar_takes_no_leaf_with_another_byte_in_it(entry: Entry, data: st.DataObject) -> None:
    """Whatever the grammar takes is canonical."""
    leaf = bytearray(format_leaf(entry))
    leaf[data.draw(st.integers(0, len(leaf) - 1))] = data.draw(st.integers(0, 255))
    if LEAF_GRAMMAR.fullmatch(leaf):
        assert canonical_json(parse_canonical(bytes(leaf))) == leaf


@pytest.mark.parametrize("change", [{"state": "dpv:ConsentWithdrawn"}, {"recorded_at": "2026-13-01T00:00:00.000Z"}])
def test_what_contradicts_itself_is_no_leaf(change: dict[str, str]) -> None:
    document = document_of(ENTRY) | change
    assert LEAF_GRAMMAR.fullmatch(canonical_json(document))
    with pytest.raises(ValueError, match="not a leaf|month"):
        read(document)


FREE_TEXT = (
    "kari@example.no",
    "Kari Nordmann",
    "newsletter\n",
    "Newsletter",
    "æ",
    "",
    " ",
    "a" * 81,
    "-x",
    "a/b",
    "a'b",
)
OPEN_FIELDS = ("purpose", "source", "notice", "processor", "action", "outcome", "reason", "rule")


@pytest.mark.parametrize("name", OPEN_FIELDS)
def test_no_field_takes_free_text(name: str) -> None:
    for text in FREE_TEXT:
        changes: dict[str, Any] = {name: text}
        with pytest.raises(AssertionError, match=name):
            document_of(replace(ENTRY, **changes))


def test_our_own_mistake_is_told_without_the_value() -> None:
    with pytest.raises(AssertionError) as caught:
        document_of(replace(ENTRY, purpose="kari@example.no"))
    assert "kari" not in str(caught.value)


STRANGE: dict[str, dict[str, Any]] = {
    "another version": {"v": 2},
    "no version": {"v": None},
    "a version as text": {"v": "1"},
    "an unknown key": {"email": "kari@example.no"},
    "an unknown kind": {"kind": "consent.guessed"},
    "an unknown basis": {"basis": "legitimate_interest"},
    "an unknown method": {"method": "telepathy"},
    "an unknown field": {"field": "phone"},
    "half a subject": {"subject": "0" * 31},
    "a subject in capitals": {"subject": "A" * 32},
    "a subject with a line end": {"subject": "0" * 32 + "\n"},
    "a commitment with a line end": {"commitment": "0" * 64 + "\n"},
    "a time with an offset": {"recorded_at": "2026-11-23T02:13:20.123+00:00"},
    "a time without milliseconds": {"recorded_at": "2026-11-23T02:13:20Z"},
    "a time with a line end": {"recorded_at": "2026-11-23T02:13:20.123Z\n"},
    "a time of other digits": {"recorded_at": "٢٠٢٦-11-23T02:13:20.123Z"},
    "a count of none": {"count": 0},
    "a count as text": {"count": "1"},
}


@pytest.mark.parametrize("case", STRANGE)
def test_a_strange_leaf_is_refused(case: str) -> None:
    document = dict(document_of(ENTRY))
    read(document)
    with pytest.raises(ValueError, match="^not a leaf$"):
        read(document | STRANGE[case])


@pytest.mark.parametrize("missing", ["v", "id", "kind", "recorded_at"])
def test_a_leaf_without_its_head_is_refused(missing: str) -> None:
    document = dict(document_of(ENTRY))
    del document[missing]
    with pytest.raises(ValueError, match="^not a leaf$"):
        read(document)


@settings(deadline=None)
@given(st.integers(0, LAST_MS))
def test_parsing_a_time_is_the_inverse_of_formatting_it(at_ms: int) -> None:
    text = format_time(at_ms)
    assert parse_time(text) == at_ms
    read(dict(document_of(ENTRY)) | {"recorded_at": text})


@settings(deadline=None)
@given(st.integers(0, LAST_MS - 1))
def test_a_later_moment_sorts_after_an_earlier_one_as_text(at_ms: int) -> None:
    assert format_time(at_ms) < format_time(at_ms + 1)


@pytest.mark.parametrize(
    "text",
    ["2026-11-23T03:13:20.123+01:00", "2026-11-22T21:13:20.123-05:00", "2026-11-23 02:13:20.123456Z"],
)
def test_an_offset_is_the_same_moment(text: str) -> None:
    assert parse_time(text) == 1_795_400_000_123


@pytest.mark.parametrize("text", ["2026-11-23T02:13:20", "2026-11-23", "", "now", "1795400000", "2026-02-30T00:00:00Z"])
def test_a_time_without_an_offset_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_time(text)
