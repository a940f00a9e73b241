"""How long the door waits for its database: nobody longer than promised, and who comes next is told at once.

A database that is stopped, or whose host is gone, does not refuse: it says nothing. PostgreSQL's own timeouts are kept
by the server and so do not help; this one is kept here.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from psycopg import Connection as PsycopgConnection
from psycopg.abc import RV, PQGen
from psycopg.errors import _WaitTimeout

from ledger.errors import DatabaseAwayError

REST_S = 1.0
CONNECT_WAIT_S, LOCK_WAIT_S = 5.0, 10.0  # of those who may wait


class Patience:
    """`answers_within_s`: how long one call may take; None: as long as it likes.

    After one that took longer, none is tried for REST_S. Where many wait for few threads, those at the end of the line
    would wait several times as long.
    """

    def __init__(self, answers_within_s: float | None) -> None:
        self.answers_within_s = answers_within_s
        self._away_until_s = 0.0

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Raises DatabaseAwayError if one was raised a moment ago after a long wait."""
        started_s = time.monotonic()
        if self.answers_within_s is None:
            yield
            return
        if started_s < self._away_until_s:
            raise DatabaseAwayError("database_away")
        try:
            yield
        except DatabaseAwayError:
            now_s = time.monotonic()
            if now_s - started_s > REST_S:
                self._away_until_s = now_s + REST_S
            raise

    def connect(self, _dialect: Any, _record: Any, arguments: Any, keywords: Any) -> PsycopgConnection[Any]:
        """SQLAlchemy's "do_connect": a connection to PostgreSQL that waits no longer for any answer."""
        within_s = self.answers_within_s
        limits: dict[str, Any] = {
            "connect_timeout": int(within_s or CONNECT_WAIT_S),
            "options": f"-c statement_timeout=30000 -c lock_timeout={int((within_s or LOCK_WAIT_S) * 1000)}",
        }

        class PatientConnection(PsycopgConnection[Any]):
            def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
                try:
                    return super().wait(gen, interval, timeout or within_s)
                except _WaitTimeout:
                    self.pgconn.finish()  # in the middle of an answer: it is of no more use
                    raise DatabaseAwayError("database_away") from None

        return PatientConnection.connect(*arguments, **(keywords | limits))
