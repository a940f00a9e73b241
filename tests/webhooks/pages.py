"""What the tests of the linked pages share: Kari's links, the words that act, and what every page must be."""

from werkzeug.test import TestResponse

from schemas.message import Message, MessageType
from tests.ledger.desk import Desk
from tests.world import World
from webhooks.answers import HEADERS
from workers.context import now_ms

ADDRESS = "kari.nordmann@example.no"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
BY_HAND = {"confirm": "1"}


def mail_both_links(world: World) -> None:
    """Kari has signed up and confirmed; a second request waits for its confirmation."""
    world.give(ADDRESS)
    world.post_signed("newsletter", {"email": ADDRESS, "offers": "yes"})
    world.record()
    world.sign()  # the receipt of the first goes out before the second confirmation
    world.carry()
    world.carry()


def mail_request(world: World, right: str = "access", language: str = "nb", email: str = ADDRESS) -> None:
    """Somebody has asked for something in Kari's name."""
    message = Message(MessageType.REQUEST, "form:contact", email=email, right=right, language=language)
    desk = Desk(world)
    desk.accept(desk.delivery(message), now_ms())
    world.record()
    world.sign()  # mails to one person leave in order: a receipt before this one must find its proof
    world.carry()


def mail_answer(world: World, right: str = "access", language: str = "nb") -> None:
    """Kari has asked and confirmed, and the answer's link has been mailed."""
    confirm_request(world, right, language)
    world.carry()


def confirm_request(world: World, right: str = "access", language: str = "nb") -> None:
    """The answer waits to be mailed."""
    mail_request(world, right, language)
    assert world.client.post(world.link("r"), data=BY_HAND).status_code == 200
    world.record()


def assert_page(answer: TestResponse, *words: str) -> None:
    text = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert answer.mimetype == "text/html"
    for word in words:
        assert word in text
    assert "@" not in text
    assert "nordmann" not in text.lower()
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "Set-Cookie" not in answer.headers
    assert "<script" not in text
