"""The confirmation page of a sign-up: the box on the form asked, and this button makes it a consent."""

from collections.abc import Mapping

from flask import Blueprint, Response

from ledger.inbox import Delivery
from ledger.links import CONFIRM, Link
from schemas.message import Message, MessageType, comparable, format_message
from webhooks.door import Door
from webhooks.pages.rendering import page
from webhooks.pages.tokens import BY_HAND, SOURCE, load, pressed, verify
from webhooks.routes import verified


def confirm_blueprint(door: Door) -> Blueprint:
    blueprint = Blueprint("confirm", __name__)

    @blueprint.get("/c/<token>")
    @verified
    def show(token: str) -> Response:
        return _page(door, "confirm.html", load(door, verify(door, token), CONFIRM))

    @blueprint.post("/c/<token>")
    @verified
    def act(token: str) -> Response:
        link_id = verify(door, token)
        pressed(BY_HAND)  # the words of a withdrawal must never give anything
        link = load(door, link_id, CONFIRM)
        if link is not None and can_confirm(door, link):
            door.take_in(confirmation(link))
        return _page(door, "confirmed.html", link)

    return blueprint


def can_confirm(door: Door, link: Link) -> bool:
    return link.can_confirm(door.clock(), door.policy.retention.unconfirmed_request_days)


def confirmation(link: Link, details: Mapping[str, str] | None = None) -> Delivery:
    """A link confirms once, so the link itself is the delivery's id. `details`: what the person adds to a request."""
    link_id = link.id.hex()
    message = Message(MessageType.CONFIRMATION, SOURCE, link_id=link_id, method="web_form", details=details or None)
    return Delivery(SOURCE, comparable(message), format_message(message), sender_id=f"confirm:{link_id}")


def _page(door: Door, template: str, link: Link | None) -> Response:
    """A link may name a purpose that the policy has dropped since. One that is gone came too late, or its person is
    erased: nothing was confirmed by it."""
    keys = link.purposes if link else ()
    purposes = [purpose.name for key, purpose in door.policy.purposes.items() if key in keys]
    return page(door, template, asked=purposes, is_open=link is not None and can_confirm(door, link))
