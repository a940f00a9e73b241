"""What every page behind a token shares: the token, its link, and the words of a button that acts."""

from flask import request

from ledger.links import Link, find_link
from schemas.refusal import Refused
from schemas.token import TokenRefused, parse_token
from webhooks.door import Door

SOURCE = "link"
PRESSED_SIZE_MAX_BYTES = 4096
# RFC 8058, 3.2: the body of a one-click POST is this pair, as form data or urlencoded.
ONE_CLICK = ("List-Unsubscribe", "One-Click")
BY_HAND = ("confirm", "1")
METHODS = {ONE_CLICK: "one_click", BY_HAND: "web_form"}


def verify(door: Door, token: str) -> bytes:
    """The link id, once the MAC is checked: a guessed token costs no database work and tells nothing."""
    try:
        return parse_token(token, door.keyring["token_mac"].versions)
    except TokenRefused:
        raise Refused(404, "link_unknown") from None


def load(door: Door, link_id: bytes, kind: str) -> Link | None:
    """None for the link of somebody who is erased, or one of another kind."""
    with door.database.read() as connection:
        link = find_link(connection, link_id)
    return link if link is not None and link.kind == kind else None


def pressed(*accepted: tuple[str, str]) -> str:
    """How the person said it. Any other body is refused: a scanner's empty POST must not act."""
    request.max_content_length = PRESSED_SIZE_MAX_BYTES
    pairs = list(request.form.items(multi=True))
    for words in accepted:
        if words in pairs:
            return METHODS[words]
    raise Refused(400, "nothing_confirmed")
