"""Parts of policy.toml that stand for themselves: words in two languages, what people may tell, times and limits."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """Words shown to people: Norwegian bokmål and English."""

    nb: str
    en: str


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that a person may tell about themselves: one of `values` (key -> words), never free text."""

    key: str
    name: Text
    values: Mapping[str, Text]


@dataclass(frozen=True, slots=True)
class Rights:
    """Which requests wait for an operator once they are confirmed; the others are carried out at once."""

    by_operator: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Retention:
    unconfirmed_request_days: int = 7
    parked_days: int = 30
    proof_years: int = 3
    bookkeeping_years: int = 5
    answer_days: int = 30


@dataclass(frozen=True, slots=True)
class Deadlines:
    rights_request_months: int = 1
    extension_months: int = 2
    withdrawal_relay_hours: int = 48
    manual_task_days: int = 7
    breach_hours: int = 72
