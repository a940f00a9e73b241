"""`flask doctor`: is everything as it must be? One line per finding, and what to do about it."""

from collections.abc import Iterator

import click

from console.doctor import deadlines, installation, operation, senders
from console.doctor.finding import FAULT, Finding
from console.operator import Exit, Operator, Speaker, command
from ledger.errors import LedgerError
from schemas.policy import PolicyError

CHECKS = (
    *(installation.database, installation.queue, installation.secrets, installation.processors),
    *(senders.health, senders.rotation, senders.versions, senders.intake, senders.unread),
    *(operation.work, operation.clock, operation.signer, operation.quarantine, operation.publishing),
    deadlines.requests,
)


@click.command("doctor")
@command
def doctor(operator: Operator, speak: Speaker) -> None:
    """Check this installation. Exit 1 if anything is a fault; warnings are for you to judge."""
    findings = list(_run(operator))
    rows = [{"level": one.level, "check": one.check, "finding": one.finding} for one in findings]
    speak.rows(rows, ["level", "check", "finding"], "")
    if any(one.level == FAULT for one in findings):
        raise SystemExit(int(Exit.NO))


def _run(operator: Operator) -> Iterator[Finding]:
    """Without policy and keys nothing else can be asked: say what lacks, once."""
    for check in (installation.policy, installation.keys):
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
    for check in CHECKS:
        try:
            yield from check(operator)
        except LedgerError as error:
            yield Finding(FAULT, check.__name__, error.reason)
