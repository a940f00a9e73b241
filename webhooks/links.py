"""The links in mails: withdraw (also RFC 8058 one-click), confirm a sign-up, confirm a request. Only POST acts; GET
shows one big button.

Mail scanners open every link, and some run scripts, so nothing here acts on GET and nothing submits itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, make_response, render_template, request

from ledger.inbox import Delivery
from ledger.links import CONFIRM, REQUEST, WITHDRAW, Link, find_link
from schemas.message import Message, MessageType, comparable, format_message
from schemas.policy import Text
from schemas.refusal import Refused
from schemas.rights import RIGHT_NAMES
from schemas.token import TokenRefused, parse_token
from webhooks.door import Door
from webhooks.requests import BODY_SIZE_MAX_BYTES
from webhooks.routes import verified

SOURCE = "link"
# RFC 8058, 3.2: the body of a one-click POST is this pair, as form data or urlencoded.
ONE_CLICK = ("List-Unsubscribe", "One-Click")
BY_HAND = ("confirm", "1")
METHODS = {ONE_CLICK: "one_click", BY_HAND: "web_form"}
# What a browser may ask for, and the language we have for it: nb also answers Norwegian and Nynorsk.
LANGUAGE_OF = {"nb": "nb", "no": "nb", "nn": "nb", "en": "en"}


@dataclass(frozen=True, slots=True)
class _Page:
    """One kind of link: what GET asks, what POST does, and what it answers then."""

    rule: str
    kind: str
    question: str
    act: Callable[[Door, str, str], Link | None]
    answer: str


def links_blueprint(door: Door) -> Blueprint:
    blueprint = Blueprint("links", __name__)
    for page in (
        _Page("/w/<token>", WITHDRAW, "withdraw.html", _withdraw, "withdrawn.html"),
        _Page("/c/<token>", CONFIRM, "confirm.html", _confirm, "confirmed.html"),
        _Page("/r/<token>", REQUEST, "request.html", _confirm, "requested.html"),
    ):
        _add(blueprint, door, page)
    return blueprint


def _add(blueprint: Blueprint, door: Door, page: _Page) -> None:
    @verified
    def show(token: str) -> Response:
        return _page(door, page.question, _load(door, _verify(door, token), page.kind))

    @verified
    def act(token: str) -> Response:
        return _page(door, page.answer, page.act(door, token, page.kind))

    blueprint.add_url_rule(page.rule, f"show_{page.kind}", show, methods=["GET"])
    blueprint.add_url_rule(page.rule, page.kind, act, methods=["POST"])


def _withdraw(door: Door, token: str, kind: str) -> Link | None:
    link_id = _verify(door, token)
    method = _method(ONE_CLICK, BY_HAND)
    link = _load(door, link_id, kind)
    if link is not None:  # the link of an erased person answers the same: there is nothing left to stop
        door.take_in(door.reception.withdrawal_by_link(link, SOURCE, method))
    return link


def _confirm(door: Door, token: str, kind: str) -> Link | None:
    """The link as it was when it was pressed; accepted if it could still confirm."""
    link_id = _verify(door, token)
    _method(BY_HAND)  # the words of a withdrawal must never give anything
    link = _load(door, link_id, kind)
    if link is not None and _can_confirm(door, link):
        door.take_in(_confirmation(link))
    return link


def _can_confirm(door: Door, link: Link) -> bool:
    return link.can_confirm(door.clock(), door.policy.retention.unconfirmed_request_days)


def _verify(door: Door, token: str) -> bytes:
    """The link id, once the MAC is checked: a guessed token costs no database work and tells nothing."""
    try:
        return parse_token(token, door.keyring["token_mac"].versions)
    except TokenRefused:
        raise Refused(404, "link_unknown") from None


def _load(door: Door, link_id: bytes, kind: str) -> Link | None:
    with door.database.read() as connection:
        link = find_link(connection, link_id)
    return link if link is not None and link.kind == kind else None


def _method(*accepted: tuple[str, str]) -> str:
    """How the person said it. Any other body is refused: a scanner's empty POST must not act."""
    request.max_content_length = min(BODY_SIZE_MAX_BYTES, 4096)
    pairs = list(request.form.items(multi=True))
    for words in accepted:
        if words in pairs:
            return METHODS[words]
    raise Refused(400, "nothing_confirmed")


def _confirmation(link: Link) -> Delivery:
    """A link confirms once, so the link itself is the delivery's id."""
    message = Message(type=MessageType.CONFIRMATION, source=SOURCE, link_id=link.id.hex(), method="web_form")
    return Delivery(SOURCE, comparable(message), format_message(message), sender_id=f"confirm:{link.id.hex()}")


def _page(door: Door, template: str, link: Link | None) -> Response:
    language = LANGUAGE_OF[request.accept_languages.best_match(LANGUAGE_OF, default="nb")]
    body = render_template(
        template,
        language=language,
        controller=door.policy.controller,
        authority=door.policy.authority,
        asked=_asked(door, link),
        # A confirmation whose link is gone came too late, or its person is erased: nothing was confirmed by it.
        is_open=link is not None and _can_confirm(door, link),
        months=door.policy.deadlines.rights_request_months,
    )
    return make_response(body)


def _asked(door: Door, link: Link | None) -> Sequence[Text]:
    """What a request asks; or the named purposes, or all. A link may name one that the policy has dropped since."""
    keys = link.purposes if link else ()
    if link and link.kind == REQUEST:
        return [RIGHT_NAMES[right] for right in keys]
    return [purpose.name for key, purpose in door.policy.purposes.items() if not keys or key in keys]
