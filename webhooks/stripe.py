"""Stripe: events, verified over the raw bytes, projected by an allow-list, accepted.

A thin event says only that there is something to fetch. It is kept too, but what keeps the promise of its 200 is the
intake, which reads on from a position of its own whether or not it is told to (docs/senders/stripe.md). So such an
event is taken only while the intake reads; otherwise Stripe keeps it, and tries again for three days.
"""

from contextlib import suppress
from dataclasses import dataclass

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
REMEMBERED_MS = 60 * 1000
ECHOES = Counter("samtykke_stripe_echoes", "Events of Stripe about our own changes.", registry=REGISTRY)


@dataclass(slots=True)
class IntakeWatch:
    """Whether Stripe has been read lately. When it was is asked of the database at most once a minute, while it was."""

    door: Door
    _read_at_ms: int = 0
    _asked_at_ms: int = 0

    def require(self) -> None:
        """Raises Refused 503: stripe_not_read."""
        now_ms = self.door.clock()
        if not (self._is_lately(now_ms) and 0 <= now_ms - self._asked_at_ms < REMEMBERED_MS):
            with self.door.database.read() as connection:
                position = read_position(connection, SOURCE)
            self._read_at_ms, self._asked_at_ms = 0 if position is None else position.checked_at_ms, now_ms
        if not self._is_lately(now_ms):
            raise Refused(503, "stripe_not_read", RETRY_AFTER_S)

    def _is_lately(self, now_ms: int) -> bool:
        return now_ms - self._read_at_ms <= READ_LATELY_MS


def stripe_blueprint(door: Door) -> Blueprint:
    blueprint = Blueprint("stripe", __name__)
    watch, intake = VersionWatch(door.database), IntakeWatch(door)

    @blueprint.post("/webhooks/stripe")
    @verified
    def receive() -> Response:
        return _receive(door, watch, intake)

    @blueprint.post("/webhooks/stripe/thin")
    @verified
    def receive_thin() -> Response:
        return _receive(door, watch, intake)

    return blueprint


def _receive(door: Door, watch: VersionWatch, intake: IntakeWatch) -> Response:
    """The same for both: what is signed says itself which it is, and an address mixed up loses nothing."""
    raw = raw_body(request)
    signed = verify_stripe(raw, request.headers.get, door.settings.stripe_webhook_secrets, door.clock())
    document = parse_body(raw, content_type(request, (JSON,)))
    hints = is_hint(document)
    acceptance = door.receive(SOURCE, document, signed, when_admitted=intake.require if hints else None)
    if hints:
        door.doorbell.press(INTAKE)
    if is_echo(document):
        ECHOES.inc()
    with suppress(DatabaseAwayError):  # it is accepted; which version it spoke can be told another time
        version = watch.new_in(document, door.clock())
        if version is not None:
            log.warning("stripe_version_differs", version=version)
    return answer(acceptance)
