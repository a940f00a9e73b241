"""Probing: whether each connection works, by the relays' own code and calls that only read.

A part of a connection is what can be missing by itself: a permission of a key, a scope of a delegation, a plugin.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import stripe

from workers.intake.mailbox import GmailConnection, Mailbox
from workers.outgoing import OutgoingError
from workers.relays import google
from workers.relays.action import RelayError, error_for_status, error_for_transport
from workers.relays.google import GoogleConnection
from workers.relays.google.calls import SENDING
from workers.relays.google.calls import call as call_google
from workers.relays.stripe import StripeConnection, open_client, relay_error
from workers.relays.wordpress.answers import ExistsError, GoneError, NoRouteError
from workers.relays.wordpress.connection import WordPressConnection, WpEngineConnection
from workers.relays.wordpress.rest import Rest
from workers.relays.wordpress.signed import call as call_plugin

NO_PLUGIN, NOT_FOUND, NOT_AN_ADMINISTRATOR = "no_plugin", "not_found", "not_an_administrator"
CLOCK, CLOCK_SKEW = "clock", "clock_skew"
SKEW_MAX_MS = 60_000  # WordPress refuses from 300 s on, and Google a token that is made in the future
_VERSION = re.compile("[0-9][0-9a-z.-]{0,30}")
_CAPABILITY = "manage_options"  # an administrator: core's erasers and users ask for it


@dataclass(frozen=True, slots=True)
class Probe:
    """`reason`: why the part does not work, None where it does. `note`: what it said of itself, in our words."""

    part: str
    reason: str | None = None
    note: str = ""


def probe(processor: str, connection: Any) -> Iterator[Probe]:
    """Every part of a connection; whatever a part does, the others are still asked. Last, the clock, if it is wrong."""
    dates: list[str] = []
    hooks = connection.session.hooks["response"]
    hooks.append(lambda response, **_: dates.append(response.headers.get("Date", "")))
    try:
        yield from PROBES[processor](connection)
    finally:
        hooks.pop()
    yield from _clock(dates, connection.clock())


def _clock(dates: Sequence[str], now_ms: int) -> Iterator[Probe]:
    """By the Date of the last answer (RFC 9110, 6.6.1); whoever gives none is not judged."""
    try:
        theirs_ms = parsedate_to_datetime(dates[-1]).timestamp() * 1000
    except (IndexError, ValueError, OverflowError):
        return
    seconds = round((theirs_ms - now_ms) / 1000)
    if abs(seconds) * 1000 > SKEW_MAX_MS:
        yield Probe(CLOCK, CLOCK_SKEW, f"{abs(seconds)} s {'ahead of' if seconds > 0 else 'behind'} ours")


def _attempt(part: str, read: Callable[[], str]) -> Probe:
    try:
        return Probe(part, note=read())
    except NoRouteError:
        return Probe(part, NO_PLUGIN)
    except (GoneError, ExistsError):
        return Probe(part, NOT_FOUND)
    except OutgoingError as error:
        return Probe(part, error_for_transport(error).reason)
    except RelayError as error:
        return Probe(part, error.reason)


def _wordpress(connection: WordPressConnection) -> Iterator[Probe]:
    if connection.secret:
        yield _attempt("plugin", lambda: _about(connection))
        yield _attempt("plugin's outbox", lambda: _outbox(connection))
    if connection.has_rest:
        yield _attempt("application password", lambda: _myself(connection))
    if connection.wpengine is not None:
        own = connection.wpengine
        yield _attempt("WP Engine", lambda: _install(own))


def _about(connection: WordPressConnection) -> str:
    about = call_plugin(connection, "about")
    note = f"version {_version(about, 'version')}, WordPress {_version(about, 'wordpress')}, "
    return note + f"{_count(about, 'erasers')} erasers, {_count(about, 'exporters')} exporters"


def _outbox(connection: WordPressConnection) -> str:
    outbox = call_plugin(connection, "outbox", after=0)
    return f"{_count(outbox, 'waiting')} waiting, {_count(outbox, 'dead')} given up"


def _version(document: Mapping[str, Any], name: str) -> str:
    """Only what looks like one: the rest of the answer could say anything."""
    found = str(document.get(name))
    return found if _VERSION.fullmatch(found) else "unknown"


def _count(document: Mapping[str, Any], name: str) -> int:
    found = document.get(name)
    if not isinstance(found, int) or isinstance(found, bool):
        raise RelayError("unexpected_answer")
    return found


def _myself(connection: WordPressConnection) -> str:
    user = Rest(connection).read("wp/v2/users/me", context="edit")
    capabilities = user.get("capabilities") if isinstance(user, dict) else None
    if not isinstance(capabilities, dict):
        raise RelayError("unexpected_answer")
    if not capabilities.get(_CAPABILITY):
        raise RelayError(NOT_AN_ADMINISTRATOR, halt=True)
    return "an administrator's"


def _install(connection: WpEngineConnection) -> str:
    """https://wpengineapi.com/reference: GET /installs/{install_id}."""
    url = f"{connection.api_base}/installs/{quote(connection.install_id, safe='')}"
    response = connection.session.get(url, auth=(connection.user, connection.password))
    if response.status_code == HTTPStatus.NOT_FOUND:
        raise RelayError(NOT_FOUND, halt=True)
    if response.status_code != HTTPStatus.OK:
        raise error_for_status(response.status_code, response.headers.get("Retry-After"), 0)
    return "the install is there"


