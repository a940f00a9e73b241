"""Fixtures of the door's tests: one installation for a whole module, where the tests only ask and refuse."""

from collections.abc import Iterator

import pytest

from tests.webhooks.pages import mail_both_links
from tests.world import World, settings_for


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """For tests that store nothing, or do not mind what others stored."""
    made = World(settings_for(tmp_path_factory.mktemp("world")))
    yield made
    made.close()


@pytest.fixture
def mailed(world: World) -> World:
    """A world in which Kari has a withdrawal link and an open confirmation link."""
    mail_both_links(world)
    return world
