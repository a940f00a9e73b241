"""What a person does on our other pages, in a real browser, without scripts: choose, ask, read the answer, check proof.

Two looks each: a phone in Norwegian and light, a desk in English and dark. The whole matrix is test_journeys.py's.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import EITHER_LOOK, Look
from tests.browser.conftest import Site
from tests.browser.test_journeys import Person

WORDS = {
    "nb": {
        "chosen": "Det du får fra oss",
        "saved": "Lagret",
        "withdrawn": "Samtykket er trukket tilbake",
        "rights": "Rettighetene dine",
        "look": "Se i innboksen din",
        "confirm": "Bekreft forespørselen",
        "confirmed": "Takk, forespørselen er bekreftet",
        "check": "Kontroller en kvittering",
        "genuine": "Kvitteringen er ekte",
        "none": "Dette er ikke en kvittering fra oss",
        "unknown": "Det gikk ikke",
    },
    "en": {
        "chosen": "What you have from us",
        "saved": "Saved",
        "withdrawn": "Your consent is withdrawn",
        "rights": "Your rights",
        "look": "Look in your mailbox",
        "confirm": "Confirm your request",
        "confirmed": "Thank you, your request is confirmed",
        "check": "Check a receipt",
        "genuine": "The receipt is genuine",
        "none": "This is not a receipt of ours",
        "unknown": "That did not work",
    },
}


@pytest.fixture(params=EITHER_LOOK, ids=str)
def look(request: pytest.FixtureRequest) -> Look:
    found: Look = request.param
    return found


@pytest.fixture
def person(browser: Browser, look: Look) -> Iterator[Person]:
    somebody = Person(browser, look)
    yield somebody
    somebody.leaves()


def sign_up(site: Site, email: str, **purposes: str) -> None:
    """Given, and the receipt with the link has arrived."""
    site.world.give(email, **purposes)
    deliver(site)


def deliver(site: Site) -> None:
    site.world.record()
    site.world.sign()
    site.world.carry()
    site.world.carry()


def submit(person: Person) -> None:
    with person.page.expect_navigation():
        person.page.locator("main form button").last.click()


def test_somebody_chooses_less_and_more_and_sees_who_has_confirmed(site: Site, person: Person, look: Look) -> None:
    said = WORDS[look.language]
    sign_up(site, f"chooses-{look}@example.no", newsletter="yes", offers="yes")
    link = site.world.link("w")
    person.goes_to(site.url + link.replace("/w/", "/p/"))
    person.reads(said["chosen"])
    person.page.locator("#offers").uncheck()
    person.page.locator("#information").check()
    submit(person)
    person.reads(said["saved"])
    deliver(site)
    person.goes_to(site.url + link)
    person.presses()
    person.reads(said["withdrawn"])
    deliver(site)
    person.goes_to(site.url + link)
    person.reads(said["withdrawn"])


@pytest.mark.parametrize("right", ["rectification", "restriction"])
def test_somebody_asks_for_a_right(site: Site, person: Person, look: Look, right: str) -> None:
    said, email = WORDS[look.language], f"asks-{right}-{look}@example.no"
    sign_up(site, email)
    person.goes_to(f"{site.url}/rights")
    person.reads(said["rights"])
    person.page.locator(f"#{right}").check()
    person.page.locator("#email").fill(email)
    submit(person)
    person.reads(said["look"])
    deliver(site)
    person.goes_to(site.url + site.world.link("r"))
    person.reads(said["confirm"])
    if right == "rectification":
        person.page.locator("#first_name").fill("Kåre")
    submit(person)
    person.reads(said["confirmed"])
    deliver(site)


def test_somebody_asks_what_we_hold_and_reads_it(site: Site, person: Person, look: Look) -> None:
    email = f"reads-{look}@example.no"
    sign_up(site, email)
    person.goes_to(f"{site.url}/rights")
    person.page.locator("#email").fill(email)
    submit(person)
    deliver(site)
    person.goes_to(site.url + site.world.link("r"))
    submit(person)
    deliver(site)
    person.goes_to(site.url + site.world.link("a"))
    assert email not in person.page.content()
    person.reads(person.page.locator("h1").inner_text())
    with person.page.expect_navigation():
        person.page.get_by_role("button").first.click()
    person.reads(person.page.locator("h1").inner_text())
    assert email in person.page.content()


def test_somebody_checks_a_receipt(site: Site, person: Person, look: Look, tmp_path: Path) -> None:
    said = WORDS[look.language]
    sign_up(site, f"checks-{look}@example.no")
    (attached,) = list(site.world.mails()[-1].iter_attachments())
    receipt = tmp_path / "receipt.json"
    content = attached.get_content()
    receipt.write_bytes(content if isinstance(content, bytes) else str(content).encode())
    person.goes_to(f"{site.url}/receipt")
    person.reads(said["check"])
    person.page.locator("#file").set_input_files(receipt)
    submit(person)
    person.reads(said["genuine"])
    person.goes_to(f"{site.url}/receipt")
    person.page.locator("#text").fill("{}")
    submit(person)
    person.reads(said["none"])


def test_somebody_with_half_a_link_is_told_what_to_do(site: Site, person: Person, look: Look) -> None:
    person.goes_to(f"{site.url}/w/AQE")
    person.reads(WORDS[look.language]["unknown"])
