"""The pictures of the documents: `python -m tests.browser.screenshots` takes them anew, of pages as they are.

A phone in Norwegian and light, a desk in English and dark; an installation of its own, with an invented person.
"""

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.browser.chromium import DESK, PHONE, Look, is_here, open_context, started
from tests.browser.conftest import Site
from tests.webhooks.server import HOST, serving
from tests.world import ROOT, World, settings_for

FOLDER = ROOT / "docs" / "images"
LOOKS = {"phone": Look(PHONE, "nb", "light"), "desk": Look(DESK, "en", "dark")}


def main() -> None:
    if not is_here():
        raise SystemExit("chromium is not installed")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world = World(settings_for(folder))
        with serving(world.settings, folder, {}) as server, started() as browser:
            for kind, look in LOOKS.items():
                _take(browser, Site(world, f"http://{HOST}:{server.port}"), kind, look)
        world.close()


def _take(browser: Browser, site: Site, kind: str, look: Look) -> None:
    page = open_context(browser, look).new_page()

    def shoot(name: str) -> None:
        page.screenshot(path=FOLDER / f"{name}-{kind}.png", full_page=kind == "phone" and name != "answer")

    email = f"kari.{kind}@example.no"
    assert (
        site.world.post_signed("newsletter", {"email": email, "newsletter": "yes", "offers": "yes"}).status_code == 200
    )
    _deliver(site)
    page.goto(site.url + site.world.link("c"))
    shoot("confirm")
    _press(page)
    _deliver(site)
    link = site.world.link("w")
    page.goto(site.url + link.replace("/w/", "/p/"))
    shoot("preferences")
    page.goto(site.url + link)
    shoot("withdraw")
    _press(page)
    _deliver(site)
    page.goto(site.url + link)
    shoot("withdrawn")
    page.goto(f"{site.url}/rights")
    shoot("rights")
    page.locator("#email").fill(email)
    _press(page)
    _deliver(site)
    page.goto(site.url + site.world.link("r"))
    _press(page)
    _deliver(site)
    page.goto(site.url + site.world.link("a"))
    with page.expect_navigation():
        page.get_by_role("button").first.click()
    shoot("answer")
    page.goto(f"{site.url}/receipt")
    shoot("receipt")
    page.context.close()


def _press(page: Page) -> None:
    with page.expect_navigation():
        page.locator("main form button").last.click()


def _deliver(site: Site) -> None:
    site.world.record()
    site.world.sign()
    site.world.carry()
    site.world.carry()


if __name__ == "__main__":
    main()
