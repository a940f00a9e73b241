"""What a person does with our pages, in a real browser, without scripts: on a phone and on a desk, in both languages,
light and dark; and nothing that axe finds is left."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import EITHER_LOOK, LOOKS, Inspector, Look, is_wider_than_its_window, open_context
from tests.browser.conftest import Site
from tests.webhooks.pages import mail_request

WORDS = {
    "nb": {
        "confirm": "Bekreft samtykket",
        "confirmed": "Takk, det er bekreftet",
        "withdraw": "Trekk tilbake samtykket",
        "withdrawn": "Samtykket er trukket tilbake",
        "request": "Bekreft forespørselen",
        "requested": "Takk, forespørselen er bekreftet",
        "used": "Denne lenken er brukt",
        "privacy": "Personvern hos Vizpro AS",
    },
    "en": {
        "confirm": "Confirm your consent",
        "confirmed": "Thank you, it is confirmed",
        "withdraw": "Withdraw your consent",
        "withdrawn": "Your consent is withdrawn",
        "request": "Confirm your request",
        "requested": "Thank you, your request is confirmed",
        "used": "This link has been used",
        "privacy": "Privacy at Vizpro AS",
    },
}


# Each size, language and colour once; the first journey is made in all that they can be together.
EITHER = pytest.mark.parametrize("look", EITHER_LOOK, indirect=True, ids=str)


@pytest.fixture(params=LOOKS, ids=str)
def look(request: pytest.FixtureRequest) -> Look:
    found: Look = request.param
    return found


class Person:
    """Somebody at a browser, who goes somewhere, reads a heading, and presses the one button."""

    def __init__(self, browser: Browser, look: Look) -> None:
        self.page = open_context(browser, look).new_page()
        self._inspector = Inspector(browser, look)

    def goes_to(self, url: str) -> None:
        self.page.goto(url)

    def reads(self, heading: str) -> None:
        """The page says so in one heading, fits its window, and axe has nothing to say about it."""
        assert self.page.locator("h1").all_inner_texts() == [heading]
        assert self._inspector.violations(self.page) == []
        assert not is_wider_than_its_window(self.page)

    def presses(self) -> None:
        """By the keyboard: whoever cannot use a mouse must reach it too."""
        (button,) = self.page.get_by_role("button").all()
        button.focus()
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def leaves(self) -> None:
        assert self.page.context.cookies() == []
        self.page.context.close()
        self._inspector.close()


@pytest.fixture
def person(browser: Browser, look: Look) -> Iterator[Person]:
    somebody = Person(browser, look)
    yield somebody
    somebody.leaves()


def test_somebody_signs_up_confirms_and_withdraws(site: Site, person: Person, look: Look) -> None:
    said, world = WORDS[look.language], site.world
    world.post_signed("newsletter", {"email": f"kari-{look}@example.no", "newsletter": "yes"})
    world.record()
    world.carry()
    confirmation = site.url + world.link("c")
    person.goes_to(confirmation)
    person.reads(said["confirm"])
    person.presses()
    person.reads(said["confirmed"])
    world.record()
    person.goes_to(confirmation)
    person.reads(said["used"])
    person.goes_to(site.url + world.link("w"))
    person.reads(said["withdraw"])
    person.presses()
    person.reads(said["withdrawn"])


@EITHER
def test_somebody_confirms_what_was_asked_in_their_name(site: Site, person: Person, look: Look) -> None:
    said, world = WORDS[look.language], site.world
    mail_request(world, email=f"ola-{look}@example.no")
    person.goes_to(site.url + world.link("r"))
    person.reads(said["request"])
    person.presses()
    person.reads(said["requested"])
    world.record()


@EITHER
def test_somebody_reads_the_privacy_notice(site: Site, person: Person, look: Look) -> None:
    person.goes_to(f"{site.url}/privacy")
    person.reads(WORDS[look.language]["privacy"])
    other = {"nb": "en", "en": "nb"}[look.language]
    with person.page.expect_navigation():
        person.page.locator("main a[hreflang]").click()
    person.reads(WORDS[other]["privacy"])
