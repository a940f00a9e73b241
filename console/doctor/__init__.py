"""`flask doctor`: is everything as it must be? One line per finding, and what to do about it."""

from collections.abc import Callable, Iterator, Sequence

import click

from console.doctor import connections, deadlines, drift, installation, operation, senders
from console.doctor.finding import FAULT, Finding
from console.operator import Exit, Operator, Speaker, command
from ledger.errors import LedgerError
from schemas.policy import PolicyError

Check = Callable[[Operator], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    *(installation.database, installation.queue, installation.secrets, installation.processors),
    *(senders.health, senders.rotation, senders.versions, senders.intake, senders.unread),
    *(operation.work, operation.clock, operation.signer, operation.quarantine, operation.publishing),
    deadlines.requests,
    deadlines.reminders,
    drift.comparison,
)


@click.command("doctor")
@click.option("--connections", "asks", is_flag=True, help="Also ask every processor, live. It changes nothing there.")
@command
def doctor(operator: Operator, speak: Speaker, asks: bool) -> None:
    """Check this installation. Exit 1 if anything is a fault; warnings are for you to judge."""
    findings = list(_run(operator, (*CHECKS, connections.check) if asks else CHECKS))
    rows = [{"level": one.level, "check": one.check, "finding": one.finding} for one in findings]
    speak.rows(rows, ["level", "check", "finding"], "")
    if any(one.level == FAULT for one in findings):
        raise SystemExit(int(Exit.NO))


def _run(operator: Operator, checks: Sequence[Check]) -> Iterator[Finding]:
    """Without policy and keys nothing else can be asked: say what lacks, once."""
    first: tuple[Check, ...] = (installation.policy, installation.keys)
    for check in first:
        try:
            yield from check(operator)
        except PolicyError as error:
            yield Finding(FAULT, "policy", str(error))
            return
    try:
        _ = operator.context
    except LedgerError as error:
        yield Finding(FAULT, "context", error.reason)
        return
    for check in checks:
        try:
            yield from check(operator)
        except LedgerError as error:
            yield Finding(FAULT, check.__name__, error.reason)
