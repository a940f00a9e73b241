"""`flask erasures`: how far each erasure has come, and what is left at the processors until when."""

from typing import Any

import click

from console.operator import Operator, Speaker, at, command, hex_id
from ledger import erasure_work
from ledger.deadlines import local_day
from ledger.erasure_work import Standing
from ledger.residual import Answer, ResidualCopy, residual_copies
from schemas.erasures import OUTCOME_NAMES, UNLIMITED, WAITING
from schemas.message import LANGUAGES
from schemas.policy import Policy, Text

COLUMNS = ("id", "started_at", "completed_at", "answered", "waiting")


@click.group()
def erasures() -> None:
    """Erasures: a work item each, until every processor has answered."""


@erasures.command("list")
@click.option("--open", "open_only", is_flag=True, help="Only those that are not complete.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@command
def list_erasures(operator: Operator, speak: Speaker, open_only: bool, limit: int) -> None:
    """The newest first; they name nobody."""
    context = operator.context
    with context.database.read() as connection:
        found = erasure_work.newest(connection, context.policy, limit, open_only)
    speak.rows([_summary(one) for one in found], COLUMNS, "No erasures.")


@erasures.command("show")
@click.argument("erasure_id", metavar="ID")
@click.option("--language", type=click.Choice(LANGUAGES), default="en", show_default=True)
@command
def show(operator: Operator, speak: Speaker, erasure_id: str, language: str) -> None:
    """What each processor has answered, and which copies are left, in words that can be sent to the person."""
    context = operator.context
    with context.database.read() as connection:
        standing = erasure_work.status(connection, hex_id(erasure_id), context.policy)
    copies = residual_copies(context.policy, standing.answers)
    document = _summary(standing)
    document["processors"] = [_answer(context.policy, answer, language) for answer in standing.answers]
    document["copies"] = [_copy(context.policy, copy, language) for copy in copies]
    speak.document(document)


def _summary(standing: Standing) -> dict[str, Any]:
    waiting = [answer.processor for answer in standing.answers if answer.outcome is None]
    return {
        "id": standing.id.hex(),
        "started_at": at(standing.started_at_ms),
        "completed_at": at(standing.completed_at_ms),
        "answered": f"{standing.answered} of {len(standing.answers)}",
        "waiting": ", ".join(waiting) or None,
    }


def _answer(policy: Policy, answer: Answer, language: str) -> dict[str, Any]:
    said = WAITING if answer.outcome is None else OUTCOME_NAMES[answer.outcome]
    return {
        "processor": _name(policy, answer.processor),
        "status": answer.status,
        "outcome": answer.outcome,
        "reason": answer.reason,
        "says": _in(said, language),
        "at": at(answer.at_ms),
    }


def _copy(policy: Policy, copy: ResidualCopy, language: str) -> dict[str, Any]:
    """`until`: the last day in Norway."""
    days = None if copy.days is None else f"{copy.days} {'dager' if language == 'nb' else 'days'}"
    until = None if copy.until_ms is None else local_day(copy.until_ms).isoformat()
    return {
        "processor": _name(policy, copy.processor),
        "what": _in(copy.named, language),
        "until": until or days or _in(UNLIMITED, language),
        "source": copy.source,
        "formula": copy.formula,
    }


def _name(policy: Policy, key: str) -> str:
    processor = policy.processors.get(key)
    return key if processor is None else processor.name


def _in(text: Text, language: str) -> str:
    return text.nb if language == "nb" else text.en
