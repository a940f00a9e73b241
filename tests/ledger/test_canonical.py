"""The canonical form: what RFC 8785 asks for inside the profile, and a refusal for everything outside it."""

import json
import unicodedata
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import DEPTH_MAX, INTEGER_MAX, CanonicalError, canonical_json, parse_canonical

TEXTS = st.text(st.characters(exclude_categories=["Cs"])).map(lambda text: unicodedata.normalize("NFC", text))
KEYS = st.text(st.characters(max_codepoint=127))
SCALARS = st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
).filter(lambda value: nesting(value) < DEPTH_MAX)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=5)


def nesting(value: object) -> int:
    if isinstance(value, dict | list):
        return 1 + max(map(nesting, value.values() if isinstance(value, dict) else value), default=0)
    return 0


def nested(depth: int) -> dict[str, object]:
    return {"inner": nested(depth - 1)} if depth > 1 else {}


def refuse(document: object, reason: str) -> None:
    with pytest.raises(CanonicalError, match=f"^{reason}$"):
        canonical_json(document)  # type: ignore[arg-type]


# https://www.rfc-editor.org/rfc/rfc8785.html#section-3.2.2.2: two-letter escapes where JSON has them, small
# hexadecimal letters where not, and everything else as it is; 3.2.3: keys in order of their code units.
@pytest.mark.parametrize(
    ("document", "data"),
    [
        ({}, b"{}"),
        ({"b": 1, "a": [True, False, None], "B": {}}, b'{"B":{},"a":[true,false,null],"b":1}'),
        ({"10": 1, "1": 2, "": 3, "\r": 4}, b'{"":3,"\\r":4,"1":2,"10":1}'),
        ({"a": '\b\t\n\f\r"\\/'}, b'{"a":"\\b\\t\\n\\f\\r\\"\\\\/"}'),
        ({"a": "\x00\x0f\x1f\x7f"}, b'{"a":"\\u0000\\u000f\\u001f\x7f"}'),
        ({"a": "€ ø \u2028 😂"}, '{"a":"€ ø \u2028 😂"}'.encode()),
        ({"a": INTEGER_MAX, "b": -INTEGER_MAX}, b'{"a":9007199254740991,"b":-9007199254740991}'),
    ],
)
def test_it_writes_and_reads_the_canonical_form(document: dict[str, object], data: bytes) -> None:
    assert canonical_json(document) == data
    assert parse_canonical(data) == document


@given(DOCUMENTS)
def test_parsing_undoes_writing(document: dict[str, object]) -> None:
    assert parse_canonical(canonical_json(document)) == document


@given(DOCUMENTS)
def test_the_order_in_which_a_document_was_built_does_not_matter(document: dict[str, object]) -> None:
    assert canonical_json(dict(reversed(document.items()))) == canonical_json(document)


@given(st.binary(max_size=60) | DOCUMENTS.map(json.dumps).map(str.encode))
def test_bytes_are_either_refused_or_their_own_canonical_form(data: bytes) -> None:
    try:
        document = parse_canonical(data)
    except CanonicalError:
        return
    assert canonical_json(document) == data


def test_it_takes_any_mapping_and_leaves_it_alone() -> None:
    assert canonical_json(MappingProxyType({"b": 1, "a": 2})) == b'{"a":2,"b":1}'


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (0.0, "type_not_allowed"),
        (1e3, "type_not_allowed"),
        (float("nan"), "type_not_allowed"),
        (float("inf"), "type_not_allowed"),
        (b"bytes", "type_not_allowed"),
        ((1, 2), "type_not_allowed"),
        ({1, 2}, "type_not_allowed"),
        (MappingProxyType({}), "type_not_allowed"),
        (2**53, "integer_too_large"),
        (-(2**53), "integer_too_large"),
        ("A\u030a", "string_not_normalized"),
        ("\u212b", "string_not_normalized"),
        ("\ud800", "string_has_lone_surrogate"),
        ("\ude02\ud83d", "string_has_lone_surrogate"),
        ({"ø": 1}, "key_not_ascii"),
        ({1: 1}, "key_not_ascii"),
        ({None: 1}, "key_not_ascii"),
    ],
)
def test_it_refuses_what_lies_outside_the_profile_wherever_it_stands(value: object, reason: str) -> None:
    refuse({"a": value}, reason)
    refuse({"a": ["b", value]}, reason)
    refuse({"a": {"b": [{"c": value}]}}, reason)


def test_it_refuses_a_key_outside_ascii_at_the_top() -> None:
    refuse({"ø": 1}, "key_not_ascii")
    refuse({True: 1}, "key_not_ascii")


def test_it_refuses_more_levels_than_the_limit_and_a_document_inside_itself() -> None:
    assert parse_canonical(canonical_json(nested(DEPTH_MAX))) == nested(DEPTH_MAX)
    refuse(nested(DEPTH_MAX + 1), "nested_too_deep")
    endless: dict[str, object] = {}
    endless["self"] = [endless]
    refuse(endless, "nested_too_deep")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "json_malformed"),
        (b"{", "json_malformed"),
        (b"{}{}", "json_malformed"),
        (b"{'a':1}", "json_malformed"),
        (b'{"a":01}', "json_malformed"),
        (b'{"a":"\xff"}', "json_malformed"),
        (b'{"a":"\xed\xa0\x80"}', "json_malformed"),
        (b'\xef\xbb\xbf{"a":1}', "json_malformed"),
        ('{"a":1}'.encode("utf-16"), "json_malformed"),
        (b'{"a":' + b"1" * 5000 + b"}", "json_malformed"),
        (b'{"a":' * 100_000, "json_malformed"),
        (b'{"a":' + b"[" * 20 + b"]" * 20 + b"}", "nested_too_deep"),
        (b"[]", "not_an_object"),
        (b"null", "not_an_object"),
        (b'"a"', "not_an_object"),
        (b'{"a":1.0}', "type_not_allowed"),
        (b'{"a":1e3}', "type_not_allowed"),
        (b'{"a":NaN}', "type_not_allowed"),
        (b'{"a":-Infinity}', "type_not_allowed"),
        (b'{"a":9007199254740992}', "integer_too_large"),
        (b'{"a":"\\ud800"}', "string_has_lone_surrogate"),
        (b'{"a":"A\xcc\x8a"}', "string_not_normalized"),
        (b'{"\xc3\xb8":1}', "key_not_ascii"),
        (b'{"a":1,"a":1}', "not_canonical"),
        (b'{"b":1,"a":1}', "not_canonical"),
        (b'{"a": 1}', "not_canonical"),
        (b'{"a":1}\n', "not_canonical"),
        (b' {"a":1}', "not_canonical"),
        (b'{"a":-0}', "not_canonical"),
        (b'{"a":"\\u0041"}', "not_canonical"),
        (b'{"a":"\\/"}', "not_canonical"),
        (b'{"a":"\\u000A"}', "not_canonical"),
        (b'{"a":"\\u001F"}', "not_canonical"),
        (b'{"a":"\\u00f8"}', "not_canonical"),
        (b'{"a":"\\ud83d\\ude02"}', "not_canonical"),
    ],
)
def test_it_refuses_bytes_that_are_no_canonical_form(data: bytes, reason: str) -> None:
    with pytest.raises(CanonicalError, match=f"^{reason}$"):
        parse_canonical(data)
