"""The withdrawal page: one big button, or one click of a mail program (RFC 8058). Only POST acts.

Mail scanners open every link, and some run scripts, so nothing here acts on GET and nothing submits itself.
"""

from flask import Blueprint, Response

from ledger.links import WITHDRAW, Link
from webhooks.door import Door
from webhooks.pages.rendering import page
from webhooks.pages.tokens import BY_HAND, ONE_CLICK, SOURCE, load, pressed, verify
from webhooks.routes import verified


def withdraw_blueprint(door: Door) -> Blueprint:
    blueprint = Blueprint("withdraw", __name__)

    @blueprint.get("/w/<token>")
    @verified
    def show(token: str) -> Response:
        return _page(door, "withdraw.html", load(door, verify(door, token), WITHDRAW))

    @blueprint.post("/w/<token>")
    @verified
    def act(token: str) -> Response:
        link_id = verify(door, token)
        method = pressed(ONE_CLICK, BY_HAND)
        link = load(door, link_id, WITHDRAW)
        if link is not None:  # the link of an erased person answers the same: there is nothing left to stop
            door.take_in(door.reception.withdrawal_by_link(link, SOURCE, method))
        return _page(door, "withdrawn.html", link)

    return blueprint


def _page(door: Door, template: str, link: Link | None) -> Response:
    """Of the named purposes, or all. A link may name one that the policy has dropped since."""
    keys = link.purposes if link else ()
    purposes = [purpose.name for key, purpose in door.policy.purposes.items() if not keys or key in keys]
    return page(door, template, asked=purposes)
