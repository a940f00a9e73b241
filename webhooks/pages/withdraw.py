"""The withdrawal page: one big button, or one click of a mail program (RFC 8058). Only POST acts.

Mail scanners open every link, and some run scripts, so nothing here acts on GET and nothing submits itself. Once
everything is withdrawn the same link says since when, and which systems have confirmed it.
"""

from flask import Blueprint, Response

from ledger.links import WITHDRAW, Link
from ledger.withdrawn import Withdrawn, withdrawn
from webhooks.door import Door
from webhooks.pages.rendering import page
from webhooks.pages.tokens import BY_HAND, ONE_CLICK, SOURCE, load, pressed, verify
from webhooks.routes import verified


def withdraw_blueprint(door: Door) -> Blueprint:
    blueprint = Blueprint("withdraw", __name__)

    @blueprint.get("/w/<token>")
    @verified
    def show(token: str) -> Response:
        link = load(door, verify(door, token), WITHDRAW)
        told = _told(door, link)
        return _page(door, "withdraw.html" if told is None else "withdrawn.html", token, link, told)

    @blueprint.post("/w/<token>")
    @verified
    def act(token: str) -> Response:
        link_id = verify(door, token)
        method = pressed(ONE_CLICK, BY_HAND)
        link = load(door, link_id, WITHDRAW)
        if link is not None:  # the link of an erased person answers the same: there is nothing left to stop
            door.take_in(door.reception.withdrawal_by_link(link, SOURCE, method))
        return _page(door, "withdrawn.html", token, link, None)

    return blueprint


def _told(door: Door, link: Link | None) -> Withdrawn | None:
    if link is None:
        return None
    with door.database.read() as connection:
        return withdrawn(connection, link.subject, link.purposes)


def _page(door: Door, template: str, token: str, link: Link | None, told: Withdrawn | None) -> Response:
    """Of the named purposes, or all. A link may name one that the policy has dropped since."""
    keys = link.purposes if link else ()
    known = door.policy.purposes
    return page(
        door,
        template,
        asked=[purpose.name for key, purpose in known.items() if not keys or key in keys],
        names={key: processor.name for key, processor in door.policy.processors.items()},
        since=[(known[key].name, at_ms) for key, at_ms in told.purposes.items() if key in known] if told else [],
        told=told,
        token=token,
    )
