"""Two people of one name and nearly one address, in all three systems: each answer holds all of one, nothing of the
other.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schemas.message import Message, MessageType
from tests.ledger.desk import MINUTE_MS, Desk
from tests.simulators.process import SimulatorProcess
from tests.webhooks.pages import BY_HAND
from tests.workers.google_scene import GROUPS, arrange, contact, from_
from tests.workers.stripe_scene import staged
from tests.workers.wordpress_site import USER, connection_to
from tests.world import World
from workers.context import now_ms

# The second is another mailbox for certain, and may well be the same person's.
KARI, SHOP = "kari.nordmann@example.no", "kari.nordmann+shop@example.no"
MARKS = {
    KARI: {"wordpress": "kari-one", "stripe": "cus_one", "charge": "ch_one", "google": "people/c1", "mail": 1},
    SHOP: {"wordpress": "kari-two", "stripe": "cus_two", "charge": "ch_two", "google": "people/c2", "mail": 2},
}


class Connected:
    def __init__(self, ways: dict[str, object]) -> None:
        self._ways = ways

    def to(self, processor: str) -> object | None:
        return self._ways.get(processor)


@pytest.fixture
def ways(tmp_path: Path) -> Iterator[dict[str, object]]:
    """Both people are everywhere."""
    with ExitStack() as stack:
        site, stripe, google = (
            stack.enter_context(SimulatorProcess(kind, tmp_path)) for kind in ("wordpress", "stripe", "google")
        )
        users = [
            {**USER, "id": 12 + number, "username": MARKS[who]["wordpress"], "email": who, "roles": ["subscriber"]}
            for number, who in enumerate(MARKS)
        ]
        site.seed({"users": users})
        customers = [{"id": MARKS[who]["stripe"], "email": who, "name": "Kari Nordmann"} for who in MARKS]
        paid = stack.enter_context(staged(stripe, "answers", customers))
        stripe.seed({"charges": [{"id": one["charge"], "customer": one["stripe"]} for one in MARKS.values()]})
        scene = arrange(google)
        scene.has([from_(who, int(str(MARKS[who]["mail"]))) for who in MARKS])
        google.seed(
            {
                "contacts": [contact(number, who) for number, who in enumerate(MARKS, 1)],
                "groups": {GROUPS["newsletter"]: list(MARKS), GROUPS["offers"]: []},
            }
        )
        yield {"wordpress": connection_to(site), "stripe": paid.connection, "google": scene.connection}


def answer_to(world: World, who: str, asked_at_ms: int) -> tuple[dict[str, Any], str]:
    """The JSON and the page that they read behind their own link."""
    desk = Desk(world)
    desk.say(Message(MessageType.REQUEST, "form:contact", email=who, right="access"), asked_at_ms)
    world.carry()
    assert world.client.post(world.link("r"), data=BY_HAND).status_code == 200
    world.record()
    world.carry()
    path = world.link("a")
    assert world.mails()[-1]["To"] == who
    page = world.client.post(path, data={"show": "page"}).get_data(as_text=True)
    return world.client.post(path, data={"show": "json"}).get_json(), page


def test_each_gets_all_of_their_own_and_nothing_of_the_other(
    world: World, ways: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = World.context
    connected = Connected(ways)
    monkeypatch.setattr(World, "context", lambda own, role: replace(original(own, role), connections=connected))  # type: ignore[arg-type]
    for who in MARKS:
        answered = world.post_signed(
            "newsletter", {"email": who, "newsletter": "yes", "first_name": f"Kari {len(who)}"}
        )
        assert answered.status_code == 200
    world.record()
    now = now_ms()  # what may be one mailbox is not mailed the same question twice within ten minutes
    for who, other, asked_at_ms in ((KARI, SHOP, now - 15 * MINUTE_MS), (SHOP, KARI, now)):
        document, page = answer_to(world, who, asked_at_ms)
        assert [one["missing"] for one in document["processors"]] == [None] * 3
        assert document["profile"] == {"first_name": f"Kari {len(who)}"}
        holds = {one["processor"]: json.dumps(one["holds"]) for one in document["processors"]}
        for processor in ("wordpress", "stripe", "google"):
            assert str(MARKS[who][processor]) in holds[processor] or who in holds[processor], processor
        assert str(MARKS[who]["charge"]) in holds["stripe"]
        assert f"18f{MARKS[who]['mail']:013x}" in holds["google"]
        for text in (json.dumps(document), page):
            assert who in text
            for mark in (other, *map(str, list(MARKS[other].values())[:4]), f"Kari {len(other)}"):
                assert mark not in text, mark
