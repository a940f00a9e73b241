"""Seeded bugs: variants of the service that break one promise each, so that a test can show that it would notice.

A campaign that has never caught anything proves nothing. Production code is not touched: these replace its parts.
"""

import dataclasses
import json
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

import requests
from flask import Flask
from standardwebhooks import Webhook

from ledger import consent, inbox
from ledger.inbox import Acceptance, Delivery, accept
from ledger.recorder import Recorder
from ledger.state import ConsentState
from schemas.message import parse_message
from webhooks.answers import register_answers
from webhooks.door import Door
from webhooks.forms import forms_blueprint
from webhooks.stripe import stripe_blueprint
from workers.context import Context, now_ms
from workers.relays.action import Outcome, RelayAction, RelayResult
from workers.relays.wordpress import WITHDRAW_ROUTE, WordPressConnection

EAGER_DELAY_S = 0.2


class EagerDoor(Door):
    """P1 broken: answers first and stores afterwards."""

    def take_in(self, delivery: Delivery) -> Acceptance:
        later = threading.Timer(EAGER_DELAY_S, accept, (self.database, self.keyring, delivery, self.clock()))
        later.daemon = True
        later.start()
        return Acceptance.ACCEPTED


class ForgetfulDoor(Door):
    """P2 broken: every delivery is a new one."""

    def take_in(self, delivery: Delivery) -> Acceptance:
        fresh = dataclasses.replace(delivery, sender_id=f"{delivery.sender_id}:{secrets.token_hex(4)}")
        return accept(self.database, self.keyring, fresh, self.clock())[0]


DOORS: Mapping[str, type[Door]] = {"deliver": Door, "deliver_eagerly": EagerDoor, "deliver_forgetfully": ForgetfulDoor}


def door_app(door: Door) -> Flask:
    """The webhooks of create_app, behind a door of our choice."""
    app = Flask("webhooks")
    for make in (forms_blueprint, stripe_blueprint):
        app.register_blueprint(make(door))
    register_answers(app)
    return app


def record_in_two_steps(context: Context) -> int:
    """P2 broken: a recorder that writes the effect and then, in another transaction, that it has done so."""
    with context.database.read() as connection:
        rows = inbox.next_batch(connection, 50)
    for row in rows:
        message = parse_message(inbox.open_box(context.keyring, row))
        with context.database.write() as connection:
            consent.sign_up(connection, Recorder(context.keyring, context.policy, now_ms(), now_ms()), message)
        with context.database.write() as connection:
            inbox.mark_recorded(connection, row.id, now_ms())
    return len(rows)


def reduce_with_grants_winning_ties(events: Iterable[ConsentState]) -> ConsentState:
    """P3 broken: `>=` where the grant of the same moment should lose."""
    current = ConsentState()
    for event in sorted(events, key=lambda one: (one.effective_at_ms, one.state == "given")):
        if event.effective_at_ms >= current.effective_at_ms:
            current = event
    return current


def withdraw_without_reading_back(action: RelayAction, connection: WordPressConnection) -> RelayResult:
    """P4 broken: believes whatever the site says."""
    response = _call(action, connection, connection.session.post)
    return RelayResult(Outcome(response.json()["outcome"]))


def withdraw_following_redirects(action: RelayAction, connection: WordPressConnection) -> RelayResult:
    """P5 broken: takes a person's address wherever the answer points."""
    with requests.Session() as session:
        _call(action, connection, session.post)
    return RelayResult(Outcome.REMOVED)


def _call(
    action: RelayAction, connection: WordPressConnection, send: Callable[..., requests.Response]
) -> requests.Response:
    body = json.dumps(
        {
            "route": WITHDRAW_ROUTE,
            "reference": action.reference,
            "emails": list(action.emails),
            "purposes": list(action.purposes),
        }
    )
    message_id, now = f"msg_{secrets.token_hex(8)}", datetime.now(UTC)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(connection.secret).sign(message_id, now, body),
    }
    return send(f"{connection.base_url}/wp-json/{WITHDRAW_ROUTE}", data=body, headers=headers, timeout=5)
