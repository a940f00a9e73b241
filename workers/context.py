"""What a worker process works with, built once at its start and handed to every deed."""

import time
from dataclasses import dataclass
from pathlib import Path

from ledger.database import Database
from ledger.keyring import Keyring, load_keyring
from ledger.sqlite import has_wal_reset_bug
from schemas.log_line import log
from schemas.policy import Policy, load_policy
from schemas.settings import Settings
from workers.connections import Connections
from workers.doorbell import Doorbell


@dataclass(frozen=True, slots=True)
class Context:
    """Settings, policy, database, the keys of this process' role, and the doorbell."""

    settings: Settings
    policy: Policy
    database: Database
    keyring: Keyring
    doorbell: Doorbell
    connections: Connections


def build_context(settings: Settings, role: str) -> Context:
    """`role`: web, record, relay, clock or operator; it decides which keys are read."""
    policy = load_policy(settings.policy_file)
    warn_of_sqlite(settings)
    return Context(
        settings=settings,
        policy=policy,
        # Exactly one process checkpoints the SQLite file: the recorder (see ledger.database).
        database=Database(settings.database_url, checkpoints=role == "record"),
        keyring=load_keyring(role, settings.keys_dir, settings.keyring),
        doorbell=Doorbell(settings.redis_url),
        connections=Connections(settings, policy),
    )


def warn_of_sqlite(settings: Settings) -> None:
    """At every start: the one thing that no setting of ours can mend."""
    if settings.database_url.startswith("sqlite") and has_wal_reset_bug():
        log.warning("sqlite_has_wal_reset_bug")


def now_ms() -> int:
    """The only reading of the wall clock: unix milliseconds."""
    return time.time_ns() // 1_000_000


def project_root() -> Path:
    return Path(__file__).resolve().parent.parent
