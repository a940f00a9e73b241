"""WordPress, asked: which submissions it sent, and whether each of them is here.

By the companion plugin that is its outbox, which names every submission and its state; what it says was sent and is
not here is lost, for it keeps no body after delivery, and a person must know. Without the plugin it is the entries of
Gravity Forms, which are whole, so that a lost one is taken in: wordpress_entries.py. docs/guides/connect-wordpress.md
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ledger.heartbeat import beat, last_beat_ms
from ledger.intake import known_ids, read_position, write_position
from schemas.log_line import log
from workers.context import Context, now_ms
from workers.doorbell import RECORD
from workers.intake import wordpress_entries
from workers.relays.action import RelayError
from workers.relays.wordpress import WordPressConnection
from workers.relays.wordpress.answers import NoRouteError
from workers.relays.wordpress.signed import call

SOURCE = "wordpress"
COMPANION = "companion"
PULL = "wordpress-pull"  # heartbeat: when the site was last asked
PULL_INTERVAL_MS = 3600 * 1000
DAY_MS = 24 * 3600 * 1000
LOOK_BACK_MAX_MS = 30 * DAY_MS  # a submission that is missing as long as this is not asked for any more
OLDEST_WAITING_MAX_S = 3600  # the plugin tries every few minutes; an hour is a cron that does not run
PAGES_MAX = 50
SENT = "sent"


def take(context: Context) -> int:
    """Once an hour; how many deliveries that brought. Raises RelayError."""
    connection = context.connections.to(SOURCE)
    if not isinstance(connection, WordPressConnection) or not _is_due(context):
        return 0
    has_plugin = connection.secret is not None
    if has_plugin:
        try:
            compare(context, connection)
        except NoRouteError:
            has_plugin = False
    found = 0
    if not has_plugin and connection.has_rest:
        found = wordpress_entries.take(context, connection)
    beat(context.database, PULL, now_ms())
    if found:
        context.doorbell.press(RECORD)
    return found


def _is_due(context: Context) -> bool:
    with context.database.read() as connection:
        asked_ms = last_beat_ms(connection, PULL)
    return asked_ms is None or now_ms() - asked_ms >= PULL_INTERVAL_MS


@dataclass(slots=True)
class Comparison:
    """How far the outbox is known to be here without a gap, and what is not."""

    place: int
    missing: int = 0
    waiting: int = 0
    dead: int = 0
    has_gap: bool = False

    def look_at(self, row: Mapping[str, Any], known: set[str], now: int) -> None:
        is_here = row["id"] in known
        is_old = now - _at_ms(row["submitted_at"]) > LOOK_BACK_MAX_MS
        if row["state"] == SENT and not is_here and not is_old:
            self.missing += 1
        # Past what is still on its way, or lost, the place does not move: it is looked at again.
        self.has_gap |= not (is_here or is_old)
        if not self.has_gap:
            self.place = row["number"]


def compare(context: Context, connection: WordPressConnection) -> Comparison:
    """The plugin's outbox with our inbox. Raises RelayError, and NoRouteError without the plugin."""
    began_ms = now_ms()
    with context.database.read() as database:
        position = read_position(database, SOURCE)
    found = Comparison(int(position.place) if position else 0)
    after = found.place
    for _ in range(PAGES_MAX):
        answer = call(connection, "outbox", after=after)
        rows = _rows(answer)
        found.waiting, found.dead = _count(answer, "waiting"), _count(answer, "dead")
        known = _known(context, rows)
        for row in rows:
            found.look_at(row, known, began_ms)
        if not rows:
            break
        after = rows[-1]["number"]
    _report(found, answer.get("oldest_waiting_s"))
    # What waits there is not missing here yet; what was sent and never arrived is.
    checked_ms = began_ms if not (found.missing or found.dead) else (position.checked_at_ms if position else 0)
    with context.database.write() as database:
        write_position(database, SOURCE, str(found.place), checked_ms)
    return found


def _report(found: Comparison, oldest_waiting_s: object) -> None:
    if found.missing:
        log.error("submissions_missing", source=SOURCE, count=found.missing)
    if found.dead:
        log.error("submissions_given_up", source=SOURCE, count=found.dead)
    if isinstance(oldest_waiting_s, int) and oldest_waiting_s > OLDEST_WAITING_MAX_S:
        log.error("submissions_stuck", source=SOURCE, count=found.waiting)


def _known(context: Context, rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Those of the plugin's ids that stand in the inbox, under whichever form they came."""
    ids, pepper = [row["id"] for row in rows], context.keyring["index_pepper"]
    found: set[str] = set()
    with context.database.read() as connection:
        for form in context.policy.forms.values():
            if form.dialect == COMPANION:
                found |= known_ids(connection, pepper, f"form:{form.key}", ids)
    return found


def _rows(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = answer.get("entries")
    if not isinstance(rows, list):
        raise RelayError("unexpected_answer")
    for row in rows:
        is_row = isinstance(row, dict) and isinstance(row.get("number"), int)
        if not is_row or not all(isinstance(row.get(name), str) for name in ("id", "state", "submitted_at")):
            raise RelayError("unexpected_answer")
    numbers = [row["number"] for row in rows]
    if numbers != sorted(set(numbers)):
        raise RelayError("unexpected_answer")
    return rows


def _count(answer: Mapping[str, Any], name: str) -> int:
    value = answer.get(name)
    if not isinstance(value, int):
        raise RelayError("unexpected_answer")
    return value


def _at_ms(text: str) -> int:
    try:
        return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        raise RelayError("unexpected_answer") from None
