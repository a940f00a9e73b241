"""The browser, once; an installation behind the real server, once, with its pages for people."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium
from tests.webhooks.server import HOST, serving
from tests.world import World, settings_for


@dataclass
class Site:
    """`world` does what the worker processes do; `url` is where people look."""

    world: World
    url: str


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not chromium.is_here():
        pytest.skip("chromium is not installed")
    with chromium.started() as started:
        yield started


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    world = World(settings_for(folder))
    with serving(world.settings, folder, {}) as server:
        yield Site(world, f"http://{HOST}:{server.port}")
    world.close()
