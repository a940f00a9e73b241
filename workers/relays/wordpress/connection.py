"""How a WordPress site is reached: through the companion plugin, by its REST API as a user, or both."""

from collections.abc import Callable
from dataclasses import dataclass, field

from workers.outgoing import OutgoingSession
from workers.relays.action import system_clock_ms

# A page of an exporter, or ten users with all their capabilities, is more than the usual 64 KiB.
RESPONSE_SIZE_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class WpEngineConnection:
    """WP Engine's API, for the caches of one install."""

    install_id: str
    user: str
    password: str = field(repr=False)
    api_base: str
    session: OutgoingSession = field(repr=False)


@dataclass(frozen=True, slots=True)
class WordPressConnection:
    """The site's address, and what opens it: the secret (`whsec_...`) that its companion plugin shares with this
    service, and an application password of one of its administrators. Either may be missing.

    `bookkeeping_years`: how long orders are kept by law.
    """

    base_url: str
    secret: str | None = field(repr=False)
    session: OutgoingSession = field(repr=False)
    clock: Callable[[], int] = field(default=system_clock_ms, repr=False)
    user: str | None = field(default=None, repr=False)
    application_password: str | None = field(default=None, repr=False)
    bookkeeping_years: int = 5
    wpengine: WpEngineConnection | None = None

    @property
    def has_rest(self) -> bool:
        return bool(self.user and self.application_password)

    def url(self, route: str) -> str:
        return f"{self.base_url.rstrip('/')}/wp-json/{route}"
