"""The words that people read, in Norwegian bokmål and English: gettext catalogs, and days as people write them.

The English text is the key; `nb/` holds its translations, a catalog for each part of the program. Jinja's
`{% trans %}` and Python's `text()` ask here.
"""

import datetime
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from jinja2 import BaseLoader, Environment, StrictUndefined

from schemas.policy import Text

ZONE = ZoneInfo("Europe/Oslo")
LOCALES = {"nb": "nb_NO", "en": "en_GB"}
CATALOGS = Path(__file__).parent / "nb"


@cache
def translations(language: str) -> NullTranslations:
    """Every catalog of a language as one; English needs none."""
    found = NullTranslations()
    if language == "nb":
        for path in sorted(CATALOGS.glob("*.po")):
            compiled = BytesIO()
            with path.open("rb") as file:
                write_mo(compiled, read_po(file, locale="nb", abort_invalid=True))
            compiled.seek(0)
            found.add_fallback(Translations(compiled))
    return found


def text(english: str, language: str) -> str:
    """One text in a language. Raises nothing: what has no translation is English (a test finds that)."""
    return translations(language).gettext(english)


def mark(english: str) -> str:
    """Says that a text is for people, where it is not yet known in which language."""
    return english


def words(value: Text, language: str) -> str:
    """Of a text that policy.toml gives in both."""
    return value.nb if language == "nb" else value.en


def day(at_ms: int, language: str) -> str:
    """A day in Norway, such as 25. november 2026."""
    return format_date(_local(at_ms).date(), format="long", locale=LOCALES[language])


def moment(at_ms: int, language: str) -> str:
    """Day and time in Norway, to the minute."""
    return format_datetime(
        _local(at_ms),
        format="d. MMMM y 'kl.' HH:mm" if language == "nb" else "d MMMM y 'at' HH:mm",
        locale=LOCALES[language],
    )


def _local(at_ms: int) -> datetime.datetime:
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (epoch + datetime.timedelta(milliseconds=at_ms)).astimezone(ZONE)


def environment(loader: BaseLoader, language: str, *, autoescape: bool) -> Environment:
    """Templates that speak one language, with `{% trans %}` from the catalogs.

    Filters: `words`, `day`, `moment`, and `say` for a marked text.
    """
    made = Environment(
        loader=loader,
        undefined=StrictUndefined,
        autoescape=autoescape,  # noqa: S701 - mails are plain text, and nothing in them is markup
        extensions=["jinja2.ext.i18n"],
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.policies["ext.i18n.trimmed"] = True
    install: Callable[..., None] = made.install_gettext_translations  # type: ignore[attr-defined]
    install(translations(language), newstyle=True)
    filters: dict[str, Callable[..., str]] = {"words": words, "day": day, "moment": moment, "say": text}
    for name, function in filters.items():
        made.filters[name] = _in(function, language)
    made.globals["language"] = language
    return made


def _in(function: Callable[..., str], language: str) -> Callable[..., str]:
    return lambda value: function(value, language)
