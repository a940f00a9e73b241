"""The results: one row per measurement, as a Markdown table and as JSON."""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """`floor`: the least that this machine could do for it. `peer`: what others have made does for it.

    `ratio`: ours / floor, or ours / peer in a row that has no floor.
    """

    name: str
    unit: str
    ours: float
    floor: float | None = None
    peer: float | None = None
    peer_name: str | None = None
    ratio: float | None = None


def measured(name: str, unit: str, ours: Sequence[float]) -> Row:
    """A row of ours alone: the median."""
    return Row(name, unit, _rounded(statistics.median(ours)))


def compare(name: str, unit: str, ours: Sequence[float], floor: Sequence[float]) -> Row:
    """A row of medians. The ratio is the median of each round's: what else the machine did hit both of a round."""
    ratio = statistics.median(mine / least for mine, least in zip(ours, floor, strict=True))
    return Row(name, unit, _rounded(statistics.median(ours)), _rounded(statistics.median(floor)), ratio=_rounded(ratio))


def compare_peer(name: str, unit: str, ours: Sequence[float], peer: Sequence[float], peer_name: str) -> Row:
    """A row of medians, and the ratio of those."""
    mine, theirs = statistics.median(ours), statistics.median(peer)
    return Row(name, unit, _rounded(mine), None, _rounded(theirs), peer_name, _rounded(mine / theirs))


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank: the smallest value that `share` of all values do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def format_markdown(rows: Sequence[Row]) -> str:
    lines = ["| | unit | ours | floor | peer | ratio |", "|---|---|---:|---:|---:|---:|"]
    for row in rows:
        values = " | ".join(_text(value) for value in (row.ours, row.floor, row.peer, row.ratio))
        name = f"{row.name} (peer: {row.peer_name})" if row.peer_name else row.name
        lines.append(f"| {name} | {row.unit} | {values} |")
    return "\n".join(lines)


def write_json(rows: Sequence[Row], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _rounded(value: float) -> float:
    """Three digits: more would pretend that another run said the same."""
    return float(f"{value:.3g}")


def _text(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:g}"
