"""`flask consents enter | withdraw`: what somebody said by telephone, in a mail or in person, recorded as a form is.

The same deeds as those of a form, so that whoever calls has the same result; only the source says how it was said.
"""

import click

from console.addresses import email_option, read_address
from console.operator import Exit, Operator, Speaker, command, stop
from console.rights import write
from ledger import consent, withdrawal
from ledger.state import GIVEN
from schemas.message import LANGUAGES, Decision, Message, MessageType
from workers.queue import RELAY, RELAY_URGENT

SOURCES = ("phone", "mail", "in_person")
METHOD = "operator"

source_option = click.option("--source", type=click.Choice(SOURCES), required=True, help="How it was said.")


@click.command("enter")
@email_option
@click.option("--purpose", multiple=True, required=True, help="What the person said yes to; may be repeated.")
@source_option
@click.option("--language", type=click.Choice(LANGUAGES), default="nb", show_default=True, help="Of the mails.")
@command
def enter(operator: Operator, speak: Speaker, email: str, purpose: tuple[str, ...], source: str, language: str) -> None:
    """Enter a yes. It counts when the person confirms it by the link that is mailed now, as after a form."""
    _require_known(operator, purpose)
    decisions = tuple(Decision(one, GIVEN) for one in dict.fromkeys(purpose))
    message = Message(
        MessageType.SIGN_UP,
        source,
        email=read_address(email).verbatim,
        decisions=decisions,
        method=METHOD,
        language=language,
    )
    positions = write(operator, consent.sign_up, message)
    operator.ring(RELAY)
    speak.document({"result": "entered", "purposes": list(purpose), "positions": positions})


@click.command("withdraw")
@email_option
@click.option("--purpose", multiple=True, help="Which; every purpose if none is named.")
@source_option
@command
def withdraw(operator: Operator, speak: Speaker, email: str, purpose: tuple[str, ...], source: str) -> None:
    """Enter a withdrawal. It takes effect now, also for an address that nobody here knows."""
    _require_known(operator, purpose)
    message = Message(
        MessageType.WITHDRAWAL, source, email=read_address(email).verbatim, purposes=purpose, method=METHOD
    )
    positions = write(operator, withdrawal.withdraw_address, message)
    operator.ring(RELAY_URGENT)
    operator.ring(RELAY)
    purposes = list(purpose or operator.context.policy.purposes)
    speak.document({"result": "withdrawn", "purposes": purposes, "positions": positions})


def _require_known(operator: Operator, purposes: tuple[str, ...]) -> None:
    known = operator.context.policy.purposes
    if set(purposes) - set(known):
        stop(Exit.USAGE, f"purpose_unknown: one of {', '.join(known)}")
