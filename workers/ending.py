"""How an attempt at a relay may end other than by failing: done with an outcome, or no longer wanted."""

from dataclasses import dataclass

from workers.relays.action import Outcome, RelayResult


@dataclass(frozen=True, slots=True)
class Ending:
    """`outcome` and `reason` are stable words. `confirmed`: whether it may be called done."""

    outcome: str
    reason: str | None = None
    confirmed: bool = True
    retained_until_ms: int | None = None

    @classmethod
    def of(cls, result: RelayResult) -> "Ending":
        # not_covered is an answer too, but it leaves the deed to a person: never "confirmed"
        confirmed = result.outcome is not Outcome.NOT_COVERED
        return cls(result.outcome.value, result.reason, confirmed, result.retained_until_ms)


class Superseded(Exception):  # noqa: N818 - not an error: the deed is no longer wanted
    """What the relay would do is no longer true, or there is nobody left to do it for."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
