"""A real Chromium, from the machine's packages: pages as people have them, on a phone and on a desk."""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

PHONE, DESK = (390, 844), (1280, 800)
WAIT_MS = 30_000
# Nothing of its own goes out: no updates, no sync, no look-ups.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# https://github.com/dequelabs/axe-core/blob/develop/doc/API.md#axe-core-tags
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@dataclass(frozen=True, slots=True)
class Look:
    """How somebody has a page: size in CSS pixels, language, colours."""

    size: tuple[int, int]
    language: str
    colours: str

    def __str__(self) -> str:
        return f"{self.size[0]}-{self.language}-{self.colours}"


EITHER_LOOK = (Look(PHONE, "nb", "light"), Look(DESK, "en", "dark"))
LOOKS = tuple(Look(*each) for each in itertools.product((PHONE, DESK), ("nb", "en"), ("light", "dark")))


def is_here() -> bool:
    return shutil.which("chromium") is not None


@contextmanager
def started() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(ARGUMENTS))
        yield browser
        browser.close()


def open_context(browser: Browser, look: Look, *, scripts: bool = False) -> BrowserContext:
    """With scripts off: every journey must do without."""
    width, height = look.size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        locale={"nb": "nb-NO", "en": "en-GB"}[look.language],
        color_scheme="dark" if look.colours == "dark" else "light",
        java_script_enabled=scripts,
    )
    context.set_default_timeout(WAIT_MS)
    return context


class Inspector:
    """axe, on the very bytes that a page shows: it is a script, so it looks in a twin where scripts may run."""

    def __init__(self, browser: Browser, look: Look) -> None:
        self._twin = open_context(browser, look, scripts=True).new_page()

    def violations(self, page: Page) -> list[str]:
        """What is wrong with the page as it is, each with its first place."""
        html = page.content()
        self._twin.route(page.url, lambda route: route.fulfill(body=html, content_type="text/html; charset=utf-8"))
        self._twin.goto(page.url)
        self._twin.unroute(page.url)
        found = Axe().run(self._twin, options={"runOnly": list(RULES)}).response["violations"]
        return [f"{each['id']}: {each['nodes'][0]['target']}" for each in found]

    def close(self) -> None:
        self._twin.context.close()


def is_wider_than_its_window(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
