"""One real WordPress for all tests of a process, new for each of them."""

from collections.abc import Iterator

import pytest

from tests.wordpress.parts import PartsMissingError, fetch
from tests.wordpress.receiver import Receiver
from tests.wordpress.site import Site


@pytest.fixture(scope="session")
def running_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    try:
        parts = fetch()
    except PartsMissingError as error:
        pytest.skip(f"no WordPress here: {error}")
    with Site(tmp_path_factory.mktemp("wordpress") / "site", parts) as site:
        yield site


@pytest.fixture
def site(running_site: Site) -> Iterator[Site]:
    """Whatever a test does, PHP has nothing to complain about."""
    running_site.reset()
    yield running_site
    assert running_site.complaints() == ""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()
