"""Entries of Gravity Forms, asked for by its REST API: what its webhook never brought is taken in as if it had.

An entry names its form by a number that policy.toml does not know. The entries that are here already tell which form
of ours each number is; a form of which nothing ever came is not ours to take in unasked.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ledger.inbox import Acceptance, accept
from ledger.intake import Position, known_ids, read_position, write_position
from ledger.reception import Reception
from schemas.dialects.times import parse_utc_time
from schemas.log_line import log
from schemas.refusal import NotUnderstood
from workers.context import Context, now_ms
from workers.relays.action import RelayError
from workers.relays.wordpress import WordPressConnection, gravity_forms
from workers.relays.wordpress.rest import Rest

SOURCE = "wordpress-gravity-forms"
DIALECT = "gravity_forms"
SETTLED_MS = 15 * 60 * 1000  # its webhooks leave with the site's cron; a younger entry may still be on its way
OVERLAP = 200  # entries before our position are looked at again, and tell which form is which


def take(context: Context, connection: WordPressConnection) -> int:
    """How many deliveries that brought. Raises RelayError."""
    forms = [f"form:{form.key}" for form in context.policy.forms.values() if form.dialect == DIALECT]
    rest = Rest(connection)
    if not forms or not gravity_forms.is_there(rest):
        return 0
    began_ms = now_ms()
    with context.database.read() as database:
        position = read_position(database, SOURCE)
    from_id = max(0, int(position.place) - OVERLAP) if position else _newest_id(rest) - OVERLAP
    search = {"status": "active", "field_filters": [{"key": "id", "operator": ">", "value": str(max(0, from_id))}]}
    entries = [
        entry
        for entry in gravity_forms.entries(rest, search, {"key": "id", "direction": "ASC"})
        if began_ms - _created_ms(entry) >= SETTLED_MS
    ]
    found, missing = _take_in(context, entries, forms)
    _move(context, position, entries, began_ms, found, missing)
    return found


def _newest_id(rest: Rest) -> int:
    """The first time: what came before us is only looked at, to learn which form is which."""
    newest = next(gravity_forms.entries(rest, {"status": "active"}, {"key": "id", "direction": "DESC"}), None)
    return 0 if newest is None else int(newest["id"])


def _take_in(context: Context, entries: Iterable[Mapping[str, Any]], forms: list[str]) -> tuple[int, int]:
    """(how many were new, how many are not in the inbox even now)."""
    by_id = {str(entry["id"]): entry for entry in entries}
    pepper = context.keyring["index_pepper"]
    with context.database.read() as connection:
        known = {source: known_ids(connection, pepper, source, by_id) for source in forms}
    sources = _sources(by_id, known)
    reception = Reception(context.policy, context.keyring, context.settings.stripe_mode)
    found = missing = 0
    for entry_id, entry in by_id.items():
        source = sources.get(str(entry.get("form_id")))
        if source is None or entry_id in known[source]:
            continue
        delivery = reception.delivery_of(source, dict(entry), None)
        acceptance, _ = accept(context.database, context.keyring, delivery, now_ms())
        found += acceptance is Acceptance.ACCEPTED
        missing += acceptance is not Acceptance.ACCEPTED
    return found, missing


def _sources(entries: Mapping[str, Mapping[str, Any]], known: Mapping[str, set[str]]) -> dict[str, str]:
    """Number of a form of the site to the source of ours; one that two of ours received from is nobody's."""
    seen: dict[str, set[str]] = defaultdict(set)
    for source, ids in known.items():
        for entry_id in ids:
            seen[str(entries[entry_id].get("form_id"))].add(source)
    return {form_id: next(iter(sources)) for form_id, sources in seen.items() if len(sources) == 1}


def _move(
    context: Context,
    position: Position | None,
    entries: list[dict[str, Any]],
    began_ms: int,
    found: int,
    missing: int,
) -> None:
    place = str(entries[-1]["id"]) if entries else (position.place if position else "0")
    checked_ms = began_ms - SETTLED_MS
    if missing:
        log.error("submissions_missing", source=SOURCE, count=missing)
        checked_ms = position.checked_at_ms if position else 0
    if found:
        log.warning("submissions_found", source=SOURCE, count=found)
    with context.database.write() as connection:
        write_position(connection, SOURCE, place, checked_ms, found)


def _created_ms(entry: Mapping[str, Any]) -> int:
    """UTC without saying so: measured on Gravity Forms 2.10."""
    try:
        return parse_utc_time(str(entry.get("date_created")))
    except NotUnderstood:
        raise RelayError("unexpected_answer") from None
