"""Stripe: events, verified over the raw bytes, projected by an allow-list, accepted.

A thin event says only that there is something to fetch. It is kept too, but what keeps the promise of its 200 is the
intake, which reads on from a position of its own whether or not it is told to (docs/senders/stripe.md). So such an
event is taken only while the intake reads; otherwise Stripe keeps it, and tries again for three days.
"""

from contextlib import suppress

from flask import Blueprint, Response, request
from prometheus_client import Counter

from ledger.errors import DatabaseAwayError
from ledger.intake import read_position
from ledger.versions import VersionWatch
from schemas.log_line import log
from schemas.refusal import Refused
from schemas.stripe.echo import is_echo
from schemas.stripe.event import is_hint
from schemas.stripe.shape import SOURCE
from webhooks.answers import RETRY_AFTER_S, answer
from webhooks.door import Door
from webhooks.metrics import REGISTRY
from webhooks.requests import JSON, content_type, parse_body, raw_body
from webhooks.routes import verified
from webhooks.signatures import verify_stripe
from workers.doorbell import INTAKE

READ_LATELY_MS = 24 * 3600 * 1000  # Stripe's API shows an event for 30 days
ECHOES = Counter("samtykke_stripe_echoes", "Events of Stripe about our own changes.", registry=REGISTRY)


def stripe_blueprint(door: Door) -> Blueprint:
    blueprint = Blueprint("stripe", __name__)
    watch = VersionWatch(door.database)

    @blueprint.post("/webhooks/stripe")
    @verified
    def receive() -> Response:
        return _receive(door, watch)

    @blueprint.post("/webhooks/stripe/thin")
    @verified
    def receive_thin() -> Response:
        return _receive(door, watch)

    return blueprint


def _receive(door: Door, watch: VersionWatch) -> Response:
    """The same for both: what is signed says itself which it is, and an address mixed up loses nothing."""
    raw = raw_body(request)
    signed = verify_stripe(raw, request.headers.get, door.settings.stripe_webhook_secrets, door.clock())
    document = parse_body(raw, content_type(request, (JSON,)))
    hints = is_hint(document)
    if hints:
        door.limit.admit(SOURCE)  # before the database is asked anything; a hint counts twice
        _require_intake(door)
    acceptance = door.receive(SOURCE, document, signed)
    if hints:
        door.doorbell.press(INTAKE)
    if is_echo(document):
        ECHOES.inc()
    with suppress(DatabaseAwayError):  # it is accepted; which version it spoke can be told another time
        version = watch.new_in(document, door.clock())
        if version is not None:
            log.warning("stripe_version_differs", version=version)
    return answer(acceptance)


def _require_intake(door: Door) -> None:
    with door.database.read() as connection:
        position = read_position(connection, SOURCE)
    if position is None or door.clock() - position.checked_at_ms > READ_LATELY_MS:
        raise Refused(503, "stripe_not_read", RETRY_AFTER_S)
