"""`flask notice`: the privacy notice that policy.toml makes, its hash, and whom a change of it asks again."""

import difflib
from pathlib import Path
from typing import Any

import click
from sqlalchemy import func, select

from console.operator import Operator, Speaker, command
from ledger.state import GIVEN
from ledger.tables import consent_state
from schemas.message import LANGUAGES
from schemas.notice import format_notice, must_ask_again, notice_sha256
from schemas.policy import load_policy

language_option = click.option("--language", type=click.Choice(LANGUAGES), default=LANGUAGES[0], show_default=True)


@click.group()
def notice() -> None:
    """The privacy notice."""


@notice.command("show")
@language_option
@command
def show(operator: Operator, speak: Speaker, language: str) -> None:
    """Print the notice: what the page /privacy shows."""
    text = format_notice(load_policy(operator.settings.policy_file), language)
    if speak.as_json:
        speak.document({"language": language, "sha256": notice_sha256(text), "text": text})
    else:
        click.echo(text, nl=False)


@notice.command("hash")
@language_option
@command
def hash_(operator: Operator, speak: Speaker, language: str) -> None:
    """SHA-256 of the notice: for `sha256` of its section in policy.toml, once it is published as it is."""
    text = format_notice(load_policy(operator.settings.policy_file), language)
    speak.document({"language": language, "sha256": notice_sha256(text)})


@notice.command("compare")
@click.argument("old", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@language_option
@command
def compare(operator: Operator, speak: Speaker, old: Path, language: str) -> None:
    """What has changed since the policy file OLD, line by line, and who must be asked again because of it."""
    before, after = load_policy(old), load_policy(operator.settings.policy_file)
    again = must_ask_again(before, after)
    with operator.context.database.read() as connection:
        given = select(consent_state.c.purpose, func.count()).where(consent_state.c.state == GIVEN)
        people = {row[0]: row[1] for row in connection.execute(given.group_by(consent_state.c.purpose))}
    told: dict[str, Any] = {
        "changed": changed_lines(format_notice(before, language), format_notice(after, language)),
        "ask_again": [
            {"purpose": key, "people": people.get(key, 0), "because": ", ".join(reasons)}
            for key, reasons in again.items()
        ],
    }
    speak.document(told)


def changed_lines(before: str, after: str) -> list[str]:
    """Lines that went (`-`) and came (`+`), in the order of the text."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]
