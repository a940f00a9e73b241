"""A finding of `flask doctor`, and how it speaks of a time."""

from dataclasses import dataclass

OK, WARNING, FAULT = "ok", "warning", "fault"
_UNITS = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second"))


@dataclass(frozen=True, slots=True)
class Finding:
    """`level`: ok, warning or fault."""

    level: str
    check: str
    finding: str


def span(length_ms: int) -> str:
    """In the largest unit that it fills: `3 hours`."""
    for unit_ms, name in _UNITS:
        if length_ms >= unit_ms:
            count = length_ms // unit_ms
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "less than a second"
