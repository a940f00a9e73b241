"""The pages of a rights request: the mailed link's button says that it was the person who asked."""

from flask import Blueprint, Response

from ledger.links import REQUEST, Link
from schemas.rights import RIGHT_NAMES
from webhooks.door import Door
from webhooks.pages.confirm import can_confirm, confirmation
from webhooks.pages.rendering import page
from webhooks.pages.tokens import BY_HAND, load, pressed, verify
from webhooks.routes import verified


def rights_blueprint(door: Door) -> Blueprint:
    blueprint = Blueprint("rights", __name__)

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
            door.take_in(confirmation(link))
        return _page(door, "requested.html", link)

    return blueprint


def _page(door: Door, template: str, link: Link | None) -> Response:
    return page(
        door,
        template,
        asked=[RIGHT_NAMES[right] for right in (link.purposes if link else ())],
        is_open=link is not None and can_confirm(door, link),
        months=door.policy.deadlines.rights_request_months,
    )
