"""Strict JSON: what is read, what is refused and why, and that nothing else ever leaves."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.strict_json import DEPTH_MAX, KEYS_MAX, VALUES_MAX, SchemaRefused, SyntaxRefused, parse_json
from tests.schemas.json_grammar import INVALID, VALID

ACCEPTED: list[tuple[bytes, object]] = [
    (b"{}", {}),
    (b" [ ] \r\n\t", []),
    (b"null", None),
    (b'"bare"', "bare"),
    (b"-0", 0),
    (b"1E-2", 0.01),
    (b"1e0", 1.0),
    (b"9223372036854775807", 2**63 - 1),
    (b"-9223372036854775807", 1 - 2**63),
    (b"-0.000000000000000000000000000000000000000000000000000000000000000000000000000001", -1e-78),
    (b'"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\/\b\f\n\r\t'),
    (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
    (b'"\\uD834\\udd1e"', "\N{MUSICAL SYMBOL G CLEF}"),
    (b'"\\\\u0000"', "\\u0000"),
    (b'"\\\\ud800"', "\\ud800"),
    (b'"\\\\\\\\"', "\\\\"),
    ('"\ufeffæøå\u2028\x7f"'.encode(), "\ufeffæøå\u2028\x7f"),
    (b'{"":0,"a":{"a":[{"a":1}]}}', {"": 0, "a": {"a": [{"a": 1}]}}),
    (b'{"url":"http:\\/\\/example.test\\/"}', {"url": "http://example.test/"}),
    (b'["]]]]", "{{{{", ":::"]', ["]]]]", "{{{{", ":::"]),
]

MALFORMED = [
    b"", b" ", b"[", b"]", b"{", b"}", b"[1", b"[1,]", b"[,1]", b"[1,,2]", b"[1 2]", b"[1]]", b"{}}", b'{"a":1,}',
    b'{"a"}', b'{"a" 1}', b"{a:1}", b"{1:1}", b"{'a':1}", b'{"a":1 "b":2}', b'{"a":1}{"b":2}', b'{"a":1}#', b"[1]x",
    b"nul", b"True", b"[undefined]", b"01", b"-", b"+1", b".5", b"1.", b"1e", b"1e+", b"0x10", b"1_000", b"[1}",
    b'"', b'"a', b'"\\', b'"\\x41"', b'"\\u12"', b'"\\uD83D\\u"', b'"a\nb"', b'"a\tb"', b'"\x1f"', b"'a'", b"\x0b[]",
    b"[1]\x0c", b"/**/[]", b"[1]//", b"\xe2\x80\xa8[]", b"\xc2\xa0[]", b'"' + b'\\"' * 5000, b"email=a&b=c", b"<x/>",
]  # fmt: skip

REFUSED = [
    (b"\xef\xbb\xbf{}", "text_bom"),
    ("{}".encode("utf-16"), "text_not_utf8"),
    ("{}".encode("utf-16-le"), "text_nul"),
    ("{}".encode("utf-32-be"), "text_nul"),
    (b'"\xff"', "text_not_utf8"),
    (b'"\xc0\xaf"', "text_not_utf8"),
    (b'"\xed\xa0\x80"', "text_not_utf8"),
    (b'"\xf4\x90\x80\x80"', "text_not_utf8"),
    (b'"\xe5"', "text_not_utf8"),
    (b'{"a":"\x00"}', "text_nul"),
    (b'"\\u0000"', "text_nul"),
    (b'["a\\u0000b"]', "text_nul"),
    (b'{"\\u0000":1}', "text_nul"),
    (b'[[{"a":["x\\\\\\u0000"]}]]', "text_nul"),
    (b'"\\ud800"', "text_surrogate"),
    (b'"\\uDFFF"', "text_surrogate"),
    (b'"\\ude00\\ud83d"', "text_surrogate"),
    (b'{"\\ud83d":1}', "text_surrogate"),
    (b'["\\ud83d\\ud83d\\ude00"]', "text_surrogate"),
    (b'{"a":1,"a":1}', "json_duplicate_key"),
    (b'{"a":1,"\\u0061":2}', "json_duplicate_key"),
    (b'[{"b":{"":1,"":2}}]', "json_duplicate_key"),
    (b"NaN", "json_not_finite"),
    (b"[Infinity]", "json_not_finite"),
    (b'{"a":-Infinity}', "json_not_finite"),
    (b"1e400", "json_not_finite"),
    (b"[-1e9999]", "json_not_finite"),
    (b"9223372036854775808", "json_number_too_large"),
    (b"-9223372036854775808", "json_number_too_large"),
    (b"1" * 5000, "json_number_too_large"),
    (b"[-" + b"9" * 100_000 + b"]", "json_number_too_large"),
    (b"0." + b"1" * 100_000, "json_number_too_large"),
    (b"[" * 100_000, "json_too_deep"),
    (b'{"a":' * 100_000, "json_too_deep"),
    (b'"' + b'\\"' * 9 + b'"' + b"[" * 40, "json_too_deep"),
]


@pytest.mark.parametrize(("raw", "expected"), ACCEPTED)
def test_it_reads_valid_json(raw: bytes, expected: object) -> None:
    parsed = parse_json(raw)
    assert parsed == expected
    assert type(parsed) is type(expected)


@pytest.mark.parametrize("raw", MALFORMED)
def test_it_refuses_what_the_grammar_does_not_know(raw: bytes) -> None:
    with pytest.raises(SyntaxRefused) as refused:
        parse_json(raw)
    assert refused.value.reason == "json_malformed"


def test_whatever_the_rfc_calls_json_is_read() -> None:
    assert len(set(VALID)) == len(VALID) > 95
    assert [raw for raw in VALID if parse_json(raw) != json.loads(raw)] == []


@pytest.mark.parametrize("raw", INVALID)
def test_whatever_the_rfc_does_not_is_refused(raw: bytes) -> None:
    with pytest.raises(SyntaxRefused):
        parse_json(raw)


@pytest.mark.parametrize(("raw", "reason"), REFUSED)
def test_it_refuses_hostile_json_with_a_stable_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(SyntaxRefused) as refused:
        parse_json(raw)
    assert refused.value.reason == reason


def test_the_grammar_check_is_never_laxer_than_pythons() -> None:
    for raw in MALFORMED:
        with pytest.raises(ValueError):
            json.loads(raw.decode())


def test_the_deepest_document_that_fits_is_read_and_one_deeper_is_not() -> None:
    parse_json(b"[" * DEPTH_MAX + b"]" * DEPTH_MAX)
    parse_json(b"[" + b"[[]]," * 5000 + b"[]]")
    with pytest.raises(SyntaxRefused, match="json_too_deep"):
        parse_json(b"[" * (DEPTH_MAX + 1) + b"]" * (DEPTH_MAX + 1))


@pytest.mark.parametrize("opening", [b'["]",', b'{"]":', b'["\\"]]]]",'])
def test_brackets_inside_strings_do_not_hide_depth(opening: bytes) -> None:
    with pytest.raises(SyntaxRefused, match="json_too_deep"):
        parse_json(opening * (DEPTH_MAX + 1))


def test_as_many_keys_as_fit_are_read_and_one_more_is_not() -> None:
    def members(count: int) -> bytes:
        return b"{" + b",".join(b'"k:%d":":"' % number for number in range(count)) + b"}"

    assert len(parse_json(members(KEYS_MAX))) == KEYS_MAX  # type: ignore[arg-type]
    with pytest.raises(SyntaxRefused, match="json_too_many_keys"):
        parse_json(members(KEYS_MAX + 1))


def test_as_many_values_as_fit_are_read_and_one_more_is_not() -> None:
    """A body of nothing but small values costs a second, and nobody honest sends one."""
    assert len(parse_json(b"[" + b"1," * (VALUES_MAX - 1) + b"1]")) == VALUES_MAX  # type: ignore[arg-type]
    parse_json(b'["' + b"," * 100_000 + b'"]')
    with pytest.raises(SyntaxRefused, match="json_too_many_values"):
        parse_json(b"[" + b"1," * VALUES_MAX + b"1]")


@pytest.mark.parametrize("raw", [b'{"a":"kari@example.org",', b'"kari@example.org\xff"', b'{"kari@example.org":NaN}'])
def test_a_refusal_carries_nothing_of_the_body(raw: bytes) -> None:
    with pytest.raises(SchemaRefused) as refused:
        parse_json(raw)
    error: BaseException | None = refused.value
    while error is not None:
        assert "kari" not in str(error)
        assert "kari" not in repr(vars(error))
        error = error.__cause__ or error.__context__


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(1 - 2**63, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON, st.booleans())
def test_what_python_writes_is_read_back_the_same(document: object, escaped: bool) -> None:
    assert parse_json(json.dumps(document, ensure_ascii=escaped).encode()) == document


SOUP = st.lists(
    st.sampled_from(
        [b"[", b"]", b"{", b"}", b'"', b"\\", b":", b",", b"1", b"e9", b"\\u0000", b"\\ud800", b'"a"', b" "]
    )
    | st.binary(max_size=3),
    max_size=60,
).map(b"".join)


@given(SOUP)
def test_only_a_refusal_ever_leaves(raw: bytes) -> None:
    try:
        document = parse_json(raw)
    except SyntaxRefused:
        return
    assert document == json.loads(raw)
    json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
