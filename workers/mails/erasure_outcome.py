"""The outcome of an erasure: which recipients were told, what each has answered, what is left where and until when.

GDPR Articles 12(3) and 19. It waits until every processor has answered, and no longer than the law allows.
"""

from typing import Any

from ledger.erasure_answer import erasure_answer
from ledger.outbox import Relay
from ledger.residual import Answer, ResidualCopy
from schemas.erasures import OUTCOME_NAMES, UNLIMITED, WAITING
from schemas.policy import Policy
from workers.context import Context, now_ms
from workers.mails.letter import Letter, to_address
from workers.relays.action import RelayWait

ANSWERED_WITHIN_MS = 21 * 24 * 3600 * 1000  # then it says what is known: the month of Article 12(3) is not over
ASK_AGAIN_S = 15 * 60.0


def erasure_outcome(context: Context, claimed: Relay) -> Letter:
    policy = context.policy
    with context.database.read() as connection:
        answer = erasure_answer(connection, policy, claimed.subject)
    standing = answer.standing
    if standing.completed_at_ms is None and now_ms() - standing.started_at_ms < ANSWERED_WITHIN_MS:
        raise RelayWait("processors_awaited", ASK_AGAIN_S, {})
    values = {
        "answers": [_answer(policy, one) for one in standing.answers],
        "copies": [_copy(policy, one) for one in answer.copies],
        "started_at_ms": standing.started_at_ms,
    }
    return to_address(context, claimed, "erasure_outcome", values)


def _answer(policy: Policy, answer: Answer) -> tuple[str, Any]:
    """(who, what they say in both languages)."""
    says = WAITING if answer.outcome is None else OUTCOME_NAMES[answer.outcome]
    return _name(policy, answer.processor), says


def _copy(policy: Policy, copy: ResidualCopy) -> tuple[str, Any, int | None, Any]:
    """(who, what, until when if that is known, what to say otherwise)."""
    return _name(policy, copy.processor), copy.named, copy.until_ms, UNLIMITED


def _name(policy: Policy, key: str) -> str:
    return policy.processors[key].name if key in policy.processors else key
