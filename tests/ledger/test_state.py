"""The reducer: whatever the order in which things are recorded, the same state; and ties mean withdrawn."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as some

from ledger.state import (
    GIVEN,
    NEVER,
    REFUSED,
    REQUESTED,
    REVOKED,
    WITHDRAWN,
    ConsentState,
    effective_at_ms,
    reduce_state,
)

KINDS = (REQUESTED, REFUSED, GIVEN, REVOKED, WITHDRAWN)
# Few different times, so that ties are common.
EVENTS = some.lists(some.tuples(some.sampled_from(KINDS), some.integers(1, 3)), min_size=1, max_size=6)


def fold(events: list[ConsentState] | tuple[ConsentState, ...]) -> ConsentState:
    state = ConsentState()
    for event in events:
        state = reduce_state(state, event)
    return state


def plain_model(events: list[tuple[str, int]]) -> tuple[str, int]:
    """Decision 0001, read out loud: the latest decisive event; among the latest, a withdrawal, then a revocation."""
    decisive = [(kind, at_ms) for kind, at_ms in events if kind in (GIVEN, REVOKED, WITHDRAWN)]
    if decisive:
        latest_ms = max(at_ms for _, at_ms in decisive)
        return next(kind for kind in (WITHDRAWN, REVOKED, GIVEN) if (kind, latest_ms) in decisive), latest_ms
    asked = [at_ms for kind, at_ms in events if kind == REQUESTED]
    refused = [at_ms for kind, at_ms in events if kind == REFUSED]
    return (REQUESTED, max(asked)) if asked else (REFUSED, max(refused))


@settings(max_examples=60, deadline=None)
@given(EVENTS)
def test_every_order_of_recording_gives_the_state_of_the_plain_model(said: list[tuple[str, int]]) -> None:
    events = [ConsentState(kind, at_ms, position) for position, (kind, at_ms) in enumerate(said)]
    expected = fold(events)
    assert (expected.state, expected.effective_at_ms) == plain_model(said)
    assert all(fold(order) == expected for order in itertools.permutations(events))


@settings(max_examples=100, deadline=None)
@given(EVENTS, some.integers(0, 5))
def test_folding_in_two_parts_gives_the_same(said: list[tuple[str, int]], cut: int) -> None:
    events = [ConsentState(kind, at_ms, position) for position, (kind, at_ms) in enumerate(said)]
    assert reduce_state(fold(events[:cut]), fold(events[cut:])) == fold(events)


def test_a_tie_means_stopped_whatever_was_recorded_last() -> None:
    given_late = ConsentState(GIVEN, 5, 9)
    for stop in (WITHDRAWN, REVOKED):
        stopped_early = ConsentState(stop, 5, 1)
        assert reduce_state(given_late, stopped_early) is stopped_early
        assert reduce_state(stopped_early, given_late) is stopped_early


def test_an_undecided_event_never_changes_a_decision() -> None:
    for decided, undecided in itertools.product((GIVEN, REVOKED, WITHDRAWN), (REQUESTED, REFUSED)):
        state = ConsentState(decided, 1, 0)
        assert reduce_state(state, ConsentState(undecided, 1_000, 1)) is state


def test_anything_said_is_more_than_nothing() -> None:
    for kind in KINDS:
        assert fold([ConsentState(kind, 0, 0)]).state == kind
    assert fold([]).state == NEVER


def test_the_effective_time_is_never_later_than_the_receipt() -> None:
    assert effective_at_ms(None, 10) == 10
    assert effective_at_ms(7, 10) == 7
    assert effective_at_ms(99, 10) == 10
    assert effective_at_ms(0, 10) == 0
