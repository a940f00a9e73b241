"""`flask consents check`: may I send this person this?"""

import click

from console.addresses import email_option, read_address
from console.operator import Exit, Operator, Speaker, at, command, stop
from ledger.check import check_address


@click.group()
def consents() -> None:
    """Consents in force."""


@consents.command("check")
@email_option
@click.option("--purpose", required=True)
@command
def check(operator: Operator, speak: Speaker, email: str, purpose: str) -> None:
    """Say yes (exit 0) or no (exit 1), and why."""
    context = operator.context
    if purpose not in context.policy.purposes:
        stop(Exit.USAGE, f"purpose_unknown: one of {', '.join(context.policy.purposes)}")
    address = read_address(email)
    with context.database.read() as connection:
        answer = check_address(connection, context.keyring, address, purpose)
    speak.document(
        {
            "allowed": answer.allowed,
            "reason": answer.reason,
            "purpose": purpose,
            "since": at(answer.since_ms),
            "entry": answer.entry,
        }
    )
    if not answer.allowed:
        raise SystemExit(int(Exit.NO))
