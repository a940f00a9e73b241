"""`flask consents`: may I send this person this? And stopping it for them."""

import click

from console.addresses import email_option, read_address
from console.operator import Exit, Operator, Speaker, at, command, stop
from console.rights import find, write
from console.sendable import export
from console.spoken import enter, withdraw
from ledger import withdrawal
from ledger.sending import may_send
from schemas.address import mailbox_kind
from workers.queue import RELAY_URGENT


@click.group()
def consents() -> None:
    """Consents in force."""


@consents.command("check")
@email_option
@click.option("--purpose", required=True)
@command
def check(operator: Operator, speak: Speaker, email: str, purpose: str) -> None:
    """Say yes (exit 0) or no (exit 1), and why, by consent alone.

    Since when somebody is a customer is another law's answer, and changes nothing of this one.
    """
    context = operator.context
    if purpose not in context.policy.purposes:
        stop(Exit.USAGE, f"purpose_unknown: one of {', '.join(context.policy.purposes)}")
    address = read_address(email)
    with context.database.read() as connection:
        (answer,) = may_send(connection, context.keyring, [address], purpose)
    speak.document(
        {
            "allowed": answer.allowed,
            "reason": answer.reason,
            "purpose": purpose,
            "since": at(answer.since_ms),
            "entry": answer.entry,
            "mailbox": mailbox_kind(address, context.policy.role_mailboxes),
            "existing_customer_since": at(answer.customer_since_ms),
        }
    )
    if not answer.allowed:
        raise SystemExit(int(Exit.NO))


@consents.command("revoke")
@email_option
@click.option("--purpose", multiple=True, help="Which; every purpose if none is named.")
@click.option("--reason", type=click.Choice(["bounce", "complaint", "operator"]), required=True)
@command
def revoke(operator: Operator, speak: Speaker, email: str, purpose: tuple[str, ...], reason: str) -> None:
    """Stop sending to somebody who has not withdrawn: a mailbox that is gone, a complaint, your own decision."""
    handle, policy = find(operator, email), operator.context.policy
    if set(purpose) - set(policy.purposes):
        stop(Exit.USAGE, f"purpose_unknown: one of {', '.join(policy.purposes)}")
    purposes = purpose or tuple(policy.purposes)
    positions = write(
        operator, lambda connection, recorder: withdrawal.revoke(connection, recorder, handle, purposes, reason)
    )
    operator.ring(RELAY_URGENT)
    speak.document({"result": "revoked", "purposes": list(purposes), "positions": positions})


for spoken in (enter, withdraw, export):
    consents.add_command(spoken)
