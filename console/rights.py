"""`flask subjects erase | rectify | restrict | unrestrict`: what a person may demand, done by an operator."""

from collections.abc import Callable
from typing import TypeVar

import click
from sqlalchemy import Connection, func, select

from console.addresses import email_option, read_address
from console.operator import Exit, Operator, Speaker, command, stop
from ledger import erasure, rectification, restriction, vault
from ledger.errors import NotFoundError
from ledger.identity import address_tags
from ledger.log import lock_head
from ledger.recorder import Recorder
from ledger.tables import link, subject_address
from ledger.tables import vault as vault_table
from workers.context import now_ms
from workers.queue import RECORD, RELAY, RELAY_URGENT

# GDPR Article 17(1)(a) to (f), as words.
GROUNDS = ("not_needed", "consent_withdrawn", "objection", "unlawful", "legal_obligation", "child")

Result = TypeVar("Result")

dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would happen, and do nothing.")


@click.command("erase")
@email_option
@click.option("--ground", type=click.Choice(GROUNDS), default="consent_withdrawn", show_default=True)
@click.option("--yes", is_flag=True, help="Do not ask again. It cannot be undone.")
@dry_run_option
@command
def erase(operator: Operator, speak: Speaker, email: str, ground: str, yes: bool, dry_run: bool) -> None:
    """Erase a person: boxes, key, tags, states and links, and carry it to every processor."""
    handle = find(operator, email)
    with operator.context.database.read() as connection:
        found = _counts(connection, handle)
    if dry_run:
        speak.document({"result": "would_erase", "subject": handle.hex(), **found})
        return
    if not yes and (
        speak.as_json or not click.confirm(f"Erase this person for ever ({found['sealed_payloads']} boxes)?")
    ):
        stop(Exit.REFUSED, "not_confirmed")
    erased = write(operator, lambda connection, recorder: erasure.erase(connection, recorder, handle, reason=ground))
    forgotten = operator.context.database.forget_deleted(thoroughly=True)
    operator.ring(RELAY_URGENT)
    operator.ring(RELAY)
    speak.document(
        {
            "result": "erased",
            "subject": handle.hex(),
            "position": erased.position,
            **found,
            "parked_deliveries_wiped": erased.parked_wiped,
            "overwritten_on_disk": forgotten,
        }
    )


def _counts(connection: Connection, handle: bytes) -> dict[str, int]:
    tables = {"sealed_payloads": vault_table, "addresses": subject_address, "links": link}
    return {
        name: connection.execute(select(func.count()).where(table.c.subject == handle)).scalar_one()
        for name, table in tables.items()
    }


@click.command("rectify")
@email_option
@click.option("--new-email", help="The right address, or another one of the same person.")
@click.option("--wrong-email", help="An address that was never this person's.")
@click.option("--first-name", help="The right first name; an empty text removes it.")
@click.option("--last-name", help="The right last name; an empty text removes it.")
@click.option("--company", help="The right company; an empty text removes it.")
@command
def rectify(
    operator: Operator,
    speak: Speaker,
    email: str,
    new_email: str | None,
    wrong_email: str | None,
    **profile: str | None,
) -> None:
    """Put what is right in the place of what is wrong. The ledger says that it happened, not what."""
    handle = find(operator, email)
    correction = rectification.Correction(
        {name: value for name, value in profile.items() if value is not None},
        read_address(new_email) if new_email else None,
        read_address(wrong_email) if wrong_email else None,
    )
    if not (correction.profile or correction.email or correction.wrong_email):
        stop(Exit.USAGE, "nothing_to_rectify")
    position = write(
        operator, lambda connection, recorder: rectification.rectify(connection, recorder, handle, correction)
    )
    operator.context.database.forget_deleted(thoroughly=True)
    operator.ring(RELAY)
    speak.document({"result": "rectified", "subject": handle.hex(), "position": position})


@click.command("restrict")
@email_option
@click.option("--reason", type=click.Choice(restriction.REASONS), required=True, help="GDPR Article 18(1)(a) to (d).")
@command
def restrict(operator: Operator, speak: Speaker, email: str, reason: str) -> None:
    """Store and do not use: only withdrawals and erasures still apply, everything else waits."""
    handle = find(operator, email)
    position = write(operator, restriction.restrict_as_asked, handle, reason, "operator")
    operator.ring(RELAY)
    speak.document({"result": "restricted", "subject": handle.hex(), "position": position})


@click.command("unrestrict")
@email_option
@click.option("--told", is_flag=True, help="You told the person yourself (GDPR Article 18(3)).")
@command
def unrestrict(operator: Operator, speak: Speaker, email: str, told: bool) -> None:
    """Lift a restriction; what waited is recorded then. The person is told first: repeat it once that mail has left."""
    handle = find(operator, email)
    if not told and not write(operator, restriction.announce_lifting, handle):
        operator.ring(RELAY)
        speak.document({"result": "telling", "subject": handle.hex(), "next": "repeat it once the mail has left"})
        return
    position = write(operator, restriction.lift_as_asked, handle, "operator")
    operator.ring(RELAY)
    operator.ring(RECORD)
    speak.document({"result": "unrestricted", "subject": handle.hex(), "position": position})


def find(operator: Operator, email: str) -> bytes:
    """The handle of whoever has exactly this address. Raises NotFoundError."""
    context = operator.context
    with context.database.read() as connection:
        handle = vault.find_by_narrow(connection, address_tags(context.keyring["index_pepper"], read_address(email)))
    if handle is None:
        raise NotFoundError("subject_not_found")
    return handle


def write(operator: Operator, deed: Callable[..., Result], *arguments: object) -> Result:
    """`deed(connection, recorder, *arguments)` in a transaction of its own."""
    context, now = operator.context, now_ms()
    with context.database.write() as connection:
        lock_head(connection)
        return deed(connection, Recorder(context.keyring, context.policy, now, now), *arguments)
