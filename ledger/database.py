"""The database: one engine for SQLite or PostgreSQL, short write transactions, honest failures."""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ledger.errors import DatabaseAwayError
from ledger.group_commit import GroupCommit
from ledger.kept_connections import KEPT, WRITE, KeptConnections, driver_of
from ledger.patience import Patience
from ledger.sqlite import sqlite

BUSY_TIMEOUT_S = 5.0
# The tables from which anything about a person is deleted.
ERASABLE = ("vault", "subject", "subject_address", "link", "consent_state", "relay", "inbox", "pending_withdrawal")

Result = TypeVar("Result")


class Database:
    """`read()` and `write()` transactions; a write is exclusive on SQLite and ordinary on PostgreSQL.

    `checkpoints`: whether this process moves the WAL into the SQLite file. Exactly one process may (the
    recorder): SQLite before 3.51.3 can corrupt a database when two checkpoint at once
    (https://sqlite.org/wal.html#walresetbug).

    `answers_within_s`: for the door, whose callers do not wait longer.
    """

    def __init__(
        self,
        url: str,
        *,
        checkpoints: bool = False,
        pool_size: int = 8,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        answers_within_s: float | None = None,
    ) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._patience = Patience(answers_within_s)
        # SQLite: once for the writers' lock, once for whoever does not know of it.
        self._busy_timeout_s = answers_within_s / 2 if answers_within_s else busy_timeout_s
        self.engine = self._engine(pool_size)
        self._driver = self.engine.dialect.loaded_dbapi
        self._turn = threading.Lock()
        self._group = GroupCommit(self._write_kept)
        self._kept = KeptConnections(self.engine, pool_size, self._busy_timeout_s)
        self._lock_file: int | None = None
        if self.is_sqlite:
            self._prepare_sqlite(checkpoints)

    def _engine(self, pool_size: int) -> Engine:
        # hide_parameters: a statement's values are personal data and may not reach a traceback.
        shared: dict[str, Any] = {
            "hide_parameters": True,
            "pool_size": pool_size,
            "max_overflow": 8,
            "pool_timeout": self._busy_timeout_s,
        }
        if self.is_sqlite:
            return create_engine(self.url, module=sqlite, connect_args={"timeout": self._busy_timeout_s}, **shared)
        engine = create_engine(self.url, pool_pre_ping=True, **shared)
        event.listen(engine, "do_connect", self._patience.connect)
        return engine

    def _prepare_sqlite(self, checkpoints: bool) -> None:
        path = Path(self.url.database or "")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_file = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        pages = 1000 if checkpoints else 0

        @event.listens_for(self.engine, "connect")
        def _connect(connection: Any, _record: object) -> None:
            # autocommit mode: pysqlite would otherwise start DEFERRED transactions of its own
            connection.isolation_level = None
            for pragma in (
                "journal_mode=WAL",
                "synchronous=FULL",
                "secure_delete=ON",
                "foreign_keys=ON",
                f"wal_autocheckpoint={pages}",
            ):
                connection.execute(f"PRAGMA {pragma}")

        @event.listens_for(self.engine, "begin")
        def _begin(connection: Connection) -> None:
            write = connection.get_execution_options().get(WRITE)
            if write != KEPT:  # that one begins by itself
                connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    @contextlib.contextmanager
    def _writer(self) -> Iterator[None]:
        """One writer at a time, in turn: SQLite's own busy handler sleeps up to 100 ms and lets others pass."""
        if self._lock_file is None:
            yield
            return
        give_up_at = time.monotonic() + self._busy_timeout_s
        if not self._turn.acquire(timeout=self._busy_timeout_s):
            raise DatabaseAwayError("database_busy")
        try:
            while True:
                try:
                    fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > give_up_at:
                        raise DatabaseAwayError("database_busy") from None
                    time.sleep(0.0005)
            try:
                yield
            finally:
                fcntl.flock(self._lock_file, fcntl.LOCK_UN)
        finally:
            self._turn.release()

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """One committed transaction, or none; DatabaseAwayError when the database cannot answer."""
        with (
            self._patience.held(),
            self._writer(),
            self._answers(),
            self.engine.connect() as connection,
            connection.execution_options(**{WRITE: True}).begin(),
        ):
            yield connection

    def write_together(self, work: Callable[[Connection], Result], *, is_single: bool = False) -> Result:
        """`work` in a transaction that it may share with others.

        `is_single`: only one of its statements changes anything, and doing it twice is as good as once. PostgreSQL then
        commits that statement by itself. `work` may be called a second time, on a fresh transaction or connection, if
        another's work failed or the connection was dead.
        """
        if self.is_sqlite:
            return self._group.run(work)
        if is_single:
            return self._run_single(work)
        with self.write() as connection:  # PostgreSQL groups commits by itself
            return work(connection)

    def _run_single(self, work: Callable[[Connection], Result]) -> Result:
        with self._patience.held(), self._answers():
            while True:
                connection, is_fresh = self._kept.take()
                try:
                    result = work(connection)
                except BaseException as error:
                    self._kept.discard(connection)
                    # As dead as what a pool finds by asking first, and as easily replaced.
                    if is_fresh or not isinstance(error, (DBAPIError, self._driver.Error)):
                        raise
                else:
                    self._kept.give_back(connection)
                    return result

    @contextlib.contextmanager
    def _write_kept(self) -> Iterator[Connection]:
        """SQLite: as `write`, for the one thread that leads the group, on a connection that is kept."""
        with self._patience.held(), self._writer(), self._answers():
            connection, _ = self._kept.take()
            try:
                driver_of(connection).execute("BEGIN IMMEDIATE")
                yield connection
                driver_of(connection).execute("COMMIT")
            except BaseException:
                self._kept.discard(connection)
                raise
            self._kept.give_back(connection)

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot for all that is read in it. PostgreSQL's default would show each statement a newer state."""
        with self._patience.held(), self._answers(), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection

    def forget_deleted(self, *, thoroughly: bool = False) -> bool:
        """Overwrite what was deleted, as far as the database can; False if somebody is in the way.

        SQLite zeroes a deleted row at once (secure_delete), but its write-ahead log holds the page as it was until a
        checkpoint empties it. That happens here under the writers' lock, as every checkpoint of ours does: no two at
        once. PostgreSQL: VACUUM, which leaves the last row of a page in its free space; `thoroughly`: VACUUM FULL,
        which writes each table anew and keeps everybody out meanwhile. What it archived keeps its copies for its time.
        """
        if self.is_sqlite:
            with self._writer(), self._answers(), self.engine.connect() as connection:
                busy, _, _ = driver_of(connection).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy
        how = "VACUUM FULL" if thoroughly else "VACUUM"
        try:
            with self._answers(), self.engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
                    f"{how} {', '.join(ERASABLE)}"
                )
        except DatabaseAwayError:  # somebody holds a table, or it took too long: once more, later
            return False
        return True

    def copy_to(self, file: Path) -> None:
        """A copy of a SQLite database as it is now, in one file; nothing that was deleted is in it."""
        with self._answers(), self.engine.connect() as connection:
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            driver_of(connection).execute("VACUUM INTO ?", (str(file),))

    def close(self) -> None:
        self._kept.close()
        self.engine.dispose()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    @contextlib.contextmanager
    def _answers(self) -> Iterator[None]:
        """What the database says when it cannot answer, SQLAlchemy's word for it or the driver's own, as one error."""
        try:
            yield
        except (OperationalError, self._driver.OperationalError):
            raise DatabaseAwayError("database_away") from None
        except PoolTimeoutError:
            raise DatabaseAwayError("database_busy") from None
        except DBAPIError as error:
            if error.connection_invalidated:
                raise DatabaseAwayError("database_away") from None
            raise
