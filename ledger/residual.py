"""Residual copies: what still lies at each processor after an erasure, and until when at most.

Two kinds. What the processor itself keeps for a while after it has deleted (its backups), as policy.toml says with its
source. And what may not be deleted at all for some time, such as vouchers, which the processor's answer names.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.deadlines import EPOCH, MILLISECOND, ZONE, local_day
from schemas.erasures import GROUND_NAMES, KEPT
from schemas.policy import Policy, Text

REMOVED, RETAINED = "removed", "retained"
BOOKKEEPING = "bookkeeping"
DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """What one processor has answered to an erasure. `outcome`: None until it is certain; `at_ms`: of the last word."""

    processor: str
    status: str
    outcome: str | None
    reason: str | None
    retained_until_ms: int | None
    at_ms: int


@dataclass(frozen=True, slots=True)
class ResidualCopy:
    """Something that is left at a processor. `days`, `until_ms`: at most; None where there is no limit, or not yet.

    Of a copy that goes by itself `what`, `source` and `formula` are policy.toml's; of something that is kept on purpose
    `ground` is the reason, as a word.
    """

    processor: str
    what: Text | None = None
    days: int | None = None
    until_ms: int | None = None
    source: str | None = None
    formula: str | None = None
    ground: str | None = None

    @property
    def named(self) -> Text:
        """What is left, in words."""
        return self.what or GROUND_NAMES.get(self.ground or "", KEPT)


def residual_copies(policy: Policy, answers: Sequence[Answer]) -> list[ResidualCopy]:
    """In the order of policy.toml. What is certain only: no date before the processor has answered.

    Where it found nothing its backups may hold something all the same, from before somebody else deleted it.
    """
    copies = []
    by_processor = {answer.processor: answer for answer in answers}
    for processor in policy.processors.values():
        answer = by_processor.get(processor.key)
        if answer is None:
            continue
        if answer.outcome == RETAINED:
            until_ms, ground = answer.retained_until_ms, answer.reason or RETAINED
            copies.append(ResidualCopy(processor.key, until_ms=until_ms, ground=ground))
        for copy in processor.residual:
            until_ms = answer.at_ms + copy.days * DAY_MS if answer.outcome and copy.days else None
            copies.append(ResidualCopy(processor.key, copy.what, copy.days, until_ms, copy.source, copy.formula))
    return copies


def retained_until_ms(reason: str | None, until_ms: int | None, at_ms: int, policy: Policy) -> int | None:
    """The end that a processor's answer names, or the law does where it keeps vouchers; None if nobody does."""
    if until_ms is None and reason == BOOKKEEPING:
        return bookkeeping_until_ms(at_ms, policy.retention.bookkeeping_years)
    return until_ms


def bookkeeping_until_ms(at_ms: int, years: int) -> int:
    """The last millisecond of the year, so many years later: of the newest voucher that there can be.

    They are kept from the end of the financial year on (bokføringsloven section 13,
    https://lovdata.no/dokument/NL/lov/2004-11-19-73).
    """
    midnight = datetime.datetime(local_day(at_ms).year + years + 1, 1, 1, tzinfo=ZONE)
    return (midnight - EPOCH) // MILLISECOND - 1
