"""A whole installation in one process, for tests: real database, real keys, real application, and our own clock.

Nothing is replaced: the door, the recorder, the relayer and the signer are the ones of production; only the queue is
left out (its jobs are called directly), and the clock can be moved.
"""

import base64
import datetime
import email
import email.policy
import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import stripe
from click.testing import Result
from flask.testing import FlaskClient
from sqlalchemy import select
from standardwebhooks import Webhook
from werkzeug.test import TestResponse

from app import create_app, create_console
from ledger.checkpoints import Signer
from ledger.database import Database
from ledger.keyring import generate_keys, load_keyring, write_keys
from ledger.log import read_entries, size
from ledger.migrate import upgrade
from ledger.tables import inbox
from schemas.dialects import DIALECTS, STANDARD
from schemas.policy import load_policy
from schemas.settings import Settings, load_settings
from workers import record, relay
from workers.connections import Connections
from workers.context import Context
from workers.doorbell import Doorbell

ROOT = Path(__file__).resolve().parent.parent
ORIGIN = "samtykke.example.org/test"
FORM_SECRET = "s3cret-token-of-32-chars-or-more"
SIGNED_SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
STRIPE_SECRET = "whsec_test_0123456789abcdef"


# Whatever the developer's environment says, a test's installation is known nowhere else.
OUTSIDE: dict[str, Any] = {
    "mail_transport": "spool",
    "smtp_host": None,
    "checkpoint_drop_dir": None,
    "checkpoint_mail_to": None,
    "operator_mail_to": None,
    "witnesses": (),
    "mirror_dir": None,
    "auditor_keys": (),
    "gmail_mailbox": None,
    "gmail_credentials": None,
    "gmail_push_account": None,
}


def settings_for(directory: Path, database_url: str | None = None, **changes: Any) -> Settings:
    """Settings of an installation under `directory`; every form has a secret."""
    base = load_settings(ROOT)
    forms = load_policy(base.policy_file).forms
    return replace(
        base,
        data_dir=directory,
        database_url=database_url or f"sqlite:///{directory / 'samtykke.db'}",
        redis_url=f"unix://{directory / 'no-queue.sock'}",
        public_url="http://samtykke.example.org",
        keys_dir=directory / "keys",
        keyring=None,
        form_secrets={
            key: (SIGNED_SECRET if DIALECTS[form.dialect].scheme == STANDARD else FORM_SECRET,)
            for key, form in forms.items()
        },
        stripe_webhook_secrets=(STRIPE_SECRET,),
        stripe_mode="any",
        stripe_api_key=None,
        wordpress_url=None,
        wordpress_secret=None,
        google_credentials=None,
        google_subject=None,
        mail_from="post@example.no",
        mail_spool_dir=directory / "mail",
        **{"unsafe_allow_loopback": True, **OUTSIDE, **changes},
    )


