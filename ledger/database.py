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
from ledger.group_commit import CONTENDED, GroupCommit
from ledger.sqlite import sqlite

BUSY_TIMEOUT_S = 5.0
WRITE = "samtykke_write"
KEPT = "kept"
DEADLOCK_DETECTED = "40P01"  # PostgreSQL, appendix A
# The tables from which anything about a person is deleted.
ERASABLE = ("vault", "subject", "subject_address", "link", "consent_state", "relay", "inbox", "pending_withdrawal")

Result = TypeVar("Result")


class Database:
    """`read()` and `write()` transactions; a write is exclusive on SQLite and ordinary on PostgreSQL.

    `checkpoints`: whether this process moves the WAL into the SQLite file. Exactly one process may (the
    recorder): SQLite before 3.51.3 can corrupt a database when two checkpoint at once
    (https://sqlite.org/wal.html#walresetbug).
    """

    def __init__(
        self, url: str, *, checkpoints: bool = False, pool_size: int = 8, busy_timeout_s: float = BUSY_TIMEOUT_S
    ) -> None:
        self.url = make_url(url)
        self._busy_timeout_s = busy_timeout_s
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = self._engine(pool_size)
        self._turn = threading.Lock()
        self._group = GroupCommit(self._write_kept)
        self._kept: Connection | None = None
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
        connect = {
            "connect_timeout": int(BUSY_TIMEOUT_S),
            "options": "-c statement_timeout=30000 -c lock_timeout=10000",
        }
        return create_engine(self.url, pool_pre_ping=True, connect_args=connect, **shared)

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
            self._writer(),
            self._answers(),
            self.engine.connect() as connection,
            connection.execution_options(**{WRITE: True}).begin(),
        ):
            yield connection

    def write_together(self, work: Callable[[Connection], Result]) -> Result:
        """`work` in a transaction that it may share with others.

        It may be called a second time, on a fresh transaction, if another's work failed or the connection was dead.
        """
        return self._group.run(work)

    @contextlib.contextmanager
    def _write_kept(self) -> Iterator[Connection]:
        """As `write`, for the one thread that leads the group: on one connection that is kept, and that begins and ends
        its transactions by the driver. What a pool and SQLAlchemy do around them is a third of what the door costs.
        """
        with self._writer(), self._answers():
            connection = self._begin_kept()
            try:
                yield connection
                driver_of(connection).execute("COMMIT")
            except BaseException:
                self._drop_kept()
                raise

    def _begin_kept(self) -> Connection:
        begin = "BEGIN IMMEDIATE" if self.is_sqlite else "BEGIN"
        if self._kept is not None:
            try:
                driver_of(self._kept).execute(begin)
            except self.engine.dialect.loaded_dbapi.Error:
                self._drop_kept()
                if self.is_sqlite:  # it does not die; somebody holds the file, and waiting twice helps nobody
                    raise
                # As dead as what a pool finds by asking first, and as easily replaced.
            else:
                return self._kept
        self._kept = self.engine.connect().execution_options(**{WRITE: KEPT}, isolation_level="AUTOCOMMIT")
        driver_of(self._kept).execute(begin)
        return self._kept

    def _drop_kept(self) -> None:
        """Closing rolls back whatever was begun."""
        kept, self._kept = self._kept, None
        if kept is not None:
            with contextlib.suppress(DBAPIError):
                kept.invalidate()
            kept.close()

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot for all that is read in it. PostgreSQL's default would show each statement a newer state."""
        with self._answers(), self.engine.connect() as connection:
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
        self._drop_kept()
        self.engine.dispose()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    @contextlib.contextmanager
    def _answers(self) -> Iterator[None]:
        """What the database says when it cannot answer, SQLAlchemy's word for it or the driver's own, as one error."""
        driver_error = self.engine.dialect.loaded_dbapi.OperationalError
        try:
            yield
        except (OperationalError, driver_error) as error:
            deadlock = getattr(getattr(error, "orig", error), "sqlstate", None) == DEADLOCK_DETECTED
            raise DatabaseAwayError(CONTENDED if deadlock else "database_away") from None
        except PoolTimeoutError:
            raise DatabaseAwayError("database_busy") from None
        except DBAPIError as error:
            if error.connection_invalidated:
                raise DatabaseAwayError("database_away") from None
            raise


def driver_of(connection: Connection) -> Any:
    """The driver's own connection, inside the same transaction."""
    driver = connection.connection.driver_connection
    assert driver is not None
    return driver
