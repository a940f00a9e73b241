"""The pages of rights requests: asking, and saying by the mailed link that it was the person who asked.

Whoever asks is answered the same, known or not: only the mailbox tells whose it is.
"""

import math
import time

from flask import Blueprint, Response, request

from ledger.links import REQUEST, Link
from schemas.address import AddressRefused, parse_address
from schemas.entry import RIGHTS
from schemas.message import (
    DETAIL_SIZE_MAX,
    PROFILE_VALUE_SIZE_MAX,
    Message,
    MessageType,
)
from schemas.minimise import minimise
from schemas.refusal import Refused
from schemas.rights import RESTRICTION_REASONS, RIGHT_NAMES
from webhooks.door import Door
from webhooks.limits import RateLimit
from webhooks.pages.confirm import can_confirm, confirmation
from webhooks.pages.rendering import asked_language, page
from webhooks.pages.tokens import BY_HAND, load, pressed, verify
from webhooks.routes import verified

PAGE = "page"
# Of one connection's address: a household asks a few times, a script very often.
ASKS_PER_S, ASKS_BURST = 0.5, 30
REMOVED = "remove"


def rights_blueprint(door: Door) -> Blueprint:
    blueprint = Blueprint("rights", __name__)
    limit = RateLimit(ASKS_PER_S, ASKS_BURST)

    @blueprint.get("/rights")
    def ask() -> Response:
        return _ask_page(door)

    @blueprint.post("/rights")
    def asked() -> Response:
        if wait_s := limit.take(request.remote_addr or "", time.monotonic()):
            raise Refused(429, "too_many_deliveries", math.ceil(wait_s))
        pressed(BY_HAND)
        right = request.form.get("right", "")
        if right not in RIGHTS:
            return _ask_page(door, problem="right")
        try:
            email = parse_address(request.form.get("email", "").strip())
        except AddressRefused:
            return _ask_page(door, problem="address", chosen=right)
        door.take_in(door.reception.delivery_of_message(_request(email.verbatim, right), None))
        days = door.policy.retention.unconfirmed_request_days
        return page(door, "rights_asked.html", asked=[RIGHT_NAMES[right]], days=days)

    @blueprint.get("/r/<token>")
    @verified
    def show(token: str) -> Response:
        return _page(door, "request.html", load(door, verify(door, token), REQUEST))

    @blueprint.post("/r/<token>")
    @verified
    def act(token: str) -> Response:
        link_id = verify(door, token)
        pressed(BY_HAND)
        link = load(door, link_id, REQUEST)
        if link is not None and can_confirm(door, link):
            details = _details(door, link.purposes[0])
            if details is None:
                return _page(door, "request.html", link, problem=True)
            door.take_in(confirmation(link, details))
        return _page(door, "requested.html", link)

    return blueprint


def _request(email: str, right: str) -> Message:
    return Message(MessageType.REQUEST, PAGE, email=email, right=right, method="web_form", language=asked_language())


def _ask_page(door: Door, *, problem: str | None = None, chosen: str = "access") -> Response:
    return page(
        door,
        "rights.html",
        chosen=chosen,
        problem=problem,
        processors=door.policy.processors.values(),
        rights=RIGHT_NAMES,
    )


def _page(door: Door, template: str, link: Link | None, *, problem: bool = False) -> Response:
    right = link.purposes[0] if link else None
    return page(
        door,
        template,
        asked=[RIGHT_NAMES[right]] if right else [],
        fields=[field for field in door.policy.personal_data.values() if field.key != "email"],
        is_open=link is not None and can_confirm(door, link),
        months=door.policy.deadlines.rights_request_months,
        problem=problem,
        reasons=RESTRICTION_REASONS,
        right=right,
    )


def _details(door: Door, right: str) -> dict[str, str] | None:
    """What the right needs to know, minimised; None where it is not what can be read. Empty: leave it as it is."""
    if right == "restriction":
        reason = request.form.get("reason", "")
        return {"reason": reason} if reason in RESTRICTION_REASONS else None
    if right != "rectification":
        return {}
    said = {key: request.form.get(key, "").strip() for key in door.policy.personal_data if key != "email"}
    kept, dropped = minimise({key: value for key, value in said.items() if value})
    if dropped or any(len(value) > PROFILE_VALUE_SIZE_MAX for value in kept.values()):
        return None
    removed = {key: "" for key in said if request.form.get(f"{REMOVED}_{key}") == "1"}
    email = request.form.get("email", "").strip()
    if email:
        try:
            kept["email"] = parse_address(email).verbatim
        except AddressRefused:
            return None
        if len(kept["email"]) > DETAIL_SIZE_MAX:
            return None
    return removed | kept or None
