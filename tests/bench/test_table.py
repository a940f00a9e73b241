"""The table: percentiles, ratios and the keys of var/bench.json."""

import json
from pathlib import Path

from tests.bench.table import Row, compare, compare_peer, format_markdown, percentile, write_json


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(200, 0, -1)]
    assert (percentile(values, 0.99), percentile(values, 0.5), percentile(values, 1)) == (198, 100, 200)
    assert percentile([7.0], 0.99) == 7


def test_a_ratio_is_taken_within_each_round() -> None:
    row = compare("accepted", "deliveries/s", ours=[100, 10, 300], floor=[200, 20, 300])
    assert (row.ours, row.floor, row.ratio) == (100, 200, 0.5)


def test_a_peer_is_named_in_its_row_and_ours_is_divided_by_it() -> None:
    row = compare_peer("proof", "ms", ours=[1, 2, 9], peer=[30, 40, 20], peer_name="other 1.0")
    assert (row.ours, row.floor, row.peer, row.ratio) == (2, None, 30, 0.0667)
    assert format_markdown([row]).splitlines()[-1] == "| proof (peer: other 1.0) | ms | 2 | – | 30 | 0.0667 |"


def test_a_row_is_written_with_exactly_its_seven_keys(tmp_path: Path) -> None:
    row = Row("server CPU", "µs/request", 1234.5)
    write_json([row], tmp_path / "var" / "bench.json")
    (written,) = json.loads((tmp_path / "var" / "bench.json").read_text(encoding="utf-8"))
    assert list(written) == ["name", "unit", "ours", "floor", "peer", "peer_name", "ratio"]
    assert (written["unit"], written["floor"]) == ("µs/request", None)
    assert format_markdown([row]).splitlines()[-1] == "| server CPU | µs/request | 1,234 | – | – | – |"
