"""WordPress' own erasers and exporters, run by the companion plugin page by page for every address.

Each eraser answers whether it removed and whether it retained something, and when it is done; that it is done does not
say that it erased (measured: Gravity Forms 2.10 answers neither, with the entry still there). So the exporters are
asked afterwards, and what they still find must be what an eraser said it retained.
"""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from workers.relays.action import RelayAction, RelayError, RelayWait
from workers.relays.wordpress.connection import WordPressConnection
from workers.relays.wordpress.signed import call
from workers.relays.wordpress.tally import Tally

PAGES_MAX = 500  # of one eraser or exporter for one address
BUDGET_S = 30.0  # of one attempt, whose lease ends after 60; what is left is for the next
ACCOUNT = "wordpress-user"  # the exporter of the account itself; no eraser of core's deletes that
GRAVITY_FORMS = "gravityforms"
# Plugins that keep what was sent: folder, and what the key or name of its eraser contains. None: it has no eraser.
# The eraser of Gravity Forms is not taken at its word: it only covers forms that were set up for it. That of MailPoet
# has the key `mailpet-subscriber` and the name "MailPoet Subscribers" (lib/Config/PersonalDataErasers.php).
KEEPERS: Mapping[str, str | None] = {
    GRAVITY_FORMS: "samtykke-gravityforms",
    "flamingo": "flamingo",
    "formidable": "formidable",
    "forminator": "forminator",
    "ninja-forms": "ninja",
    "mailpoet": "mailpoet",
    "newsletter": "newsletter",
    "fluentform": None,
}


@dataclass(frozen=True, slots=True)
class Clock:
    """The end of an attempt."""

    stop_at: float

    @classmethod
    def start(cls) -> "Clock":
        return cls(time.monotonic() + BUDGET_S)

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.stop_at


def erase(action: RelayAction, connection: WordPressConnection, tally: Tally, clock: Clock) -> set[str]:
    """Run every eraser for every address; returns the keys of those that kept something. Raises RelayError, RelayWait,
    and NoRouteError without the plugin."""
    kept = set()
    keys = _keys(connection, "erasers")
    for email in action.emails:
        for key in keys:
            if _run(action, connection, email, key, tally, clock):
                kept.add(key)
                tally.keep(f"kept_by_{key}")
    return kept


def _run(
    action: RelayAction, connection: WordPressConnection, email: str, key: str, tally: Tally, clock: Clock
) -> bool:
    """Whether it kept something."""
    kept = False
    for page in range(1, PAGES_MAX + 1):
        if clock.is_over:
            raise RelayWait("erasing", 1.0, tally.to_notes())
        members = {"reference": action.reference, "email": email, "eraser": key, "page": page}
        try:
            answer = call(connection, "erase", **members)
        except RelayError as error:
            tally.uncertain |= _may_have_worked(error)
            raise
        told = [answer.get(name) for name in ("removed", "retained", "done")]
        if not all(isinstance(each, bool) for each in told):
            tally.uncertain = True
            raise RelayError("unexpected_answer")
        removed, retained, done = told
        tally.removed |= bool(removed)
        kept |= bool(retained)
        if done:
            return kept
    raise RelayError("eraser_without_end", permanent=True)


def _may_have_worked(error: RelayError) -> bool:
    """Not where the site refused before it began."""
    began_late = error.status is not None and HTTPStatus.BAD_REQUEST <= error.status < HTTPStatus.INTERNAL_SERVER_ERROR
    return not (began_late or error.halt)


def without_eraser(connection: WordPressConnection) -> list[str]:
    """Folders of the plugins that keep submissions and brought no eraser: of those nothing was erased."""
    plugins = call(connection, "about").get("plugins")
    if not isinstance(plugins, list):
        raise RelayError("unexpected_answer")
    names = [f"{each['key']} {each.get('name')}".lower() for each in _listed(connection, "erasers")]
    return [
        folder
        for folder, part in KEEPERS.items()
        if folder in plugins and (part is None or not any(part in name for name in names))
    ]


def read_back(action: RelayAction, connection: WordPressConnection, kept: set[str], tally: Tally, clock: Clock) -> None:
    """What the exporters still find, and no eraser said it kept, is left."""
    for key in _keys(connection, "exporters"):
        for email in action.emails:
            if clock.is_over:
                raise RelayWait("reading_back", 1.0, tally.to_notes())
            data, _ = _export_page(connection, email, key, 1)
            if data and not _is_kept(key, kept):
                tally.left.append("account_left" if key == ACCOUNT else f"left_in_{_stem(key)}")


def _is_kept(exporter: str, kept: set[str]) -> bool:
    return _stem(exporter) in {_stem(eraser) for eraser in kept}


def _stem(key: str) -> str:
    """`gravityforms-exporter` and `gravityforms-eraser` are of the same data, as are two equal keys."""
    return re.sub("[-_](exporter|eraser)$", "", key)


def export(action: RelayAction, connection: WordPressConnection) -> dict[str, list[Any]]:
    """Exporter to its items, over every address; one that finds nothing is left out. Raises as `erase`."""
    found: dict[str, list[Any]] = {}
    for key in _keys(connection, "exporters"):
        items = [item for email in action.emails for item in _export_all(connection, email, key)]
        if items:
            found[key] = items
    return found


def _export_all(connection: WordPressConnection, email: str, key: str) -> Iterator[Any]:
    for page in range(1, PAGES_MAX + 1):
        data, done = _export_page(connection, email, key, page)
        yield from data
        if done:
            return
    raise RelayError("exporter_without_end", permanent=True)


def _export_page(connection: WordPressConnection, email: str, key: str, page: int) -> tuple[list[Any], bool]:
    answer = call(connection, "export", email=email, exporter=key, page=page)
    data, done = answer.get("data"), answer.get("done")
    if not isinstance(data, list) or not isinstance(done, bool):
        raise RelayError("unexpected_answer")
    return data, done


def _keys(connection: WordPressConnection, route: str) -> list[str]:
    return [each["key"] for each in _listed(connection, route)]


def _listed(connection: WordPressConnection, route: str) -> list[dict[str, Any]]:
    """The erasers or exporters, in the site's order; none at all is no answer, for core brings some."""
    listed = call(connection, route).get(route)
    items = listed if isinstance(listed, list) else []
    found = [each for each in items if isinstance(each, dict) and isinstance(each.get("key"), str)]
    if not found or len(found) < len(items):
        raise RelayError("unexpected_answer")
    return found
