"""Form bodies: strict percent decoding, no repeated keys, and nothing but a refusal leaves."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.form_body import FIELDS_MAX, parse_form
from schemas.strict_json import SyntaxRefused

ACCEPTED = [
    (b"", {}),
    (b"&&", {}),
    (b"a", {"a": ""}),
    (b"a=", {"a": ""}),
    (b"=b", {"": "b"}),
    (b"a=b=c", {"a": "b=c"}),
    (b"a=1&&b=2&", {"a": "1", "b": "2"}),
    (b"First+name=Zo%C3%AB&E-Mail=zoe%40example.test", {"First name": "Zoë", "E-Mail": "zoe@example.test"}),
    (b"fields%5Bemail%5D%5Bvalue%5D=x", {"fields[email][value]": "x"}),
    (b"topics[0]=a&topics[1]=b", {"topics[0]": "a", "topics[1]": "b"}),
    (b"a=%2B+%2b%26%3D%25", {"a": "+ +&=%"}),
    (b"a=%EF%BC%A0", {"a": "＠"}),
    ("navn=Åse".encode(), {"navn": "Åse"}),
    (b"a=1;b=2", {"a": "1;b=2"}),
    (b'{"email":"zoe@example.test"}', {'{"email":"zoe@example.test"}': ""}),
]

REFUSED = [
    (b"a=1&a=2", "form_duplicate_key"),
    (b"a=1&%61=2", "form_duplicate_key"),
    (b"a&a", "form_duplicate_key"),
    (b"=1&=2", "form_duplicate_key"),
    (b"topics[]=a&topics[]=b", "form_duplicate_key"),
    (b"a+b=1&a%20b=2", "form_duplicate_key"),
    (b"a=%", "form_malformed"),
    (b"a=%4", "form_malformed"),
    (b"a=%zz", "form_malformed"),
    (b"a=%u0041", "form_malformed"),
    (b"a=%00", "text_nul"),
    (b"a%00=b", "text_nul"),
    (b"a=\x00", "text_nul"),
    (b"a=%FF", "text_not_utf8"),
    (b"a=\xe5", "text_not_utf8"),
    (b"%E5=b", "text_not_utf8"),
    (b"a=%ED%A0%80", "text_not_utf8"),
    (b"a=%C0%AF", "text_not_utf8"),
    (b"a=%C3&b=%B8", "text_not_utf8"),
    (b"\xef\xbb\xbfa=b", "text_bom"),
    (b"%EF%BB%BFa=b", "text_bom"),
]


@pytest.mark.parametrize(("raw", "expected"), ACCEPTED)
def test_it_reads_what_form_plugins_and_browsers_send(raw: bytes, expected: dict[str, str]) -> None:
    assert parse_form(raw) == expected


@pytest.mark.parametrize(("raw", "reason"), REFUSED)
def test_it_refuses_hostile_forms_with_a_stable_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(SyntaxRefused) as refused:
        parse_form(raw)
    assert refused.value.reason == reason
    assert str(refused.value) == reason


def test_as_many_fields_as_fit_are_read_and_one_more_is_not() -> None:
    fields = {f"field_{number}": "x" for number in range(FIELDS_MAX)}
    assert parse_form(urlencode(fields).encode()) == fields
    with pytest.raises(SyntaxRefused, match="form_too_many_fields"):
        parse_form(urlencode(fields | {"one": "more"}).encode())


def test_a_megabyte_of_separators_is_an_empty_form() -> None:
    assert parse_form(b"&" * 1_000_000) == {}


TEXT = st.text(st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"]))


@given(st.dictionaries(TEXT, TEXT, max_size=8))
def test_what_python_encodes_is_read_back_the_same(fields: dict[str, str]) -> None:
    assert parse_form(urlencode(fields).encode()) == fields


@given(st.lists(st.sampled_from([b"a", b"=", b"&", b"%", b"+", b"%41", b"%C3", b"%B8"]) | st.binary(max_size=2)))
def test_only_a_refusal_ever_leaves(pieces: list[bytes]) -> None:
    try:
        outcome = [text for field in parse_form(b"".join(pieces)).items() for text in field]
    except SyntaxRefused as refused:
        outcome = [refused.reason]
    assert all("\0" not in text and text.encode().decode() == text for text in outcome)
