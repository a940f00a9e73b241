"""How the clock does what may fail: the failure is logged and tried again, and another history quarantines."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from ledger import quarantine
from ledger.database import Database
from ledger.errors import LedgerError
from schemas.log_line import error_fields, log
from workers.context import now_ms

Result = TypeVar("Result")


def guarded(action: str, deed: Callable[[], Result]) -> Result | None:
    """One deed that fails must not stop the others: its result, or None and a line in the log."""
    try:
        return deed()
    except LedgerError as error:
        log.error("clock_failed", action=action, reason=error.reason)
    except Exception as error:
        log.error("clock_failed", action=action, **error_fields(error))
    return None


@contextmanager
def quarantining(database: Database) -> Iterator[None]:
    """What is said in here of another history ends the block, and all recording and carrying with it."""
    try:
        yield
    except LedgerError as error:
        if error.reason not in quarantine.ANOTHER_HISTORY:
            raise
        _quarantine(database, error.reason)


def _quarantine(database: Database, reason: str) -> None:
    with database.read() as connection:  # a signer says it every second: no need to write as often
        if quarantine.reason_of(connection) is not None:
            return
    with database.write() as connection:
        begins = quarantine.enter(connection, reason, now_ms())
    if begins:
        log.error("quarantine_entered", reason=reason)
