"""The preferences page, behind the withdrawal link: each purpose alone. Less is at once; more is confirmed by mail."""

from dataclasses import replace

from flask import Blueprint, Response, request

from ledger.links import WITHDRAW, Link
from ledger.withdrawn import given_purposes
from schemas.message import Decision, Message, MessageType
from webhooks.door import Door
from webhooks.pages.rendering import page
from webhooks.pages.tokens import BY_HAND, SOURCE, load, pressed, verify
from webhooks.routes import verified

METHOD = "web_form"


def preferences_blueprint(door: Door) -> Blueprint:
    blueprint = Blueprint("preferences", __name__)

    @blueprint.get("/p/<token>")
    @verified
    def show(token: str) -> Response:
        link = load(door, verify(door, token), WITHDRAW)
        purposes = door.policy.purposes.values()
        return page(door, "preferences.html", purposes=purposes, given=_given(door, link), is_known=link is not None)

    @blueprint.post("/p/<token>")
    @verified
    def save(token: str) -> Response:
        link_id = verify(door, token)
        pressed(BY_HAND)
        link = load(door, link_id, WITHDRAW)
        given, ticked = _given(door, link), set(request.form.getlist("purpose"))
        known = door.policy.purposes
        less = tuple(key for key in known if key in given and key not in ticked)
        more = tuple(key for key in known if key in ticked and key not in given)
        if link is not None and less:  # first: the answer must not promise what is not yet stopped
            door.take_in(door.reception.withdrawal_by_link(replace(link, purposes=less), SOURCE, METHOD))
        if link is not None and more:
            door.take_in(door.reception.delivery_of_message(_sign_up(link, more), None))
        kept = [known[key].name for key in known if key in given and key in ticked]
        return page(
            door,
            "preferences_saved.html",
            token=token,
            less=[known[key].name for key in less],
            more=[known[key].name for key in more],
            kept=kept,
        )

    return blueprint


def _given(door: Door, link: Link | None) -> set[str]:
    if link is None:
        return set()
    with door.database.read() as connection:
        return given_purposes(connection, link.subject)


def _sign_up(link: Link, purposes: tuple[str, ...]) -> Message:
    decisions = tuple(Decision(purpose, "given") for purpose in purposes)
    return Message(MessageType.LINK_SIGN_UP, SOURCE, link_id=link.id.hex(), decisions=decisions, method=METHOD)
