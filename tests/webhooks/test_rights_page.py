"""Rights by the person: asked on the page, confirmed by the mailed link, carried out, and told."""

from dataclasses import replace

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from ledger.restriction import reason_of
from ledger.tables import rights_request
from schemas.entry import RIGHTS
from schemas.policy import Rights
from tests.ledger.desk import Desk
from tests.webhooks.pages import ADDRESS, BY_HAND, assert_page
from tests.world import World, body_of

LANGUAGE = {"Accept-Language": "en"}


def ask(world: World, right: str, email: str = ADDRESS) -> TestResponse:
    return world.client.post("/rights", data=BY_HAND | {"right": right, "email": email}, headers=LANGUAGE)


def carry(world: World) -> None:
    world.record()
    world.sign()
    world.carry()
    world.carry()


def asked_and_confirmed(world: World, right: str, **details: str) -> TestResponse:
    """As Kari, who has said yes to the newsletter and to offers."""
    world.give(ADDRESS, newsletter="yes", offers="yes")
    carry(world)
    assert_page(ask(world, right), "Look in your mailbox")
    carry(world)
    answer = world.client.post(world.link("r"), data=BY_HAND | details, headers=LANGUAGE)
    carry(world)
    return answer


def status(world: World) -> str:
    with world.database.read() as connection:
        return str(connection.execute(select(rights_request.c.status)).scalar_one())


def newest_mail(world: World) -> str:
    return body_of(world.mails()[-1])


def test_the_page_names_every_right_and_every_processor(world: World) -> None:
    answer = world.client.get("/rights", headers=LANGUAGE)
    assert_page(answer, "Your rights", *(processor.name for processor in world.policy.processors.values()))
    for right in RIGHTS:
        assert f'value="{right}"' in answer.get_data(as_text=True)


def test_whoever_asks_is_answered_the_same_known_or_not(world: World) -> None:
    world.give(ADDRESS)
    known, unknown = (ask(world, "access", email).get_data() for email in (ADDRESS, "nobody@example.no"))
    assert known == unknown


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"right": "access", "email": "no address"}, "That is no e-mail address"),
        ({"right": "access"}, "That is no e-mail address"),
        ({"right": "money", "email": ADDRESS}, "Please choose what you want"),
        ({}, "Please choose what you want"),
    ],
)
def test_what_cannot_be_read_is_asked_for_again_and_not_repeated(
    world: World, data: dict[str, str], words: str
) -> None:
    answer = world.client.post("/rights", data=BY_HAND | data, headers=LANGUAGE)
    assert_page(answer, words)
    assert "no address" not in answer.get_data(as_text=True)
    assert world.statuses() == []


def test_asking_often_is_told_to_wait(world: World) -> None:
    answers = [world.client.post("/rights", data=BY_HAND).status_code for _ in range(40)]
    assert answers[0] == 200
    assert answers[-1] == 429


def test_an_objection_ends_all_marketing(any_world: World) -> None:
    assert_page(asked_and_confirmed(any_world, "objection"), "Thank you, your request is confirmed")
    assert {any_world.check(ADDRESS, purpose)["reason"] for purpose in ("newsletter", "offers")} == {"withdrawn"}
    assert status(any_world) == "completed"


def test_a_restriction_needs_its_reason_and_is_in_force_at_once(any_world: World) -> None:
    world = any_world
    answer = asked_and_confirmed(world, "restriction")
    assert_page(answer, "Something is missing")
    assert status(world) == "asked"
    path = world.link("r")
    assert_page(world.client.post(path, data=BY_HAND | {"reason": "claims"}, headers=LANGUAGE), "Thank you")
    carry(world)
    with world.database.read() as connection:
        assert reason_of(connection, Desk(world).handle(ADDRESS)) == "claims"
    assert world.check(ADDRESS)["reason"] == "restricted"
    assert status(world) == "completed"


def test_a_rectification_puts_right_what_the_person_writes(any_world: World) -> None:
    details = {"first_name": "Kåre", "remove_company": "1", "email": "kaare@example.no"}
    asked_and_confirmed(any_world, "rectification", **details)
    desk = Desk(any_world)
    assert desk.handle("kaare@example.no") == desk.handle(ADDRESS)
    newest = desk.payloads(ADDRESS)[-1]
    assert (newest["first_name"], newest["email"]) == ("Kåre", "kaare@example.no")
    assert status(any_world) == "completed"


def test_a_rectification_to_somebody_elses_address_waits_for_people(any_world: World) -> None:
    any_world.give("ola@example.no")
    asked_and_confirmed(any_world, "rectification", email="ola@example.no")
    assert status(any_world) == "confirmed"
    assert Desk(any_world).handle("ola@example.no") != Desk(any_world).handle(ADDRESS)
    assert ("parked", None) not in any_world.statuses()


def test_an_identity_number_is_no_correction(world: World) -> None:
    assert_page(asked_and_confirmed(world, "rectification", first_name="311299 56715"), "Something is missing")
    assert status(world) == "asked"


def test_an_erasure_is_done_and_the_receipt_says_so(any_world: World) -> None:
    asked_and_confirmed(any_world, "erasure")
    assert status(any_world) == "completed"
    assert any_world.check(ADDRESS)["reason"] == "suppressed"
    assert "Receipt for erasure" in str(any_world.mails()[-1]["Subject"])
    assert Desk(any_world).problems() == []


@pytest.mark.parametrize("right", ["access", "portability"])
def test_access_is_answered_by_a_letter(any_world: World, right: str) -> None:
    asked_and_confirmed(any_world, right)
    assert "/a/" in newest_mail(any_world)
    assert status(any_world) == "completed"


def test_what_the_policy_leaves_to_people_waits_for_them(world: World) -> None:
    world.policy = replace(world.policy, rights=Rights(by_operator=("erasure",)))
    asked_and_confirmed(world, "erasure")
    assert status(world) == "confirmed"
    assert world.check(ADDRESS)["reason"] == "given"


def test_a_link_pressed_twice_is_done_once(world: World) -> None:
    asked_and_confirmed(world, "objection")
    again = world.client.post(world.link("r"), data=BY_HAND, headers=LANGUAGE)
    assert_page(again, "This link has been used")
    carry(world)
    assert [leaf["kind"] for leaf in world.leaves()].count("request.completed") == 1


def test_a_post_that_says_nothing_does_nothing(world: World) -> None:
    assert world.client.post("/rights", data={"right": "access", "email": ADDRESS}).status_code == 400
    assert world.statuses() == []
