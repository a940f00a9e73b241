"""One running service that the fault tests share: a process of tests starts it once, and every test mends it."""

from collections.abc import Callable, Iterator

import click
import pytest

from tests.stack import Stack

Note = Callable[[str, object], None]


@pytest.fixture(scope="session")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("service")) as stack:
        yield stack


@pytest.fixture
def service(shared_service: Stack) -> Stack:
    """Ready, and its processes all there."""
    shared_service.wait_ready()
    return shared_service


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """Writes down a figure that was seen: `pytest -s` and `pytest -rP` show it, junit keeps it."""

    def write(name: str, value: object) -> None:
        request.node.user_properties.append((name, value))
        click.echo(f"\n{request.node.name}: {name} {value}")

    return write
