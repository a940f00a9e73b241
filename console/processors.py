"""`flask processors`: how each processor is doing, and the kill switch: relays to it wait, and none is lost."""

from collections.abc import Sequence
from typing import Any

import click
from sqlalchemy import Row, func, select

from console.operator import Operator, Speaker, at, command
from ledger import outbox, processors
from ledger.errors import NotFoundError
from ledger.processors import FAILURES_MAX, ProcessorState
from ledger.tables import relay
from workers.context import now_ms
from workers.queue import RELAY, RELAY_URGENT
from workers.relay import all_processors


@click.group("processors")
def processors_group() -> None:
    """Where relays go: WordPress, Stripe, Google, and the mails."""


@processors_group.command("list")
@command
def list_processors(operator: Operator, speak: Speaker) -> None:
    """Each processor: open, resting after failures, or paused, and how many relays wait or are parked."""
    with operator.context.database.read() as connection:
        states = processors.states(connection)
        counts = connection.execute(
            select(relay.c.processor, relay.c.status, func.count().label("rows"))
            .where(relay.c.status.in_((outbox.PENDING, outbox.PARKED)))
            .group_by(relay.c.processor, relay.c.status)
        ).all()
    rows = [_row(states.get(name, ProcessorState(name)), counts) for name in all_processors(operator.context)]
    speak.rows(rows, ["processor", "state", "since", "until", "reason", "failures", "waiting", "parked"], "None.")


def _row(state: ProcessorState, counts: Sequence[Row[Any]]) -> dict[str, object]:
    count = {row.status: row.rows for row in counts if row.processor == state.processor}
    return {
        "processor": state.processor,
        "state": _word(state, now_ms()),
        "since": at(state.paused_at_ms),
        "until": at(state.closed_until_ms) if state.closed_until_ms > now_ms() else None,
        "reason": state.reason,
        "failures": state.failures,
        "waiting": count.get(outbox.PENDING, 0),
        "parked": count.get(outbox.PARKED, 0),
    }


def _word(state: ProcessorState, at_ms: int) -> str:
    if state.paused_at_ms is not None:
        return "paused"
    if state.closed_until_ms > at_ms:
        return "resting"
    return "probing" if state.failures >= FAILURES_MAX else "open"


@processors_group.command("pause")
@click.argument("processor")
@command
def pause(operator: Operator, speak: Speaker, processor: str) -> None:
    """Call it no more, until resumed. Attempts under way end; what comes meanwhile waits in order, however long."""
    _require_known(operator, processor)
    with operator.context.database.write() as connection:
        processors.pause(connection, processor, now_ms())
    speak.document({"processor": processor, "state": "paused"})


@processors_group.command("resume")
@click.argument("processor")
@command
def resume(operator: Operator, speak: Speaker, processor: str) -> None:
    """Call it again, at once: after a pause, or where it rests after failures."""
    _require_known(operator, processor)
    with operator.context.database.write() as connection:
        processors.resume(connection, processor, now_ms())
    operator.ring(RELAY_URGENT)
    operator.ring(RELAY)
    speak.document({"processor": processor, "state": "open"})


def _require_known(operator: Operator, processor: str) -> None:
    if processor not in all_processors(operator.context):
        raise NotFoundError("processor_not_found")
