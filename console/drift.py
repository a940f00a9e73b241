"""`flask drift`: what the nightly comparison with the processors found, and comparing now."""

import time
from collections import Counter
from typing import Any

import click

from console.operator import Exit, Operator, Speaker, at, command, stop
from ledger import drift
from ledger.drift import Sweep
from ledger.drift_findings import OUTCOMES
from workers.context import now_ms


@click.group("drift")
def drift_group() -> None:
    """The nightly comparison of the ledger with what the processors say."""


@drift_group.command("status")
@command
def status(operator: Operator, speak: Speaker) -> None:
    """The last comparison: how many people, what was found, and how many addresses nobody can be asked about."""
    with operator.context.database.read() as connection:
        found = drift.standing(connection)
        suppressed = drift.suppressed_addresses(connection)
    document = _told(found.current) | {"cannot_be_asked_about": suppressed}
    if found.current is not None and found.current.finished_at_ms is None:
        document["last_finished"] = at(found.finished.finished_at_ms) if found.finished else None
    speak.document(document)


@drift_group.command("run")
@click.option("--minutes", default=10, show_default=True, type=click.IntRange(1, 600), help="Stop after so long.")
@command
def run(operator: Operator, speak: Speaker, minutes: int) -> None:
    """Compare now what would be compared tonight: whoever changed in a week, and a thirtieth of the others."""
    from workers import drift as sweeper  # with it come the vendors' SDKs: half a second

    context, stop_at = operator.context, time.monotonic() + minutes * 60
    with context.database.read() as connection:
        if drift.standing(connection).leased_until_ms > now_ms():
            stop(Exit.REFUSED, "a_sweep_is_running: it may also rest after a failure; flask drift status")
    sweeper.sweep(context, begins=True)
    while time.monotonic() < stop_at and sweeper.sweep(context):
        pass
    with context.database.read() as connection:
        current = drift.standing(connection).current
    speak.document(_told(current))
    if current is None or current.finished_at_ms is None:
        stop(Exit.PARTIAL, "not_finished: the relayer goes on with it")


def _told(sweep: Sweep | None) -> dict[str, Any]:
    if sweep is None:
        return {"begun": None}
    counts = Counter(sweep.counts)
    return {
        "begun": at(sweep.begun_at_ms),
        "finished": at(sweep.finished_at_ms),
        "people": sweep.people,
        **{outcome: counts[outcome] for outcome in OUTCOMES},
        "resting": [f"{processor} until {at(until_ms)}" for processor, until_ms in sorted(sweep.rests.items())],
    }
