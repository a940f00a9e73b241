"""Stripe's list of events, page by page, and from there into the inbox; what is there already is left alone."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import stripe
from stripe.params import EventListParams

from ledger.inbox import Acceptance, accept
from ledger.intake import Position, known_ids, read_position, write_position
from ledger.reception import Reception
from ledger.versions import VersionWatch
from schemas.log_line import log
from schemas.refusal import NotUnderstood
from schemas.strict_json import SyntaxRefused, parse_json
from schemas.stripe.event import ASKED_TYPES
from schemas.stripe.shape import SOURCE, created_ms, read_event_id
from workers.context import Context, now_ms
from workers.outgoing import OutgoingError, OutgoingSession
from workers.relays.action import RelayError, error_for_transport
from workers.relays.stripe import StripeConnection, open_client, relay_error

HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS
KEPT_MS = 30 * DAY_MS  # https://docs.stripe.com/api/events: "going back up to 30 days"
CATCHING_UP_MS = 6 * HOUR_MS  # asked for at once, where there is no position to read on from
PAGE_SIZE = 50
# The door takes events of 512 KiB at most, so whatever could have been delivered fits.
RESPONSE_SIZE_MAX_BYTES = PAGE_SIZE * 640 * 1024
DEADLINE_S = 30.0
POSITION_EXPIRED = "position_expired"  # Stripe does not know the event any more that we read on from

Event = Mapping[str, Any]


@dataclass(slots=True)
class Tally:
    """`found`: what only asking brought. `missing`: what is not in the inbox even now."""

    looked_at: int = 0
    found: int = 0
    missing: int = 0

    @property
    def duplicates(self) -> int:
        return self.looked_at - self.found - self.missing


@dataclass(frozen=True, slots=True)
class Reader:
    """The way to Stripe's events, and from there into the inbox."""

    context: Context
    client: stripe.StripeClient
    reception: Reception
    watch: VersionWatch

    def position(self) -> Position | None:
        with self.context.database.read() as connection:
            return read_position(connection, SOURCE)

    def move_to(self, place: str, checked_at_ms: int, found: int = 0) -> None:
        with self.context.database.write() as connection:
            write_position(connection, SOURCE, place, checked_at_ms, found)

    def begin(self) -> None:
        """At the newest event there is: what came before us is not ours to take in unasked."""
        at_ms = now_ms()
        newest, _ = self._list({"limit": 1})
        self.move_to(read_event_id(newest[0]) if newest else "", at_ms)

    def newer_than(self, position: Position) -> Iterator[list[Event]]:
        """Pages of events, oldest page first; within a page the newest event is the first."""
        if position.place:  # asked for what is before it in a list that begins with the newest
            yield from self._pages({"ending_before": position.place}, "ending_before")
            return
        at_ms = now_ms()
        for from_ms in range(max(position.checked_at_ms, at_ms - KEPT_MS), at_ms, CATCHING_UP_MS):
            yield from reversed(list(self._window(from_ms, from_ms + CATCHING_UP_MS)))

    def take_window(self, from_ms: int, to_ms: int) -> Tally:
        """Every event created in [from, to), to the second."""
        total = Tally()
        for events in self._window(from_ms, to_ms):
            tally = self.take_in(events)
            total.looked_at += tally.looked_at
            total.found += tally.found
            total.missing += tally.missing
        position = self.position()
        if total.found and position is not None:
            self.move_to(position.place, position.checked_at_ms, total.found)
        if total.missing:
            log.error("stripe_events_missing", count=total.missing)
        return total

    def _window(self, from_ms: int, to_ms: int) -> Iterator[list[Event]]:
        return self._pages({"created": {"gte": from_ms // 1000, "lt": -(-to_ms // 1000)}}, "starting_after")

    def take_in(self, events: Sequence[Event]) -> Tally:
        """Accept what is not in the inbox, oldest first, then look whether all of it is there."""
        ids = [read_event_id(event) for event in events]
        known, found = self._known(ids), 0
        for event_id, event in reversed(list(zip(ids, events, strict=True))):
            if event_id not in known:
                found += self._accept(event_id, event)
        return Tally(len(ids), found, len(ids) - len(self._known(ids)))

    def _known(self, ids: Sequence[str]) -> set[str]:
        with self.context.database.read() as connection:
            return known_ids(connection, self.context.keyring["index_pepper"], SOURCE, ids)

    def _accept(self, event_id: str, event: Event) -> bool:
        """Whether it was new."""
        document: object
        try:
            document = parse_json(json.dumps(event).encode())  # as strictly as at the door
        except SyntaxRefused:
            document = {"id": event_id}  # the door would refuse it for ever; here it is parked under its id
        delivery = self.reception.delivery_of(SOURCE, document, None)
        acceptance, _ = accept(self.context.database, self.context.keyring, delivery, now_ms())
        version = self.watch.new_in(event, now_ms())
        if version is not None:
            log.warning("stripe_version_differs", version=version)
        return acceptance is not Acceptance.DUPLICATE

    def _pages(self, wanted: EventListParams, cursor: str) -> Iterator[list[Event]]:
        asked: set[str] = set()
        while True:
            events, has_more = self._list({**wanted, "limit": PAGE_SIZE})
            if events:
                yield events
            if not has_more or not events:
                return
            next_id = read_event_id(events[0 if cursor == "ending_before" else -1])
            if next_id in asked:  # a list that never ends
                raise RelayError("unexpected_answer")
            asked.add(next_id)
            wanted = {**wanted, cursor: next_id}  # type: ignore[misc]

    def _list(self, wanted: EventListParams) -> tuple[list[Event], bool]:
        """(events, whether there are more). Plain values: an object of the SDK is no dict, and believes any answer."""
        try:
            answer = self.client.raw_request("get", "/v1/events", types=list(ASKED_TYPES), **wanted).data
            events, has_more = answer["data"], answer["has_more"]
            _ = [(read_event_id(event), created_ms(event)) for event in events]
        except stripe.StripeError as error:
            if error.code == "resource_missing" and "ending_before" in wanted:
                raise RelayError(POSITION_EXPIRED) from None
            raise relay_error(error, now_ms()) from None
        except OutgoingError as error:
            raise error_for_transport(error) from None
        except (LookupError, TypeError, NotUnderstood):
            raise RelayError("unexpected_answer") from None
        return events, has_more is True


def open_reader(context: Context) -> Reader | None:
    """None where no key is set."""
    connection = context.connections.to(SOURCE)
    if not isinstance(connection, StripeConnection):
        return None
    settings = context.settings
    session = OutgoingSession(
        frozenset({urlsplit(settings.stripe_api_base).hostname or ""}),
        allow_loopback=settings.unsafe_allow_loopback,
        deadline_s=DEADLINE_S,
        response_size_max_bytes=RESPONSE_SIZE_MAX_BYTES,
    )
    reception = Reception(context.policy, context.keyring, settings.stripe_mode)
    return Reader(context, open_client(replace(connection, session=session)), reception, VersionWatch(context.database))
