"""A fresh installation for each round: a folder with keys and an empty, migrated SQLite database."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ledger.database import Database
from ledger.keyring import generate_keys, write_keys
from ledger.migrate import upgrade
from ledger.sqlite import sqlite
from schemas.settings import form_secrets_name
from tests.bench.deliveries import FORM_KEY
from tests.bench.floor import DATABASE as FLOOR_DATABASE
from tests.stack import ROOT, own_environment
from tests.world import ORIGIN, SIGNED_SECRET, STRIPE_SECRET

DATABASE = "samtykke.db"
THREADS = 8


@dataclass(frozen=True, slots=True)
class Installation:
    """`environment`: what a process of ours needs to run in `folder`."""

    folder: Path
    environment: Mapping[str, str]

    @property
    def log_path(self) -> Path:
        return self.folder / "log"

    def accepted(self) -> int:
        """Deliveries that wait to be recorded. A parked one would be missing here."""
        return _count(self.folder / DATABASE, "SELECT count(*) FROM inbox WHERE status = 'new'")

    def recorded(self) -> int:
        return _count(self.folder / DATABASE, "SELECT count(*) FROM inbox WHERE status = 'recorded'")

    def stored(self) -> int:
        """Rows of the floor."""
        return _count(self.folder / FLOOR_DATABASE, "SELECT count(*) FROM delivery")


def install(folder: Path, redis_url: str) -> Installation:
    """Everything is set here, the defaults too, so that nobody's .env changes what is measured."""
    folder.mkdir(mode=0o700)
    write_keys(folder / "keys", generate_keys(ORIGIN))
    url = f"sqlite:///{folder / DATABASE}"
    database = Database(url, checkpoints=True)
    upgrade(database)
    database.close()
    settings = {
        "DATA_DIR": str(folder),
        "DATABASE_URL": url,
        "REDIS_URL": redis_url,
        "KEYS_DIR": str(folder / "keys"),
        "KEYRING": "",
        "POLICY_FILE": str(ROOT / "policy.toml"),
        "WEB_CONCURRENCY": "1",
        "WEB_THREADS": str(THREADS),
        "STRIPE_MODE": "any",
        "STRIPE_WEBHOOK_SECRETS": STRIPE_SECRET,
        form_secrets_name(FORM_KEY): SIGNED_SECRET,
        "LOG_LEVEL": "INFO",
    }
    return Installation(folder, own_environment() | settings)


def _count(path: Path, query: str) -> int:
    connection = sqlite.connect(path)
    try:
        (count,) = connection.execute(query).fetchone()
        return int(count)
    finally:
        connection.close()
