"""Erasure on the site: its own erasers, then what they never touch, then the question what is left, then the caches."""

from collections.abc import Mapping
from typing import Any

from workers.relays.action import Outcome, RelayAction, RelayError, RelayResult, RelayWait
from workers.relays.wordpress import comments, gravity_forms, installed, pages, users, woocommerce, wpengine
from workers.relays.wordpress.answers import NoRouteError
from workers.relays.wordpress.connection import WordPressConnection
from workers.relays.wordpress.pages import GRAVITY_FORMS, Clock
from workers.relays.wordpress.rest import Rest
from workers.relays.wordpress.tally import Tally

FIRST_WAIT_S = 15.0
ERASED = "erased"  # in the notes: how the erasure ended, so that only the caches are left to do
NO_PLUGIN = "no_plugin"


def erase(action: RelayAction, connection: WordPressConnection) -> RelayResult:
    """Raises RelayError, or RelayWait with what was seen so far: the next attempt would find less than this one."""
    ended = action.notes.get(ERASED)
    if isinstance(ended, dict):
        return _purge(_result(ended), action, connection)
    if not action.emails:
        return RelayResult(Outcome.NOT_FOUND)
    tally, before = Tally.from_notes(action.notes), Tally.from_notes(action.notes)
    try:
        result = _erase(action, connection, tally)
    except RelayError as error:
        # What this attempt has learned is kept first, even where a person must then act: who tries again afterwards
        # would find nothing. The next attempt learns nothing more, and comes to its end as a fault.
        if tally.to_notes() == before.to_notes():
            raise
        raise RelayWait(error.reason, error.retry_after_s or FIRST_WAIT_S, tally.to_notes()) from None
    return _purge(result, action, connection)


def _erase(action: RelayAction, connection: WordPressConnection, tally: Tally) -> RelayResult:
    clock, has_plugin, kept = Clock.start(), connection.secret is not None, set[str]()
    if has_plugin:
        try:
            kept = pages.erase(action, connection, tally, clock)
        except NoRouteError:
            has_plugin = False
    if not has_plugin and not connection.has_rest:
        return RelayResult(Outcome.NOT_COVERED, NO_PLUGIN)
    searched = _erase_by_rest(action, connection, tally) if connection.has_rest else False
    if has_plugin:
        unerased = [each for each in pages.without_eraser(connection) if not (searched and each == GRAVITY_FORMS)]
        tally.left += [f"{folder}_without_eraser" for folder in unerased]
        pages.read_back(action, connection, kept, tally, clock)
    else:
        tally.left += installed.not_searched(Rest(connection), searched)
    return tally.result()


def _erase_by_rest(action: RelayAction, connection: WordPressConnection, tally: Tally) -> bool:
    """Whether the entries of Gravity Forms could be searched."""
    rest = Rest(connection)
    has_gravity_forms = gravity_forms.is_there(rest)
    if has_gravity_forms:
        gravity_forms.erase(rest, action.emails, tally)
    comments.erase(rest, action.emails, tally)
    if woocommerce.is_there(rest):
        years, now_ms = connection.bookkeeping_years, connection.clock()
        woocommerce.look_at_orders(rest, action.emails, years, now_ms, tally)
    users.erase(rest, action.emails, tally)  # last: while the account is there, everything of it can be found
    return has_gravity_forms


def purge_after(result: RelayResult, connection: WordPressConnection) -> RelayResult:
    """After a deed that may be done twice: a fault of WP Engine's makes it be done again."""
    if connection.wpengine is not None and result.outcome is not Outcome.NOT_FOUND:
        wpengine.purge(connection.wpengine)
    return result


def _purge(result: RelayResult, action: RelayAction, connection: WordPressConnection) -> RelayResult:
    """A step of its own: an erasure that is done must not look like one that found nothing, because of a cache."""
    try:
        return purge_after(result, connection)
    except RelayError as error:
        if ERASED in action.notes:
            raise RelayError("cache_not_purged", permanent=error.permanent, retry_after_s=error.retry_after_s) from None
        notes = {
            ERASED: {"outcome": result.outcome.value, "reason": result.reason, "until_ms": result.retained_until_ms}
        }
        raise RelayWait("cache_not_purged", error.retry_after_s or FIRST_WAIT_S, notes) from None


def _result(noted: Mapping[str, Any]) -> RelayResult:
    return RelayResult(Outcome(noted["outcome"]), noted["reason"], noted["until_ms"])
