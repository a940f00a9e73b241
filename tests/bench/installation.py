"""A fresh installation for each round: a folder with keys and an empty, migrated database, of either kind."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine

from ledger.database import Database
from ledger.keyring import generate_keys, write_keys
from ledger.migrate import upgrade
from ledger.sqlite import sqlite
from schemas.settings import form_secrets_name
from tests.bench.deliveries import FORM_KEY
from tests.bench.floor import CONNECTION_SETTING
from tests.bench.floor import DATABASE as FLOOR_DATABASE
from tests.postgres import PostgresServer
from tests.stack import ROOT, own_environment
from tests.world import ORIGIN, SIGNED_SECRET, STRIPE_SECRET

DATABASE, PEER_DATABASE = "samtykke.db", "peer.db"
THREADS = 8


@dataclass(frozen=True, slots=True)
class Installation:
    """`environment`: what a process of ours or of the floor needs to run in `folder`. `peer_url`: an empty database."""

    folder: Path
    environment: Mapping[str, str]
    url: str
    floor_url: str
    peer_url: str

    @property
    def log_path(self) -> Path:
        return self.folder / "log"

    def accepted(self) -> int:
        """Deliveries that wait to be recorded. A parked one would be missing here."""
        return count(self.url, "SELECT count(*) FROM inbox WHERE status = 'new'")

    def recorded(self) -> int:
        return count(self.url, "SELECT count(*) FROM inbox WHERE status = 'recorded'")

    def stored(self) -> int:
        """Rows of the floor."""
        return count(self.floor_url, "SELECT count(*) FROM delivery")


@contextlib.contextmanager
def install(folder: Path, redis_url: str, postgresql: PostgresServer | None = None) -> Iterator[Installation]:
    """On SQLite in `folder`, or on three fresh databases of a server of PostgreSQL: ours, the floor's and the peer's.

    Everything is set here, the defaults too, so that nobody's .env changes what is measured.
    """
    folder.mkdir(mode=0o700)
    write_keys(folder / "keys", generate_keys(ORIGIN))
    with contextlib.ExitStack() as stack:
        floor = {}
        if postgresql is None:
            url, floor_url, peer_url = (
                f"sqlite:///{folder / name}" for name in (DATABASE, FLOOR_DATABASE, PEER_DATABASE)
            )
        else:
            name = folder.name.replace("-", "_")
            url, floor_url, peer_url = (
                stack.enter_context(postgresql.fresh_database(f"{name}_{side}")) for side in ("ours", "floor", "peer")
            )
            floor[CONNECTION_SETTING] = floor_url.replace("postgresql+psycopg:", "postgresql:")
        database = Database(url, checkpoints=True)
        upgrade(database)
        database.close()
        environment = own_environment() | floor | _settings(folder, url, redis_url)
        yield Installation(folder, environment, url, floor_url, peer_url)


def _settings(folder: Path, url: str, redis_url: str) -> dict[str, str]:
    return {
        "DATA_DIR": str(folder),
        "DATABASE_URL": url,
        "REDIS_URL": redis_url,
        "KEYS_DIR": str(folder / "keys"),
        "KEYRING": "",
        "POLICY_FILE": str(ROOT / "policy.toml"),
        "WEB_CONCURRENCY": "1",
        "WEB_THREADS": str(THREADS),
        "SOURCE_LIMIT_PER_S": "1000000",  # never reached, but looked at for every request
        "STRIPE_MODE": "any",
        "STRIPE_WEBHOOK_SECRETS": STRIPE_SECRET,
        form_secrets_name(FORM_KEY): SIGNED_SECRET,
        "LOG_LEVEL": "INFO",
    }


def count(url: str, query: str) -> int:
    engine = create_engine(url, module=sqlite) if url.startswith("sqlite:") else create_engine(url)
    try:
        with engine.connect() as connection:
            return int(connection.exec_driver_sql(query).scalar_one())
    finally:
        engine.dispose()
