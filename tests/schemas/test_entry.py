"""The leaf: a closed vocabulary with no place for free text, and times that mean one moment."""

import datetime
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from schemas.entry import Entry, Kind, LeafSchema, check_leaf, format_time, leaf_document, parse_time

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
LAST_MS = int(datetime.datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=datetime.UTC).timestamp() * 1000)


def test_a_leaf_is_exactly_this_document() -> None:
    assert leaf_document(ENTRY) == {
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
    }


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_fits_and_is_checked_like_a_strangers(kind: Kind) -> None:
    document = leaf_document(Entry(id="0" * 32, kind=kind, recorded_at_ms=0))
    assert set(document) == {"v", "id", "kind", "recorded_at"}
    check_leaf(document)


def test_every_field_of_an_entry_has_its_place_in_the_leaf() -> None:
    ours = {field.name.removesuffix("_ms") for field in fields(Entry)}
    assert ours | {"v"} == set(LeafSchema().fields)


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
            leaf_document(replace(ENTRY, **changes))


def test_our_own_mistake_is_told_without_the_value() -> None:
    with pytest.raises(AssertionError) as caught:
        leaf_document(replace(ENTRY, purpose="kari@example.no"))
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
    document = dict(leaf_document(ENTRY))
    check_leaf(document)
    with pytest.raises(ValidationError):
        check_leaf(document | STRANGE[case])


@pytest.mark.parametrize("missing", ["v", "id", "kind", "recorded_at"])
def test_a_leaf_without_its_head_is_refused(missing: str) -> None:
    document = dict(leaf_document(ENTRY))
    del document[missing]
    with pytest.raises(ValidationError):
        check_leaf(document)


@settings(deadline=None)
@given(st.integers(0, LAST_MS))
def test_parsing_a_time_is_the_inverse_of_formatting_it(at_ms: int) -> None:
    text = format_time(at_ms)
    assert parse_time(text) == at_ms
    check_leaf(dict(leaf_document(ENTRY)) | {"recorded_at": text})


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
