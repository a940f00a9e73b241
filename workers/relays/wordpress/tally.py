"""What an erasure has seen so far, over every address, eraser and store, and what that comes to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workers.relays.action import Outcome, RelayResult

REASON_SIZE_MAX = 64
# Something was asked to be erased, and the answer never came: it may have been there.
ANSWER_LOST = "answer_lost"


@dataclass(slots=True)
class Tally:
    """`kept`: why something was kept by a rule of the site. `left`: what is there still, without any."""

    removed: bool = False
    uncertain: bool = False
    kept: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    retained_until_ms: int | None = None

    @classmethod
    def from_notes(cls, notes: Mapping[str, Any]) -> "Tally":
        """What an earlier attempt saw. What was kept or left is looked at again."""
        return cls(removed=notes.get("removed") is True, uncertain=notes.get("uncertain") is True)

    def to_notes(self) -> dict[str, Any]:
        return {"removed": self.removed, "uncertain": self.uncertain}

    def keep(self, reason: str, until_ms: int | None = None) -> None:
        self.kept.append(reason)
        if until_ms is not None:
            self.retained_until_ms = max(until_ms, self.retained_until_ms or 0)

    def result(self) -> RelayResult:
        """The worst of it: what is left comes before what is kept, and that before what is gone."""
        if self.left:
            return RelayResult(Outcome.NOT_COVERED, _word(self.left))
        if self.kept:
            return RelayResult(Outcome.RETAINED, _word(self.kept), self.retained_until_ms)
        if self.removed:
            return RelayResult(Outcome.REMOVED)
        return RelayResult(Outcome.REMOVED, ANSWER_LOST) if self.uncertain else RelayResult(Outcome.NOT_FOUND)


def _word(reasons: list[str]) -> str:
    """All of them in one word where there is room, else the first and that there are more."""
    words = [re.sub("[^a-z0-9]+", "_", reason.lower()).strip("_") for reason in sorted(set(reasons))]
    joined = "_and_".join(words)
    return joined if len(joined) <= REASON_SIZE_MAX else f"{words[0][: REASON_SIZE_MAX - 9]}_and_more"