@dataclass
class World:
    """One installation. `record()`, `carry()` and `sign()` do what the worker processes do."""

    settings: Settings

    def __post_init__(self) -> None:
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        write_keys(self.settings.keys_dir, generate_keys(ORIGIN))
        self.database = Database(self.settings.database_url, checkpoints=True)
        upgrade(self.database)
        self.policy = load_policy(self.settings.policy_file)
        self.client: FlaskClient = create_app(self.settings).test_client()
        self.console = create_console(self.settings).test_cli_runner()
        self.signer = Signer(load_keyring("clock", self.settings.keys_dir)["checkpoint"], self.settings.keys_dir)

    def context(self, role: str) -> Context:
        keyring = load_keyring(role, self.settings.keys_dir)
        return Context(
            self.settings,
            self.policy,
            self.database,
            keyring,
            Doorbell(self.settings.redis_url),
            Connections(self.settings, self.policy),
        )

    def close(self) -> None:
        self.database.close()
        self.client.application.extensions["door"].database.close()
        self.console.app.extensions["operator"].close()

    # What senders do.

    def post_signed(
        self, form: str, body: Mapping[str, Any], message_id: str | None = None, at_s: int | None = None
    ) -> TestResponse:
        """A generic form, signed by the standardwebhooks library."""
        raw = json.dumps(body)
        headers = signed_headers(raw, message_id or f"msg_{secrets.token_hex(12)}", at_s or int(time.time()))
        return self.client.post(f"/webhooks/forms/{form}", data=raw, content_type="application/json", headers=headers)

    def post_stripe(self, event: Mapping[str, Any], at_s: int | None = None) -> TestResponse:
        """A Stripe event, signed by Stripe's own library."""
        raw = json.dumps(event)
        headers = {"Stripe-Signature": stripe_header(raw, at_s or int(time.time()))}
        return self.client.post("/webhooks/stripe", data=raw, content_type="application/json", headers=headers)

    # What the worker processes do.

    def record(self) -> int:
        return record.drain(self.context("record"))

    def carry(self, urgent: bool = False) -> int:
        return relay.carry_due(self.context("relay"), urgent=urgent)

    def sign(self) -> int | None:
        return self.signer.sign_if_grown(self.database, time.time_ns() // 1_000_000)

    def command(self, *arguments: str) -> Result:
        return self.console.invoke(args=list(arguments))

    # What there is to see afterwards.

    def leaves(self) -> list[dict[str, Any]]:
        with self.database.read() as connection:
            return [json.loads(entry.leaf) for entry in read_entries(connection, 0, size(connection))]

    def kinds(self) -> list[tuple[str, str | None]]:
        return [(leaf["kind"], leaf.get("purpose")) for leaf in self.leaves()]

    def statuses(self) -> list[tuple[str, str | None]]:
        with self.database.read() as connection:
            rows = connection.execute(select(inbox.c.status, inbox.c.reason).order_by(inbox.c.id))
            return [(row.status, row.reason) for row in rows]

    def mails(self) -> list[EmailMessage]:
        """Oldest first."""
        files = sorted(self.settings.mail_spool_dir.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
        return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in files]

    def link(self, kind: str) -> str:
        """Path of the newest mailed link: `c` confirms, `w` withdraws."""
        for mail in reversed(self.mails()):
            found = re.search(rf"http://samtykke\.example\.org(/{kind}/\S+)", body_of(mail))
            if found:
                return found.group(1)
        raise AssertionError(f"no /{kind}/ link was mailed")

    def confirm(self) -> TestResponse:
        return self.client.post(self.link("c"), data={"confirm": "1"})

    def give(self, address: str, **purposes: str) -> None:
        """A whole sign-up: form, mail, confirmation, recorded."""
        chosen = purposes or {"newsletter": "yes"}
        assert self.post_signed("newsletter", {"email": address, **chosen}).status_code == 200
        self.record()
        self.carry()
        assert self.confirm().status_code == 200
        self.record()

    def check(self, address: str, purpose: str = "newsletter") -> dict[str, Any]:
        result = self.command("consents", "check", "--email", address, "--purpose", purpose, "--json")
        document: dict[str, Any] = json.loads(result.stdout)
        return document


def body_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def signed_headers(raw: str, message_id: str, at_s: int, secret: str = SIGNED_SECRET) -> dict[str, str]:
    moment = datetime.datetime.fromtimestamp(at_s, datetime.UTC)
    signature = Webhook(secret).sign(message_id, moment, raw)
    return {"webhook-id": message_id, "webhook-timestamp": str(at_s), "webhook-signature": signature}


def stripe_header(raw: str, at_s: int, secret: str = STRIPE_SECRET) -> str:
    """The header as Stripe makes it, by the library's own signature function."""
    signature = stripe.WebhookSignature._compute_signature(f"{at_s}.{raw}", secret)
    return f"t={at_s},v1={signature}"


def checkout_event(event_id: str = "evt_1", address: str = "kari@example.no", **changes: Any) -> dict[str, Any]:
    """A completed checkout with the newsletter box, shaped as Stripe's (docs.stripe.com/api/events)."""
    session = {
        "id": "cs_test_a1",
        "object": "checkout.session",
        "payment_status": "paid",
        "customer": "cus_1",
        "customer_details": {"email": address, "name": "Kari Nordmann", "phone": "+4790000000"},
        "consent": {"promotions": None, "terms_of_service": "accepted"},
        "custom_fields": [{"key": "nyhetsbrev", "type": "dropdown", "dropdown": {"value": "ja"}}],
        "metadata": {},
        "locale": "nb",
    }
    event = {
        "id": event_id,
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "livemode": False,
        "pending_webhooks": 1,
        "type": "checkout.session.completed",
        "data": {"object": session | changes.pop("session", {})},
    }
    return event | changes
