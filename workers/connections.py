"""How each processor is reached: settings and policy made into the connection that its relay asks for."""

import json
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from schemas.policy import Policy
from schemas.settings import Settings
from workers.outgoing import OutgoingSession

if TYPE_CHECKING:
    from workers.intake.mailbox import GmailConnection
    from workers.relays.google import GoogleConnection
    from workers.relays.stripe import StripeConnection
    from workers.relays.wordpress import WordPressConnection

# Each relay is imported where it is first used: the vendors' SDKs take half a second, and a command or a recorder
# that never talks to them should not wait for them.


def session_to(settings: Settings, *urls: str, response_size_max_bytes: int = 65_536) -> OutgoingSession:
    """A session that reaches only the hosts of these addresses."""
    hosts = frozenset(urlsplit(url).hostname or "" for url in urls)
    return OutgoingSession(
        hosts,
        allow_loopback=settings.unsafe_allow_loopback,
        response_size_max_bytes=response_size_max_bytes,
    )


def _wordpress(settings: Settings, _policy: Policy) -> "WordPressConnection | None":
    from workers.relays.wordpress import WordPressConnection

    if settings.wordpress_url is None or settings.wordpress_secret is None:
        return None
    session = session_to(settings, settings.wordpress_url)
    return WordPressConnection(settings.wordpress_url, settings.wordpress_secret, session)


def _stripe(settings: Settings, _policy: Policy) -> "StripeConnection | None":
    from workers.relays.stripe import RESPONSE_SIZE_MAX_BYTES, StripeConnection

    if settings.stripe_api_key is None:
        return None
    session = session_to(settings, settings.stripe_api_base, response_size_max_bytes=RESPONSE_SIZE_MAX_BYTES)
    return StripeConnection(settings.stripe_api_key, settings.stripe_api_base, session)


def _google(settings: Settings, policy: Policy) -> "GoogleConnection | None":
    from workers.relays.action import RelayError
    from workers.relays.google import GoogleConnection

    if settings.google_credentials is None or settings.google_subject is None:
        return None
    try:
        credentials = json.loads(settings.google_credentials)
        session = session_to(settings, settings.google_api_base, credentials["token_uri"])
    except (ValueError, KeyError, TypeError):
        raise RelayError("google_credentials_malformed", halt=True) from None
    groups = policy.processors["google"].groups if "google" in policy.processors else {}
    return GoogleConnection(credentials, settings.google_subject, settings.google_api_base, groups, session)


def _gmail(settings: Settings, _policy: Policy) -> "GmailConnection | None":
    from workers.intake.mailbox import RESPONSE_SIZE_MAX_BYTES, GmailConnection
    from workers.relays.action import RelayError

    if settings.gmail_credentials is None or settings.gmail_mailbox is None:
        return None
    try:
        credentials = json.loads(settings.gmail_credentials)
        urls = (settings.gmail_api_base, credentials["token_uri"])
    except (ValueError, KeyError, TypeError):
        raise RelayError("gmail_credentials_malformed", halt=True) from None
    session = session_to(settings, *urls, response_size_max_bytes=RESPONSE_SIZE_MAX_BYTES)
    return GmailConnection(credentials, settings.gmail_mailbox, settings.gmail_api_base, session)


_MAKERS: Mapping[str, Callable[[Settings, Policy], object | None]] = {
    "wordpress": _wordpress,
    "stripe": _stripe,
    "google": _google,
    "gmail": _gmail,  # where mail comes from; the others are where relays go
}


class Connections:
    """One connection per processor and process, made at first use, so that a Google token serves until it expires."""

    def __init__(self, settings: Settings, policy: Policy) -> None:
        self._settings = settings
        self._policy = policy
        self._made: dict[str, object | None] = {}
        self._lock = threading.Lock()

    def to(self, processor: str) -> object | None:
        """None when the processor is not connected: its relays are parked, never called done."""
        with self._lock:
            if processor not in self._made:
                self._made[processor] = _MAKERS[processor](self._settings, self._policy)
            return self._made[processor]
