"""The readable answer: what GDPR Article 15(1) asks for, as headings, sentences and pairs, in one language.

First what is this person's own, then the privacy notice as it is now: purposes, recipients, how long, rights, and where
to complain. The page and the PDF show the same. Nothing here is markup: whoever shows it escapes it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from schemas.entry import parse_time
from schemas.notice import blocks, format_notice
from schemas.policy import Policy
from schemas.rights import RIGHT_NAMES
from schemas.texts import mark, moment, text, words
from workers.answers.happenings import happening

VALUE_SIZE_MAX = 500  # characters: more than that nobody reads in a table
Row = tuple[str, str]
_STATES = {
    "given": mark("You said yes"),
    "requested": mark("You were asked, and have not confirmed"),
    "withdrawn": mark("You withdrew it"),
    "refused": mark("You said no"),
    "revoked": mark("We ended it"),
    "expired": mark("It lapsed: it was never confirmed"),
}
_MISSING = {
    "not_covered": mark("Our service does not look this up there by itself. Ask us, and we do it by hand."),
    "processor_not_connected": mark("Our service is not connected to it, so this is not in the answer. Ask us."),
    "no_address": mark("We have no address of yours to look for there."),
}
_FAILED = mark("It could not be asked when this was made. Ask us, and we send you the rest.")


@dataclass(frozen=True, slots=True)
class Part:
    """A heading (level 1 or 2), sentences, list items, and pairs of what and value."""

    level: int
    title: str
    lines: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Readable:
    """`what` and `value`: the heads of the two columns of every table."""

    language: str
    title: str
    controller: str
    what: str
    value: str
    parts: tuple[Part, ...]

    def document(self) -> dict[str, Any]:
        return asdict(self)

    def __repr__(self) -> str:
        return "Readable(redacted)"


def readable(document: Mapping[str, Any], policy: Policy, language: str, *, only_given: bool = False) -> Readable:
    """Of a document by workers.export. `only_given`: what the person gave us, for portability (Article 20)."""

    parts = [*_own(document, policy, language)]
    if not only_given:
        parts += [*_history(document, language), *_processors(document, language), *_notice(policy, language)]
    title = text("What you gave us", language) if only_given else text("What we hold about you", language)
    return Readable(
        language, title, policy.controller.name, text("What", language), text("Value", language), tuple(parts)
    )


def _own(document: Mapping[str, Any], policy: Policy, language: str) -> Iterator[Part]:
    fields = {key: words(field.name, language) for key, field in policy.personal_data.items()}
    rows = [(fields["email"], address) for address in document["addresses"]]
    rows += [(fields.get(key, key), value) for key, value in document["profile"].items()]
    rows.append((text("Language", language), {"nb": "norsk bokmål", "en": "English"}.get(document["language"], "")))
    if document.get("known_since"):
        rows.append((text("Known to us since", language), _moment(document["known_since"], language)))
    if document.get("restricted"):
        rows.append((text("Not used at the moment, because of", language), document["restricted"]))
    rows += [
        (words(policy.profile[fact].name, language), ", ".join(values))
        for fact, values in _facts(document, policy, language).items()
    ]
    lines = (text("Made:", language) + " " + _moment(document["made"], language),)
    yield Part(1, text("About you", language), lines, rows=tuple(rows))
    rows = []
    for one in document["consents"]:
        name = one["name"][language] if one["name"] else one["purpose"]
        state = str(one["state"])
        rows.append((name, f"{text(_STATES.get(state, state), language)}, {_moment(one['since'], language)}"))
    rows += [(one["name"][language] if one["name"] else one["product"], one["status"]) for one in document["products"]]
    yield Part(
        1,
        text("What you said yes and no to", language),
        () if rows else (text("Nothing.", language),),
        rows=tuple(rows),
    )


def _facts(document: Mapping[str, Any], policy: Policy, language: str) -> dict[str, list[str]]:
    """What the person told about themselves, the newest of each, in the words of the policy."""
    found: dict[str, list[str]] = {}
    for one in document["sealed"]:
        fact = policy.profile.get(one.get("fact", ""))
        if fact is not None:
            known = fact.values
            found[fact.key] = [words(known[key], language) if key in known else key for key in one["values"]]
    return found


def _history(document: Mapping[str, Any], language: str) -> Iterator[Part]:
    rows = []
    for one in document["requests"]:
        right = words(RIGHT_NAMES[one["right"]], language).partition(":")[0]
        rows.append((right, _moment(one["asked"], language)))
    if rows:
        yield Part(1, text("What you asked of us", language), rows=tuple(rows))
    rows = [
        (_moment(entry.get("occurred_at") or entry["recorded_at"], language), happening(entry, language))
        for entry in document["entries"]
    ]
    lines = (text("Each line is an entry in our ledger. It says when something came, and from where.", language),)
    yield Part(1, text("Where it came from, and what happened", language), lines, rows=tuple(rows))


def _processors(document: Mapping[str, Any], language: str) -> Iterator[Part]:
    yield Part(
        1, text("What our suppliers hold", language), (text("We asked each of them when this was made.", language),)
    )
    for one in document["processors"]:
        if one["missing"] is not None:
            why = _MISSING.get(one["missing"], _FAILED)
            yield Part(2, one["name"], (text(why, language), *_reach(one)))
            continue
        rows = tuple((label, _short(value, language)) for label, value in flat(one["holds"]))
        lines = () if rows else (text("Nothing.", language),)
        yield Part(2, one["name"], (*lines, *_reach(one)), rows=rows)


def _reach(processor: Mapping[str, Any]) -> tuple[str, ...]:
    """Where the person reaches it, if policy.toml says."""
    return (processor["contact_url"],) if processor["contact_url"] else ()


def flat(value: object, path: str = "") -> Iterator[Row]:
    """Every value of a tree, each with its path; empty ones left out."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from flat(below, f"{path} / {key}" if path else str(key))
    elif isinstance(value, list | tuple):
        if all(isinstance(one, str | int | float) for one in value):
            if value:
                yield path, ", ".join(map(str, value))
        else:
            for number, below in enumerate(value, 1):
                yield from flat(below, f"{path} / {number}" if path else str(number))
    elif value is not None and value != "":
        yield path, str(value)


def _short(value: str, language: str) -> str:
    whole = text("whole in the JSON file", language)
    return value if len(value) <= VALUE_SIZE_MAX else f"{value[:100]} … ({whole})"


def _notice(policy: Policy, language: str) -> Iterator[Part]:
    """Its blocks under its headings."""
    part: Part | None = None
    for block in blocks(format_notice(policy, language)):
        if block.kind in ("heading", "subheading"):
            if part is not None:
                yield part
            part = Part(1 if block.kind == "heading" else 2, block.lines[0])
        elif part is not None:
            grown = (part.lines, (*part.items, *block.lines))
            if block.kind != "list":
                grown = ((*part.lines, *block.lines), part.items)
            part = Part(part.level, part.title, *grown)
    if part is not None:
        yield part


def _moment(written: str, language: str) -> str:
    return moment(parse_time(written), language)
