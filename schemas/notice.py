"""The privacy notice: what people are told, made from policy.toml so that it cannot say anything else.

A text in two languages, in paragraphs, lists (`- `) and headings (`# `, `## `), with a hash; and what a change of the
policy means for the people who said yes to an older one.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from schemas.message import LANGUAGES
from schemas.policy import Policy, Processor, Purpose

CONSENT = "eu-gdpr:A6-1-a"
ROLES = {
    "nb": {"hosting": "nettstedet vårt", "payments": "betaling", "mail": "e-post"},
    "en": {"hosting": "our website", "payments": "payments", "mail": "e-mail"},
}
_AND = {"nb": " og ", "en": " and "}
# Plain text: whoever shows it on a page escapes it there.
_TEXTS = Environment(
    loader=PackageLoader("schemas", "notices"),
    undefined=StrictUndefined,
    autoescape=False,  # noqa: S701
    trim_blocks=True,
    keep_trailing_newline=True,
)


@dataclass(frozen=True, slots=True)
class Block:
    """`kind`: heading, subheading, list or paragraph; `lines`: of a list its items, of the others one."""

    kind: str
    lines: tuple[str, ...]


def format_notice(policy: Policy, language: str) -> str:
    """The whole text in `nb` or `en`; the same policy gives the same bytes."""
    text = _TEXTS.get_template(f"{language}.txt").render(
        authority=policy.authority,
        consent=CONSENT,
        controller=policy.controller,
        days=_counted,
        deadlines=policy.deadlines,
        fields=policy.personal_data.values(),
        held={name: {key: _held(policy, one, name) for key, one in policy.processors.items()} for name in LANGUAGES},
        processors=policy.processors.values(),
        purposes=policy.purposes.values(),
        retention=policy.retention,
        roles=ROLES,
        version=policy.version,
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def notice_sha256(text: str) -> str:
    """Of the text in UTF-8, as hex: what `[notices.<key>] sha256` confirms."""
    return hashlib.sha256(text.encode()).hexdigest()


def blocks(text: str) -> Iterator[Block]:
    """The parts of a text by format_notice, for a page."""
    for part in text.strip().split("\n\n"):
        lines = part.split("\n")
        if lines[0].startswith("- "):
            yield Block("list", tuple(line.removeprefix("- ") for line in lines))
        elif lines[0].startswith("#"):
            mark, _, heading = part.partition(" ")
            yield Block("heading" if mark == "#" else "subheading", (heading,))
        else:
            yield Block("paragraph", (part,))


def must_ask_again(old: Policy, new: Policy) -> dict[str, tuple[str, ...]]:
    """Purpose -> why the consent that was given under `old` does not cover what `new` does, as words.

    Consent is informed and specific (GDPR Articles 4(11) and 7): it ends where the purpose is another, more is stored,
    or somebody else stores it. Less of any of it needs nobody's consent, and new wording is for a person to judge.
    """
    shared = _reasons_of_all(old, new)
    found = {}
    for key, purpose in new.purposes.items():
        if key in old.purposes and (reasons := (*_reasons_of(old.purposes[key], purpose), *shared)):
            found[key] = reasons
    return found


def _reasons_of(old: Purpose, new: Purpose) -> Iterator[str]:
    if (old.name, old.description) != (new.name, new.description):
        yield "purpose_described_anew"
    if (old.dpv, old.legal_basis) != (new.dpv, new.legal_basis):
        yield "purpose_changed"


def _reasons_of_all(old: Policy, new: Policy) -> tuple[str, ...]:
    reasons = []
    if set(new.personal_data) - set(old.personal_data):
        reasons.append("more_data")
    if set(new.processors) - set(old.processors):
        reasons.append("another_processor")
    both = set(new.processors) & set(old.processors)
    if any(set(new.processors[key].holds) - set(old.processors[key].holds) for key in both):
        reasons.append("processor_holds_more")
    if any(_place(new.processors[key]) != _place(old.processors[key]) for key in both):
        reasons.append("processor_changed")
    if old.controller.name != new.controller.name:
        reasons.append("another_controller")
    return tuple(reasons)


def _place(processor: Processor) -> tuple[str, str, str]:
    return processor.name, processor.role, processor.region


def _held(policy: Policy, processor: Processor, language: str) -> str:
    names = [str(getattr(policy.personal_data[key].name, language)).lower() for key in processor.holds]
    return _AND[language].join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "-"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
