"""The answer to an erasure, as often as it is asked: who has erased, what is left where, and until when."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from ledger import erasure_work
from ledger.erasure_work import Standing
from ledger.errors import NotFoundError
from ledger.residual import ResidualCopy, residual_copies
from ledger.tables import erasure
from schemas.policy import Policy


@dataclass(frozen=True, slots=True)
class ErasureAnswer:
    """`standing`: each recipient with what it has answered (GDPR Article 19); `copies`: what is left, with its end."""

    standing: Standing
    copies: tuple[ResidualCopy, ...]


def erasure_answer(connection: Connection, policy: Policy, handle: bytes) -> ErasureAnswer:
    """Of the newest erasure of the person that this random number was; only a receipt knows which that is.

    Raises NotFoundError `erasure_not_found`, for somebody unknown as for somebody who is not erased.
    """
    query = select(erasure.c.id).where(erasure.c.subject == handle).order_by(erasure.c.started_at_ms.desc())
    erasure_id = connection.execute(query.limit(1)).scalar_one_or_none()
    if erasure_id is None:
        raise NotFoundError("erasure_not_found")
    standing = erasure_work.status(connection, erasure_id, policy)
    return ErasureAnswer(standing, tuple(residual_copies(policy, standing.answers)))
