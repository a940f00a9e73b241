"""Order: whatever is late, lost, doubled or killed, the processor ends as the ledger says, and a withdrawal stays."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine

from ledger import late_effects
from ledger.relevance import Relevance
from ledger.sqlite import sqlite
from ledger.tables import metadata
from tests.workers import interleaving
from tests.workers.interleaving import Interleaving, Overturned
from tests.world import World

INTERLEAVINGS, ON_EITHER, ALL = 1_000, 100, 10_000


@pytest.fixture
def connection() -> Iterator[Connection]:
    """A database in memory, in one transaction that nobody commits: only the order of steps is at stake."""
    engine = create_engine("sqlite://", module=sqlite)
    metadata.create_all(engine)
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def hold(connection: Connection, count: int, **options: Any) -> None:
    """So many, of seeds that are new each time; Overturned names the seed."""
    first = random.SystemRandom().randrange(2**32)
    for seed in range(first, first + count):
        Interleaving(connection, seed, **options).run()


def is_overturned(connection: Connection, **options: Any) -> bool:
    """Whether one of the first seeds is; each always goes the same way."""
    for seed in range(500):
        try:
            Interleaving(connection, seed, **options).run()
        except Overturned:
            return True
    return False


@pytest.mark.parametrize("product", [False, True])
def test_the_processor_ends_as_the_ledger_says(connection: Connection, product: bool) -> None:
    hold(connection, INTERLEAVINGS, product=product)


@pytest.mark.long
@pytest.mark.parametrize("product", [False, True])
def test_it_does_so_ten_thousand_times(connection: Connection, product: bool) -> None:
    hold(connection, ALL, product=product)


def test_it_does_so_on_either_database(any_world: World) -> None:
    with any_world.database.write() as connection:
        hold(connection, ON_EITHER)


def test_without_repeats_a_late_grant_wins(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_effects, "UNDONE_BY", {})
    assert is_overturned(connection)


def test_without_the_lease_as_a_fence_a_grant_that_stood_still_wins(connection: Connection) -> None:
    assert is_overturned(connection, fenced=False)


def test_without_the_question_at_its_turn_an_old_grant_wins(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interleaving, "ask", lambda question: Relevance(question.relay.purposes))
    assert is_overturned(connection)
