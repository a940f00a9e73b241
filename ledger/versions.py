"""Versions: which versions of Stripe's API its events speak that we have not read the description of.

Such an event is read all the same. That there was one is a heartbeat row of the version's name, written once a day.
"""

from sqlalchemy import Connection, select

from ledger.database import Database
from ledger.heartbeat import beat
from ledger.tables import heartbeat
from schemas.stripe.event import foreign_version

PREFIX = "stripe-version:"
TOLD_AGAIN_AFTER_MS = 24 * 3600 * 1000


class VersionWatch:
    """One for each process: it remembers what it has written down."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._told_at_ms: dict[str, int] = {}

    def new_in(self, event: object, now_ms: int) -> str | None:
        """The foreign version of an event, if it was not told for a day; DatabaseAwayError if it cannot be now."""
        version = foreign_version(event)
        if version is None or now_ms - self._told_at_ms.get(version, -TOLD_AGAIN_AFTER_MS) < TOLD_AGAIN_AFTER_MS:
            return None
        beat(self._database, PREFIX + version, now_ms)
        self._told_at_ms[version] = now_ms
        return version


def foreign_versions(connection: Connection, since_ms: int) -> list[str]:
    """Those that were spoken since then."""
    spoken = select(heartbeat.c.process).where(heartbeat.c.process.startswith(PREFIX), heartbeat.c.at_ms >= since_ms)
    return sorted(name.removeprefix(PREFIX) for name in connection.execute(spoken).scalars())
