"""Fixtures of the door's tests: one installation for a whole module, where the tests only ask and refuse."""

from collections.abc import Iterator

import pytest

from tests.world import World, settings_for


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """For tests that store nothing, or do not mind what others stored."""
    made = World(settings_for(tmp_path_factory.mktemp("world")))
    yield made
    made.close()
