"""Comments, by core's REST API (https://developer.wordpress.org/rest-api/reference/comments/)."""

from collections.abc import Iterator, Sequence
from typing import Any

from workers.relays.action import RelayError
from workers.relays.wordpress.rest import Rest
from workers.relays.wordpress.tally import Tally

COMMENTS = "wp/v2/comments"
STATES = ("all", "spam", "trash")  # "all": approved and waiting


def find(rest: Rest, emails: Sequence[str]) -> Iterator[dict[str, Any]]:
    for email in emails:
        for state in STATES:
            yield from rest.pages(COMMENTS, author_email=email, status=state, context="edit")


def erase(rest: Rest, emails: Sequence[str], tally: Tally) -> None:
    """Deleted whole: a comment without its author may still say who wrote it."""
    for comment in list(find(rest, emails)):
        tally.uncertain = True
        rest.delete(f"{COMMENTS}/{comment['id']}", force=True)
        tally.removed = True
    if next(find(rest, emails), None) is not None:
        raise RelayError("read_back_failed")
