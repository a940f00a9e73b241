"""Metrics of the nightly comparison: when it last finished, and what it found."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ledger import drift
from ledger.drift_findings import OUTCOMES
from webhooks.door import Door


class DriftCollector(Collector):
    """Of an installation that has not compared anything yet there is nothing to say."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def collect(self) -> Iterator[GaugeMetricFamily]:
        ago = GaugeMetricFamily("samtykke_drift_checked_seconds", "Since the last comparison ended.")
        found = GaugeMetricFamily("samtykke_drift", "What the last comparison found, by outcome.", labels=["outcome"])
        with self._door.database.read() as connection:
            last = drift.standing(connection).finished
        if last is not None and last.finished_at_ms is not None:
            ago.add_metric([], max(0, self._door.clock() - last.finished_at_ms) / 1000)
            for outcome in OUTCOMES:
                found.add_metric([outcome], last.counts.get(outcome, 0))
        yield from (ago, found)
