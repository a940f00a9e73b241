"""Forms as policy.toml describes them: which plugin sends, what its fields mean to us, and what counts as a yes."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from schemas.dialects import DIALECTS

SECRET_HEADER = "X-Gdpr-Token"  # noqa: S105 - the name of the header, not its value


@dataclass(frozen=True, slots=True)
class ConsentField:
    """A sender's field that says yes with exactly one of `accepted`; every other value is no."""

    field: str
    accepted: tuple[str, ...]
    purposes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a value of a form's `intent_field` means. `purposes`: what a withdrawal withdraws."""

    accepted: tuple[str, ...]
    intent: str  # consent, withdrawal or request
    right: str | None
    purposes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Form:
    key: str
    dialect: str
    intent: str | None  # None: `choice` says, by the value of `intent_field`
    right: str | None
    intent_field: str | None
    choice: tuple[Choice, ...]
    topics: tuple[str, ...]  # empty: the dialect's
    purposes: tuple[str, ...]
    fields: Mapping[str, str]  # personal data field -> sender's key
    consent: tuple[ConsentField, ...]
    facts: Mapping[str, str]  # what people may tell about themselves -> sender's key
    entry_id: str | None
    time_field: str | None
    notice: str | None
    secret_header: str
    sites: tuple[str, ...]  # empty: any, but no staging copy
    language: str


def make_form(every_purpose: tuple[str, ...], **members: Any) -> Form:
    """Fills in what may be left out: a withdrawal covers every purpose, a consent what its fields cover."""
    consent = tuple(
        ConsentField(one["field"], tuple(one["accepted"]), tuple(one["purposes"])) for one in members["consent"]
    )
    covered = {purpose for grant in consent for purpose in grant.purposes} or set(every_purpose)
    filled = {
        "consent": consent,
        "choice": tuple(
            Choice(tuple(one["accepted"]), one["intent"], one["right"], tuple(one["purposes"]) or every_purpose)
            for one in members["choice"]
        ),
        "purposes": members["purposes"] or tuple(key for key in every_purpose if key in covered),
        "fields": MappingProxyType({ours: theirs for ours, theirs in members["fields"].items() if theirs is not None}),
        "facts": MappingProxyType(members.get("facts", {})),
        "secret_header": members["secret_header"] or DIALECTS[members["dialect"]].secret_header or SECRET_HEADER,
        "language": members["language"] or "nb",
    }
    return Form(**members | filled)
