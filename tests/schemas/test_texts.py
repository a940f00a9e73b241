"""Whatever a person may read has a Norwegian translation, and no catalog holds what nobody says."""

import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from jinja2.ext import babel_extract

from schemas.texts import CATALOGS, day, moment, text, translations

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("schemas", "ledger", "workers", "webhooks", "console")
# babel_extract is told what the environments have (schemas.texts.environment).
OPTIONS = {"trimmed": "true", "silent": "false", "newstyle_gettext": "true", "trim_blocks": "true"}

Key = str | tuple[str, str]


def said() -> Iterator[tuple[Path, Key]]:
    """Every text in a template, and in a `text()` or `mark()` of a module."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*")):
            if path.suffix in (".html", ".txt") and "templates" in path.parts:
                with path.open("rb") as file:
                    found = list(babel_extract(file, ("gettext", "ngettext"), [], OPTIONS))
            elif path.suffix == ".py" and b"from schemas.texts import" in path.read_bytes():
                with path.open("rb") as file:
                    in_code = extract("python", file, keywords={"text": None, "mark": None})
                    found = [(line, "text", message, []) for line, message, *_ in in_code]
            else:
                continue
            for _, _, message, *_ in found:
                strings = tuple(one for one in message if one) if isinstance(message, tuple) else message
                if strings:
                    yield (
                        path.relative_to(ROOT),
                        strings if isinstance(strings, str) or len(strings) > 1 else strings[0],
                    )


def translated() -> dict[Key, Message]:
    found: dict[Key, Message] = {}
    for path in sorted(CATALOGS.glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale="nb", abort_invalid=True):
                if message.id:
                    key = message.id if isinstance(message.id, str) else (message.id[0], message.id[1])
                    assert key not in found, f"{key} stands in two catalogs"
                    found[key] = message
    return found


def test_every_text_has_a_translation() -> None:
    known = translated()
    assert [(str(path), key) for path, key in said() if key not in known] == []


def test_every_translation_is_of_a_text_that_somebody_says() -> None:
    assert sorted(map(str, translated().keys() - {key for _, key in said()})) == []


def test_translations_hold_what_their_text_holds() -> None:
    for key, message in translated().items():
        english = [key] if isinstance(key, str) else list(key)
        norwegian = [message.string] if isinstance(message.string, str) else list(message.string)
        assert len(norwegian) == len(english)
        assert all(norwegian), f"not translated: {key}"
        for ours, theirs in zip(english, norwegian, strict=True):
            assert placeholders(ours) == placeholders(theirs), f"other placeholders: {key}"
        assert not any(flag == "fuzzy" for flag in message.flags)


def placeholders(value: str) -> set[str]:
    parts = value.split("%(")[1:]
    names = {part.partition(")s")[0] for part in parts}
    assert all(set(name) <= {*string.ascii_lowercase, "_"} for name in names), value
    return names


def test_english_is_its_own_key_and_unknown_texts_stay_english() -> None:
    assert text("Contact us:", "en") == "Contact us:"
    assert text("Contact us:", "nb") == "Kontakt oss:"
    assert text("no such text", "nb") == "no such text"
    assert translations("nb") is translations("nb")


@pytest.mark.parametrize(
    ("at_ms", "nb", "en"),
    [
        (1_764_082_800_000, "25. november 2025", "25 November 2025"),
        (1_767_222_000_000, "1. januar 2026", "1 January 2026"),  # 23:00 UTC the day before
    ],
)
def test_days_are_those_of_norway(at_ms: int, nb: str, en: str) -> None:
    assert (day(at_ms, "nb"), day(at_ms, "en")) == (nb, en)
    assert moment(at_ms, "nb").startswith(f"{nb} kl. ")
    assert moment(at_ms, "en").startswith(f"{en} at ")
