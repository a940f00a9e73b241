"""Metrics for Prometheus: counts of answers from this process, and the state of the record from the database."""

import os
from collections.abc import Iterator

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from ledger import quarantine
from ledger.log import size
from ledger.senders import conflicts, sources_of, standings_of
from ledger.tables import inbox, intake_position, ledger_checkpoint, relay
from webhooks.door import Door
from webhooks.drift_metrics import DriftCollector

REGISTRY = CollectorRegistry()
ANSWERS = Counter("samtykke_answers", "Answers by route and status.", ["route", "status"], registry=REGISTRY)


class RecordCollector(Collector):
    """Gauges read from the database at scrape time, so every web process tells the same."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def collect(self) -> Iterator[GaugeMetricFamily]:
        now = self._door.clock()
        deliveries = GaugeMetricFamily("samtykke_deliveries", "Deliveries by status.", labels=["status"])
        oldest = GaugeMetricFamily("samtykke_oldest_unrecorded_seconds", "Age of the oldest unrecorded delivery.")
        relays = GaugeMetricFamily(
            "samtykke_relays", "Relays by processor, action and status.", labels=["processor", "action", "status"]
        )
        unsent = GaugeMetricFamily("samtykke_oldest_pending_relay_seconds", "Age of the oldest urgent pending relay.")
        entries = GaugeMetricFamily("samtykke_ledger_entries", "Entries in the ledger.")
        signed = GaugeMetricFamily("samtykke_ledger_signed_entries", "Entries covered by the newest checkpoint.")
        halted = GaugeMetricFamily("samtykke_quarantined", "1 while nothing is recorded or carried.")
        with self._door.database.read() as connection:
            for status, count in connection.execute(select(inbox.c.status, func.count()).group_by(inbox.c.status)):
                deliveries.add_metric([status], count)
            columns = (relay.c.processor, relay.c.action, relay.c.status)
            for *labels, count in connection.execute(select(*columns, func.count()).group_by(*columns)):
                relays.add_metric(labels, count)
            first = connection.execute(select(func.min(inbox.c.received_at_ms)).where(inbox.c.status == "new")).scalar()
            waiting = (relay.c.status == "pending") & (relay.c.urgent == 1)
            since = connection.execute(select(func.min(relay.c.created_at_ms)).where(waiting)).scalar()
            entries.add_metric([], size(connection))
            halted.add_metric([], quarantine.reason_of(connection) is not None)
            signed.add_metric([], connection.execute(select(func.max(ledger_checkpoint.c.size))).scalar() or 0)
        oldest.add_metric([], max(0, now - first) / 1000 if first else 0)
        unsent.add_metric([], max(0, now - since) / 1000 if since else 0)
        yield from (deliveries, oldest, relays, unsent, entries, signed, halted)


class SenderCollector(Collector):
    """How senders are doing; of those that never delivered anything there is nothing to say."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def collect(self) -> Iterator[GaugeMetricFamily]:
        now = self._door.clock()
        skew = GaugeMetricFamily(
            "samtykke_sender_skew_seconds", "Sender's clock minus ours, median of its last 100.", labels=["source"]
        )
        silent = GaugeMetricFamily(
            "samtykke_sender_silent_seconds", "Since the last delivery of a source.", labels=["source"]
        )
        waiting = GaugeMetricFamily("samtykke_conflicts", "Deliveries parked whose id came before with other content.")
        checked = GaugeMetricFamily(
            "samtykke_intake_checked_seconds", "Since a source was asked and nothing was missing.", labels=["source"]
        )
        with self._door.database.read() as connection:
            for one in standings_of(connection, sources_of(self._door.policy)):
                silent.add_metric([one.source], max(0, now - one.received_at_ms) / 1000)
                if one.skew_ms is not None:
                    skew.add_metric([one.source], one.skew_ms / 1000)
            waiting.add_metric([], sum(conflicts(connection).values()))
            for source, at_ms in connection.execute(select(intake_position.c.source, intake_position.c.checked_at_ms)):
                checked.add_metric([source], max(0, now - at_ms) / 1000)
        yield from (skew, silent, waiting, checked)


def metrics_blueprint(door: Door) -> Blueprint:
    blueprint = Blueprint("metrics", __name__)
    record = CollectorRegistry()
    record.register(RecordCollector(door))
    record.register(SenderCollector(door))
    record.register(DriftCollector(door))

    @blueprint.get("/metrics")
    def metrics() -> Response:
        answers = REGISTRY
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):  # set by gunicorn.conf.py when there are several processes
            answers = CollectorRegistry()
            MultiProcessCollector(answers)  # type: ignore[no-untyped-call]
        return Response(generate_latest(answers) + generate_latest(record), content_type=CONTENT_TYPE_LATEST)

    return blueprint
