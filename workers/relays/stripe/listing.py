"""Lists of Stripe's objects, page by page, each page checked before anything in it is believed."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import stripe

from workers.relays.action import RelayError

# So many fit into one answer, whatever their metadata; of the others a person may have many, and an attempt is short.
CUSTOMERS_PER_PAGE, OBJECTS_PER_PAGE = 10, 25
PAGES_MAX = 100
# An empty id would address the whole collection, and one with a slash something else.
_ID = re.compile("(?P<kind>[a-z]{2,10})_[A-Za-z0-9_]{1,250}")


def is_id(value: object, *kinds: str) -> bool:
    """Whether this is an id of one of these kinds, such as `cus`."""
    found = _ID.fullmatch(value) if isinstance(value, str) else None
    return found is not None and found["kind"] in kinds


def part(item: object, *names: str) -> Any:
    """A member, or a member of a member, of an object of the SDK; None where there is none."""
    # Since version 15 of the SDK an object is no longer a dict: a missing member raises AttributeError.
    for name in names:
        item = getattr(item, name, None)
    return item


def every(ask: Callable[..., object], wanted: Mapping[str, Any], *kinds: str) -> Iterator[Any]:
    """Every object that `ask`, a list or a search of the SDK, has; their ids are of one of `kinds`.

    Not the SDK's own paging: it takes any 200 for a page, and never stops where a page repeats. Raises RelayError.
    """
    cursor: dict[str, Any] = {"limit": CUSTOMERS_PER_PAGE if "cus" in kinds else OBJECTS_PER_PAGE}
    for _ in range(PAGES_MAX):
        page = ask({**cursor, **wanted})
        items = part(page, "data")
        if not isinstance(page, (stripe.ListObject, stripe.SearchResultObject)) or not isinstance(items, list):
            raise RelayError("unexpected_answer")
        if not all(is_id(part(item, "id"), *kinds) for item in items):
            raise RelayError("unexpected_answer")
        yield from items
        if not part(page, "has_more") or not items:
            return
        searched = isinstance(page, stripe.SearchResultObject)
        cursor |= {"page": page.next_page} if searched else {"starting_after": items[-1].id}
    raise RelayError("too_many_customers" if "cus" in kinds else "too_many_objects", permanent=True)
