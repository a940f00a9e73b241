"""Flat fields: how nested, bracketed and listed values get their names, and which names of the rest are told."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.dialects import DIALECTS
from schemas.dialects.fields import Fields, flatten, text_of
from schemas.dialects.rest import rest_of
from schemas.message import UNREAD_MAX
from schemas.refusal import NotUnderstood

GENERIC = DIALECTS["generic"]


@pytest.mark.parametrize(
    ("document", "fields"),
    [
        ({"a": "x", "b": 1, "c": True, "d": None}, {"a": ("x",), "b": ("1",), "c": ("true",), "d": ()}),
        ({"a": {"b": {"c": "x"}, "d": "y"}}, {"a.b.c": ("x",), "a.d": ("y",)}),
        ({"a[b][c]": "x", "a[d]": "y"}, {"a.b.c": ("x",), "a.d": ("y",)}),
        ({"a": ["x", "y", None, False]}, {"a": ("x", "y", "false")}),
        ({"a[0]": "x", "a[1]": "y", "b[]": "z"}, {"a": ("x", "y"), "b": ("z",)}),
        ({"a[0][b]": "x", "a[1][b]": "y"}, {"a.0.b": ("x",), "a.1.b": ("y",)}),
        ({"a": [], "b": [[]], "c": [{"d": 1}], "d": 1.5, "e": ["x", ["y"]]}, {"a": ()}),
        ({"[a]": "x", "a[b": "y", "a[b]c": "z"}, {"[a]": ("x",), "a[b": ("y",), "a[b]c": ("z",)}),
    ],
)
def test_names_and_texts(document: Any, fields: dict[str, tuple[str, ...]]) -> None:
    assert flatten(document) == fields


@pytest.mark.parametrize(
    "document",
    [{"a.b": "x", "a": {"b": "y"}}, {"a[b]": "x", "a.b": "y"}, {"a": "x", "a[0]": "y"}, {"a[0]": "x", "a": "y"}],
)
def test_two_fields_of_one_name_are_a_question_for_a_human(document: Any) -> None:
    """Which of them the person filled in, and which somebody else brought, cannot be told."""
    with pytest.raises(NotUnderstood, match="field_ambiguous"):
        flatten(document)


def test_a_field_with_several_texts_has_no_one_text() -> None:
    fields = flatten({"one": ["x"], "two": ["x", "y"], "none": []})
    assert [text_of(fields, name) for name in ("one", "two", "none", "absent", None)] == ["x", "", "", "", ""]


def test_elementor_labels_may_have_brackets_and_advanced_data_has_ids() -> None:
    read = DIALECTS["elementor"].read
    assert read({"Consent [GDPR]": "on", "E-Mail": "x"}) == {"Consent [GDPR]": ("on",), "E-Mail": ("x",)}
    advanced = {"form[id]": "1", "fields[t][value]": "A, b", "fields[t][raw_value][0]": "A, b"}
    assert read(advanced) == {"t": ("A, b",)}
    assert read(advanced | {"fields[t][raw_value][1]": "C"}) == {"t": ("A, b", "C")}


def test_forminator_takes_only_an_object_for_parts() -> None:
    read = DIALECTS["forminator"].read
    assert read({"name_1": '{"first-name": "Kari"}', "name_2": "{Kari}", "text_1": '{"a": 1}'}) == {
        "name_1.first-name": ("Kari",),
        "name_2": ("{Kari}",),
        "text_1": ('{"a": 1}',),
    }
    assert read({"name_1": '{"a": 1, "a": 2}'}) == {"name_1": ('{"a": 1, "a": 2}',)}


@pytest.mark.parametrize(
    "name",
    ["kari@example.no", "Kari Nordmann", "47-90-00-00-00", "x4790000000", "01010112345", "fodselsnummer", "ø", "x" * 41]
    + ['"><script>', "a\nb", ""],
)
def test_a_name_that_may_say_something_about_a_person_is_never_told(name: str) -> None:
    assert rest_of({name: ("x",)}, set(), GENERIC)[1] == ()


def test_the_names_of_the_rest_are_told_sorted_without_what_is_always_sent() -> None:
    fields = flatten({"5.2": "", "phone": "x", "email": "x", "user_agent": "x", "b": {"c": ["x", "y"]}})
    assert rest_of(fields, {"email"}, DIALECTS["gravity_forms"]) == ((), ("5.2", "b.c", "phone"))
    many: Fields = {f"x{number:03}": ("x",) for number in range(UNREAD_MAX + 10)}
    assert rest_of(many, set(), GENERIC)[1] == tuple(many)[:UNREAD_MAX]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab[]0.", max_size=4),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text("ab[]0.", max_size=5), children),
    max_leaves=8,
)


@settings(deadline=None)
@given(JSON, st.sampled_from(sorted(DIALECTS)))
def test_every_dialect_reads_anything_or_parks_it(document: object, dialect: str) -> None:
    try:
        fields = DIALECTS[dialect].read(document)
    except NotUnderstood as refused:
        assert re.fullmatch("[a-z_]+", refused.reason)
    else:
        assert all(isinstance(text, str) for texts in fields.values() for text in texts)
        json.dumps(fields)
