"""`flask consents export`: everybody who may be sent a purpose right now, as a CSV file."""

import csv
import os
from pathlib import Path

import click

from console.operator import Exit, Operator, Speaker, at, command, stop
from ledger.sendable import everybody
from schemas.entry import Kind

# What a spreadsheet would run as a formula (https://owasp.org/www-community/attacks/CSV_Injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


@click.command("export")
@click.argument("purpose")
@click.option(
    "--to", "path", required=True, type=click.Path(path_type=Path, dir_okay=False), help="A file not there yet."
)
@click.option("--not-shown", "notice", help="Only who gave it under another notice than this one: to ask them again.")
@command
def export(operator: Operator, speak: Speaker, purpose: str, path: Path, notice: str | None) -> None:
    """Write who may be sent PURPOSE. The list is right at this moment only: a withdrawal a second later is not in it.

    Recorded in the ledger. What a spreadsheet would take for a formula has a ' in front of it.
    """
    context = operator.context
    if purpose not in context.policy.purposes:
        stop(Exit.USAGE, f"purpose_unknown: one of {', '.join(context.policy.purposes)}")
    if notice is not None and notice not in context.policy.notices:
        stop(Exit.USAGE, f"notice_unknown: one of {', '.join(context.policy.notices)}")
    fields = tuple(name for name in context.policy.personal_data if name != "email")
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        stop(Exit.USAGE, "file_exists" if isinstance(error, FileExistsError) else "file_cannot_be_written")
    operator.record_deed(Kind.REVEALED, purpose=purpose, reason="sendable_list")
    count = 0
    with (
        os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file,
        context.database.read() as connection,
    ):
        writer = csv.writer(file)
        facts = tuple(context.policy.profile)
        writer.writerow(["email", *fields, *facts, "since", "entry", "notice"])
        for one in everybody(connection, context.keyring, purpose, fields):
            if notice is not None and one.answer.notice == notice:
                continue
            told = (" ".join(one.facts.get(fact, ())) for fact in facts)
            cells = [one.email, *one.profile.values(), *told]
            writer.writerow([*map(harmless, cells), at(one.answer.since_ms), one.answer.entry, one.answer.notice])
            count += 1
    speak.document({"result": "exported", "purpose": purpose, "people": count, "file": str(path)})


def harmless(cell: str) -> str:
    """A cell that no spreadsheet runs."""
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell
