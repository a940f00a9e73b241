"""The PDF of an answer: accessible, in every alphabet that people here write their names in, and never markup."""

import pytest

from workers.answers.pdf import format_pdf
from workers.answers.readable import Part, Readable, flat

UA = b"<pdfuaid:part>1"  # ISO 14289-1 in the document's own metadata


def of(text: str) -> Readable:
    part = Part(1, text, (text,), (text,), ((text, text),))
    return Readable("nb", text, text, "Hva", "Verdi", (part, Part(2, text)))


@pytest.mark.parametrize(
    "name",
    [
        "Ærlig Øystein Åsmund, Đorđe, Šámi Ŋuorra Ŧ Ž Č",
        "Łukasz Żółć, Ελένη, Кирилл Їжак",
        '#panic("x") #import "/etc/passwd" $a$ *b* _c_ `d` <e> @f = g \\ // [h] {i}',
        "x" * 400,
    ],
)
def test_names_are_letters_and_nothing_else(name: str) -> None:
    made = format_pdf(of(name))
    assert made.startswith(b"%PDF-")
    assert UA in made


def test_a_letter_that_no_font_has_does_not_stop_an_answer() -> None:
    assert format_pdf(of("\U000f1234")).startswith(b"%PDF-")


def test_a_tree_becomes_every_value_with_its_path() -> None:
    tree = {"a": [{"b": 1, "c": ""}, {"b": None}], "d": ["x", "y"], "e": {"f": False}, "g": []}
    assert list(flat(tree)) == [("a / 1 / b", "1"), ("d", "x, y"), ("e / f", "False")]
