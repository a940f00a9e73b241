"""The mail that asks whether a request was the person's: to whom, what it says, and what it never says."""

from dataclasses import replace

import pytest

from ledger.restriction import restrict
from schemas.entry import RIGHTS, Kind
from schemas.message import Message, MessageType
from schemas.rights import RIGHT_NAMES
from tests.ledger.desk import KARI, Desk
from tests.world import World, body_of
from workers.context import now_ms


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


def request(right: str, **changes: str) -> Message:
    return Message(MessageType.REQUEST, "form:contact", email=KARI, right=right, **changes)


@pytest.mark.parametrize(
    ("language", "words"),
    [("nb", ["én måned på å svare", "etter 7 dager"]), ("en", ["one month to answer", "after 7 days"])],
)
def test_it_says_what_is_asked_until_when_and_how_to_withdraw(desk: Desk, language: str, words: list[str]) -> None:
    for right in RIGHTS:
        desk.say(request(right, language=language), now_ms())
    desk.world.carry()
    mails = desk.world.mails()
    assert len(mails) == len(RIGHTS)
    asked = set()
    for mail in mails:
        text = body_of(mail).replace("\r\n", "\n").replace("\n    ", " ")  # a long line goes on below its bullet
        asked |= {line for line in text.splitlines() if line.startswith("  * ")}
        assert (mail["To"], mail["List-Unsubscribe-Post"]) == (KARI, "List-Unsubscribe=One-Click")
        assert str(mail["List-Unsubscribe"]).strip("<>") in text
        for word in [*words, "http://samtykke.example.org/r/", desk.world.policy.authority.url]:
            assert word in text
        assert list(mail.iter_attachments()) == []
    assert asked == {f"  * {getattr(name, language)}" for name in RIGHT_NAMES.values()}


def test_it_counts_the_months_of_the_policy(desk: Desk) -> None:
    desk.world.policy = replace(
        desk.world.policy, deadlines=replace(desk.world.policy.deadlines, rights_request_months=2)
    )
    desk.say(request("access"), now_ms())
    desk.world.carry()
    assert "har vi 2 måneder på å svare" in body_of(desk.world.mails()[-1])


def test_a_restricted_person_is_asked_once_an_entry_says_so(desk: Desk) -> None:
    desk.say(request("access"), now_ms())
    with desk.database.write() as connection:
        restrict(connection, desk.handle(), "claims", now_ms(), "operator")
    desk.say(request("erasure"), now_ms())
    desk.world.carry()
    assert len(desk.world.mails()) == 2
    opened = [leaf["reason"] for leaf in desk.world.leaves() if leaf["kind"] == Kind.OPENED]
    assert opened == ["mail_request", "mail_request"]
