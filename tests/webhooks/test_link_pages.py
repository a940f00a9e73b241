"""The pages behind the links: both languages, no address, nothing from elsewhere."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from tests.webhooks.pages import BY_HAND, assert_page, mail_both_links, mail_request
from tests.world import World, settings_for
from webhooks.answers import register_answers
from webhooks.door import Door
from webhooks.pages.confirm import confirm_blueprint
from webhooks.pages.withdraw import withdraw_blueprint


@pytest.fixture(scope="module")
def mailed_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """For tests that only look."""
    made = World(settings_for(tmp_path_factory.mktemp("world")))
    mail_both_links(made)
    mail_request(made)
    yield made
    made.close()


LANGUAGES = {
    "": "nb",
    "nb-NO,nb;q=0.9,no;q=0.8,nn;q=0.7,en-US;q=0.6,en;q=0.5": "nb",
    "no,en;q=0.5": "nb",
    "nn-NO,nn;q=0.9,en;q=0.5": "nb",
    "en-GB,en;q=0.9": "en",
    "en,nb;q=0.5": "en",
    "de": "nb",
    "*": "nb",
    "zz;q=junk": "nb",
}


@pytest.mark.parametrize("wanted", LANGUAGES)
def test_pages_speak_the_language_of_the_browser(mailed_world: World, wanted: str) -> None:
    language = LANGUAGES[wanted]
    headers = {"Accept-Language": wanted} if wanted else {}
    for path, nb, en in (
        (mailed_world.link("w"), "Trekk tilbake samtykket", "Withdraw your consent"),
        (mailed_world.link("c"), "Bekreft samtykket", "Confirm your consent"),
        (mailed_world.link("r"), "Bekreft forespørselen", "Confirm your request"),
    ):
        answer = mailed_world.client.get(path, headers=headers)
        assert_page(answer, f'<html lang="{language}">', nb if language == "nb" else en)


def test_every_answer_of_a_link_exists_in_english(mailed: World) -> None:
    headers = {"Accept-Language": "en"}
    path = mailed.link("c")
    assert_page(mailed.client.post(path, data=BY_HAND, headers=headers), "Thank you, it is confirmed")
    mailed.record()
    assert_page(mailed.client.get(path, headers=headers), "This link has been used")
    assert_page(mailed.client.post(mailed.link("w"), data=BY_HAND, headers=headers), "Your consent is withdrawn")
    mail_request(mailed, "erasure")
    path = mailed.link("r")
    assert_page(mailed.client.get(path, headers=headers), "Erasure: to have what we hold about you deleted")
    assert_page(mailed.client.post(path, data=BY_HAND, headers=headers), "Thank you, your request", "within one month")
    mailed.record()
    assert_page(mailed.client.get(path, headers=headers), "This link has been used")


def test_a_page_names_purposes_and_authority_and_loads_nothing_from_elsewhere(
    mailed_world: World,
) -> None:
    text = mailed_world.client.get(mailed_world.link("w")).get_data(as_text=True)
    for purpose in mailed_world.policy.purposes.values():
        assert f"<li>{purpose.name.nb}</li>" in text
    assert mailed_world.policy.authority.name in text
    assert re.findall(r'(?:src|action|href)="(?!https://(?:vizpro|www\.datatilsynet)\.no/)([^"]*)"', text) == [
        "/static/samtykke.css",
        mailed_world.link("w").replace("/w/", "/p/"),
        "/rights",
        "/receipt",
        "/privacy",
    ]


def test_a_purpose_that_the_policy_no_longer_has_does_not_break_a_mailed_link(mailed: World) -> None:
    door: Door = mailed.client.application.extensions["door"]
    left = {key: purpose for key, purpose in door.policy.purposes.items() if key != "offers"}
    app = Flask("webhooks")
    door = replace(door, policy=replace(door.policy, purposes=left))
    app.register_blueprint(withdraw_blueprint(door))
    app.register_blueprint(confirm_blueprint(door))
    register_answers(app)
    for path in (mailed.link("c"), mailed.link("w")):
        answer = app.test_client().get(path)
        assert_page(answer, "<h1>")
        assert "Tilbudsmail" not in answer.get_data(as_text=True)
