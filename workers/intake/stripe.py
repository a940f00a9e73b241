"""Stripe, asked: every event newer than our position, and once a day everything since yesterday a second time.

Not only those that Stripe calls undelivered (`delivery_success`): that leaves out what we said we had and lost, and
what a thin event only hints at. docs/senders/stripe.md
"""

import time
from dataclasses import replace

from ledger.heartbeat import beat, last_beat_ms
from ledger.intake import Position
from schemas.log_line import log
from schemas.stripe.shape import created_ms, read_event_id
from workers.context import Context, now_ms
from workers.doorbell import RECORD
from workers.intake.stripe_events import DAY_MS, HOUR_MS, KEPT_MS, POSITION_EXPIRED, Reader, open_reader
from workers.relays.action import RelayError

SETTLED_MS = 5 * 60 * 1000  # younger events may still come into sight between others
WINDOW_MS = 6 * HOUR_MS
SWEEP = "stripe-sweep"  # heartbeat: until when every event was looked for a second time
BUDGET_S = 40.0  # of one job; what is left is for the next ring


def take(context: Context) -> int:
    """Read on from our position, and sweep if a day has passed. Raises RelayError."""
    reader = open_reader(context)
    if reader is None:
        return 0
    stop_at = time.monotonic() + BUDGET_S
    found = read_on(reader, stop_at) + sweep(reader, stop_at)
    if found:
        context.doorbell.press(RECORD)
    return found


def read_on(reader: Reader, stop_at: float) -> int:
    """Every event newer than our position."""
    position = reader.position()
    if position is None:
        reader.begin()
        return 0
    try:
        return _read_from(reader, position, stop_at)
    except RelayError as error:
        if error.reason != POSITION_EXPIRED:
            raise
        log.error("stripe_events_expired")
        return _read_from(reader, replace(position, place=""), stop_at)


def _read_from(reader: Reader, position: Position, stop_at: float) -> int:
    """The position moves with each page, for the pages come oldest first."""
    settled_ms = now_ms() - SETTLED_MS
    place, found = position.place, 0
    for events in reader.newer_than(position):
        tally = reader.take_in(events)
        found += tally.found
        if tally.missing:
            log.error("stripe_events_missing", count=tally.missing)
            return found
        place = next((read_event_id(event) for event in events if created_ms(event) <= settled_ms), place)
        reader.move_to(place, position.checked_at_ms, tally.found)
        if time.monotonic() > stop_at:
            return found
    reader.move_to(place, max(position.checked_at_ms, settled_ms))
    return found


def sweep(reader: Reader, stop_at: float) -> int:
    """Once a day, whatever happened since the last time is looked for again, window by window."""
    until_ms = now_ms() - SETTLED_MS
    with reader.context.database.read() as connection:
        swept_ms = last_beat_ms(connection, SWEEP)
    if swept_ms is None:
        beat(reader.context.database, SWEEP, until_ms)
        return 0
    found, from_ms = 0, max(swept_ms, until_ms - KEPT_MS)
    is_due = until_ms - swept_ms >= DAY_MS
    while is_due and from_ms < until_ms and time.monotonic() < stop_at:
        to_ms = min(from_ms + WINDOW_MS, until_ms)
        found += reader.take_window(from_ms, to_ms).found
        beat(reader.context.database, SWEEP, to_ms)
        from_ms = to_ms
    return found