# What the relay reads and writes; that a key may also write is seen with the first relay.
_STRIPE_PARTS: Mapping[str, Callable[[stripe.StripeClient], object]] = {
    "customers": lambda client: client.v1.customers.list({"limit": 1}),
    "charges": lambda client: client.v1.charges.list({"limit": 1}),
    "payment intents": lambda client: client.v1.payment_intents.list({"limit": 1}),
    "invoices": lambda client: client.v1.invoices.list({"limit": 1}),
    "subscriptions": lambda client: client.v1.subscriptions.list({"limit": 1}),
    "checkout sessions": lambda client: client.v1.checkout.sessions.list({"limit": 1}),
    "refunds": lambda client: client.v1.refunds.list({"limit": 1}),
    "disputes": lambda client: client.v1.disputes.list({"limit": 1}),
    "events": lambda client: client.v1.events.list({"limit": 1}),
}


def _stripe(connection: StripeConnection) -> Iterator[Probe]:
    client = open_client(connection)
    for part, read in _STRIPE_PARTS.items():
        yield _attempt(part, lambda read=read: _listed(read, client, connection.clock()))  # type: ignore[misc]


def _listed(read: Callable[[stripe.StripeClient], object], client: stripe.StripeClient, now_ms: int) -> str:
    try:
        page = read(client)
    except stripe.StripeError as error:
        raise relay_error(error, now_ms) from None
    if not isinstance(page, stripe.ListObject):
        raise RelayError("unexpected_answer")
    return ""


def _google(connection: GoogleConnection) -> Iterator[Probe]:
    for part, reason in google.probe(connection).items():
        yield Probe(part.replace("_", " "), reason)


def _gmail(connection: GmailConnection) -> Iterator[Probe]:
    """The mailbox that mail comes from, and that mail is sent as: scopes of their own."""
    yield _attempt("reading", lambda: _read_mailbox(connection))
    yield _attempt("sending", lambda: _may_send(connection))


def _read_mailbox(connection: GmailConnection) -> str:
    Mailbox(connection).newest_place()
    return ""


def _may_send(connection: GmailConnection) -> str:
    """A token for that scope is all that can be had without sending; with it nothing can be read, which is no fault."""
    call_google(connection, SENDING, "GET", f"{connection.api_base.rstrip('/')}/gmail/v1/users/me/profile")
    return "a token is given"


PROBES: Mapping[str, Callable[[Any], Iterator[Probe]]] = {
    "wordpress": _wordpress,
    "stripe": _stripe,
    "google": _google,
    "gmail": _gmail,
}
