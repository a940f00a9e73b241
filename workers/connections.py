"""How each processor is reached: settings and policy made into the connection that its relay asks for."""

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from schemas.policy import Policy
from schemas.settings import Settings
from workers.outgoing import OutgoingSession

if TYPE_CHECKING:
    from workers.intake.mailbox import GmailConnection
    from workers.relays.google import GoogleConnection, MailboxConnection
    from workers.relays.stripe import StripeConnection
    from workers.relays.wordpress import WordPressConnection
    from workers.relays.wordpress.connection import WpEngineConnection

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


def _wordpress(settings: Settings, policy: Policy) -> "WordPressConnection | None":
    """By the companion plugin's secret, by an application password, or by both."""
    from workers.relays.wordpress import RESPONSE_SIZE_MAX_BYTES, WordPressConnection

    if settings.wordpress_url is None or not (settings.wordpress_secret or settings.wordpress_application_password):
        return None
    return WordPressConnection(
        settings.wordpress_url,
        settings.wordpress_secret,
        session_to(settings, settings.wordpress_url, response_size_max_bytes=RESPONSE_SIZE_MAX_BYTES),
        user=settings.wordpress_user,
        application_password=settings.wordpress_application_password,
        bookkeeping_years=policy.retention.bookkeeping_years,
        wpengine=_wpengine(settings),
    )


def _wpengine(settings: Settings) -> "WpEngineConnection | None":
    from workers.relays.wordpress.connection import WpEngineConnection

    install, user, password = settings.wpengine_install_id, settings.wpengine_api_user, settings.wpengine_api_password
    if install is None or user is None or password is None:
        return None
    base = settings.wpengine_api_base
    return WpEngineConnection(install, user, password, base, session_to(settings, base))


def _stripe(settings: Settings, policy: Policy) -> "StripeConnection | None":
    from workers.relays.stripe import RESPONSE_SIZE_MAX_BYTES, StripeConnection

    if settings.stripe_api_key is None:
        return None
    return StripeConnection(
        settings.stripe_api_key,
        settings.stripe_api_base,
        session_to(settings, settings.stripe_api_base, response_size_max_bytes=RESPONSE_SIZE_MAX_BYTES),
        redaction=settings.stripe_redaction,
        pause_restricted=settings.stripe_pause_restricted,
        bookkeeping_years=policy.retention.bookkeeping_years,
    )


def _google(settings: Settings, policy: Policy) -> "GoogleConnection | None":
    """Groups need an administrator, mail and contacts a mailbox: either is connected without the other."""
    from workers.relays.google import GoogleConnection
    from workers.relays.google.calls import credentials_of

    mailbox = _google_mailbox(settings)
    if settings.google_credentials is None or settings.google_subject is None:
        return None if mailbox is None else GoogleConnection({}, "", "", {}, mailbox.session, mailbox)
    credentials = credentials_of(settings.google_credentials, "google_credentials_malformed")
    session = session_to(settings, settings.google_api_base, credentials["token_uri"])
    groups = policy.processors["google"].groups if "google" in policy.processors else {}
    return GoogleConnection(credentials, settings.google_subject, settings.google_api_base, groups, session, mailbox)


def _google_mailbox(settings: Settings) -> "MailboxConnection | None":
    from workers.relays.google import RESPONSE_SIZE_MAX_BYTES, MailboxConnection
    from workers.relays.google.calls import credentials_of

    if settings.gmail_credentials is None or settings.gmail_mailbox is None:
        return None
    credentials = credentials_of(settings.gmail_credentials, "gmail_credentials_malformed")
    bases = (settings.gmail_api_base, settings.people_api_base)
    session = session_to(settings, *bases, credentials["token_uri"], response_size_max_bytes=RESPONSE_SIZE_MAX_BYTES)
    return MailboxConnection(credentials, settings.gmail_mailbox, *bases, session, settings.gmail_delete_permanently)


def _gmail(settings: Settings, _policy: Policy) -> "GmailConnection | None":
    from workers.intake.mailbox import RESPONSE_SIZE_MAX_BYTES, GmailConnection
    from workers.relays.google.calls import credentials_of

    if settings.gmail_credentials is None or settings.gmail_mailbox is None:
        return None
    credentials = credentials_of(settings.gmail_credentials, "gmail_credentials_malformed")
    urls = (settings.gmail_api_base, credentials["token_uri"])
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
