"""Google and WordPress: tokens, a group's member, what becomes of a Message-ID, the plugin, WP Engine's cache."""

import base64
import os
import secrets
import time
from dataclasses import replace
from email.message import EmailMessage
from types import MappingProxyType
from typing import Any

from schemas.policy import Policy, load_policy
from schemas.settings import Settings
from tests.sandbox.check import Check, DiffersError, expect
from workers.connections import Connections
from workers.probing import probe
from workers.relays import OBSERVERS, RELAYS
from workers.relays.action import Outcome, Presence, RelayAction, RelayError

PURPOSE = "newsletter"
WAIT_MAX_S, STEP_WAIT_S = 60, 5


def _policy(settings: Settings) -> Policy:
    """With the sandbox's group in the place of all others."""
    policy = load_policy(settings.policy_file)
    groups = MappingProxyType({PURPOSE: os.environ.get("SANDBOX_GROUP", "")})
    google = replace(policy.processors["google"], groups=groups)
    return replace(policy, processors=MappingProxyType({**policy.processors, "google": google}))


def _connection(settings: Settings, processor: str) -> Any:
    connection = Connections(settings, _policy(settings)).to(processor)
    if connection is None:
        raise DiffersError("the settings connect nothing")
    return connection


def _action() -> RelayAction:
    address = os.environ["SANDBOX_ADDRESS"]
    return RelayAction(secrets.token_hex(16), (address,), (PURPOSE,), time.time_ns() // 1_000_000, 1)


def _probed(processor: str) -> Any:
    def run(settings: Settings) -> str:
        found = list(probe(processor, _connection(settings, processor)))
        broken = [f"{one.part}: {one.reason}" for one in found if one.reason]
        if broken:
            raise DiffersError(", ".join(broken))
        return ", ".join(one.part for one in found)

    return run


def _member(settings: Settings) -> str:
    """In, again, out, again: every step read back at once, so also whether Google is behind itself."""
    connection, action = _connection(settings, "google"), _action()
    for _ in range(2):
        expect(RELAYS["google"]["give"](action, connection).outcome, Outcome.DONE, "give")
    expect(OBSERVERS["google"](action, connection)[PURPOSE], Presence.GIVEN, "after give")
    expect(RELAYS["google"]["withdraw"](action, connection).outcome, Outcome.REMOVED, "withdraw")
    expect(RELAYS["google"]["withdraw"](action, connection).outcome, Outcome.NOT_FOUND, "withdraw again")
    return "added twice, removed, and gone when read back at once"


def _message_id(settings: Settings) -> str:
    """A mail to ourselves: is our Message-ID kept, and found by it? Without that no mail could be sent only once."""
    from workers.relays.google.calls import READING, SENDING, call, document_of

    connection = _connection(settings, "gmail")
    message, message_id = EmailMessage(), f"{secrets.token_hex(16)}@{settings.mail_from.rpartition('@')[2]}"
    message["To"], message["Subject"] = settings.gmail_mailbox, "Samtykke: sandbox"
    message["Message-ID"] = f"<{message_id}>"
    message.set_content("A check of the vendor's sandbox. It can be deleted.")
    base = f"{connection.api_base.rstrip('/')}/gmail/v1/users/me/messages"
    raw = base64.urlsafe_b64encode(bytes(message)).decode()
    sent = call(connection, SENDING, "POST", f"{base}/send", json={"raw": raw})
    expect(sent.status_code, 200, "messages.send")
    began = time.monotonic()
    while time.monotonic() - began < WAIT_MAX_S:
        found = call(connection, READING, "GET", base, params={"q": f"rfc822msgid:{message_id}"})
        if document_of(found).get("messages"):
            return f"kept, and found after {time.monotonic() - began:.0f} s"
        time.sleep(STEP_WAIT_S)
    raise DiffersError(f"not found by its Message-ID in {WAIT_MAX_S} s: mails could be sent twice")


def _nobody_to_erase(settings: Settings) -> str:
    """Every eraser of the site, run for an address that it does not know."""
    stranger = replace(_action(), emails=(f"nobody-{secrets.token_hex(6)}@example.org",))
    result = RELAYS["wordpress"]["erase"](stranger, _connection(settings, "wordpress"))
    expect(result.outcome, Outcome.NOT_FOUND, "the erasure of somebody unknown")
    return "every eraser ran in admin context, and found nobody"


def _newsletter(settings: Settings) -> str:
    connection, action = _connection(settings, "wordpress"), _action()
    for deed, presence in (("give", Presence.GIVEN), ("withdraw", Presence.WITHDRAWN)):
        RELAYS["wordpress"][deed](action, connection)
        expect(OBSERVERS["wordpress"](action, connection)[PURPOSE], presence, f"after {deed}")
    return "given, withdrawn, and read back"


GROUP = ("GOOGLE_CREDENTIALS", "GOOGLE_SUBJECT", "SANDBOX_GROUP", "SANDBOX_ADDRESS")
MAILBOX, SITE = ("GMAIL_CREDENTIALS", "GMAIL_MAILBOX"), ("WORDPRESS_URL", "WORDPRESS_SECRET", "SANDBOX_ADDRESS")
WPENGINE = ("WORDPRESS_URL", "WPENGINE_INSTALL_ID", "WPENGINE_API_USER", "WPENGINE_API_PASSWORD")
PASSWORD = ("WORDPRESS_URL", "WORDPRESS_USER", "WORDPRESS_APPLICATION_PASSWORD")
CHECKS = (
    Check("google-scopes", ("GOOGLE_CREDENTIALS", "GOOGLE_SUBJECT"), _probed("google")),
    Check("google-member", GROUP, _member),
    Check("google-message-id", MAILBOX, _message_id),
    Check("wordpress-plugin", SITE, _nobody_to_erase),
    Check("wordpress-newsletter", SITE, _newsletter),
    Check("wordpress-authorization", PASSWORD, _probed("wordpress")),
    Check("wpengine-install", WPENGINE, _probed("wordpress")),
)
ERRORS = (RelayError,)
