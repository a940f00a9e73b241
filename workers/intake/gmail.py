"""Gmail, asked: what came since our position, and of it the few mails that say something we understand.

A mail is never stored. What enters the inbox is the sender's address and what is asked for. docs/senders/gmail.md
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ledger.inbox import Acceptance, Delivery, accept
from ledger.intake import Position, known_ids, read_position, write_expiry, write_position
from ledger.links import WITHDRAW, find_link
from ledger.reception import Reception
from schemas.address import Address, AddressRefused, parse_address
from schemas.log_line import log
from schemas.mail.envelope import Envelope, Ours, is_proven, read_sender, read_token, why_left_alone
from schemas.mail.intent import Said, read_intent
from schemas.mail.own_words import read_text
from schemas.mail.phrases import WITHDRAWAL
from schemas.message import Message, MessageType
from schemas.token import TokenRefused, parse_token
from workers.context import Context, now_ms
from workers.doorbell import RECORD
from workers.intake.mailbox import HISTORY_EXPIRED, PAGE_SIZE, GmailConnection, Mailbox
from workers.relays.action import RelayError

SOURCE = "gmail"
METHOD = "mail"
DAY_MS = 24 * 3600 * 1000
# A watch ends after 7 days, silently; renewed daily, it has 6 left when it is due.
WATCH_LEFT_MS, WATCH_ALARM_MS = 6 * DAY_MS, 2 * DAY_MS
LOOK_BACK_MAX_MS = 30 * DAY_MS
OVERLAP_MS = 3600 * 1000  # mails are listed by the time at which Gmail took them in, and that is nearly their order
OF_ONE_MAIL = frozenset({"gone", "rejected", "response_too_large"})  # any other fault may be everybody's
BUDGET_S = 40.0  # of one job; what is left is for the next ring


def take(context: Context) -> int:
    """Read on from our position; how many deliveries that brought. Raises RelayError."""
    connection = context.connections.to(SOURCE)
    if connection is None:
        return 0
    assert isinstance(connection, GmailConnection)
    reader = Reader(context, Mailbox(connection))
    reader.begin_or_renew()
    found = reader.read_on(time.monotonic() + BUDGET_S)
    if found:
        context.doorbell.press(RECORD)
    return found


@dataclass(slots=True)
class Taken:
    """What some mails brought: deliveries, and the time of the newest of those that were looked at."""

    brought: int = 0
    newest_ms: int = 0


@dataclass(frozen=True, slots=True)
class Reader:
    """One reading of the mailbox. `outcomes`: what the mails were, counted; nothing else is remembered of them."""

    context: Context
    mailbox: Mailbox
    outcomes: Counter[str] = field(default_factory=Counter)

    def begin_or_renew(self) -> None:
        """The first time, the position is now: older mail is not ours to take in unasked. And the watch, when due."""
        now = now_ms()
        with self.context.database.read() as connection:
            position = read_position(connection, SOURCE)
        if position is None:
            self._move_to(self.mailbox.newest_place(), now)
        topic = self.context.settings.gmail_topic
        left_ms = (position.expires_at_ms or 0) - now if position else 0
        if topic is None or left_ms > WATCH_LEFT_MS:
            return
        try:
            expires_at_ms = self.mailbox.watch(topic)
        except RelayError as error:  # without it we still ask once a minute
            level = log.warning if left_ms > WATCH_ALARM_MS else log.error
            level("watch_not_renewed", source=SOURCE, reason=error.reason, status=error.status)
            return
        with self.context.database.write() as connection:
            write_expiry(connection, SOURCE, expires_at_ms)

    def read_on(self, stop_at: float) -> int:
        """The position moves past a page only when every delivery of it is committed."""
        with self.context.database.read() as connection:
            position = read_position(connection, SOURCE)
        assert position is not None
        try:
            return self._follow(position, stop_at)
        except RelayError as error:
            if error.reason != HISTORY_EXPIRED:
                raise
            # Gmail keeps a week, "in rare circumstances a few hours".
            log.warning("history_expired", source=SOURCE)
            return self._catch_up(position, stop_at)
        finally:
            for outcome, count in sorted(self.outcomes.items()):
                log.info("mail_sorted", source=SOURCE, outcome=outcome, count=count)

    def _follow(self, position: Position, stop_at: float) -> int:
        """By the mailbox' history."""
        began_ms, found, place = now_ms(), 0, position.place
        for page in self.mailbox.added_since(place):
            brought, place = self._take(page.message_ids).brought, page.place
            found += brought
            self._move_to(place, position.checked_at_ms, brought)
            if time.monotonic() > stop_at:
                return found
        self._move_to(place, began_ms)  # that was the last page: until here nothing is missing
        return found

    def _catch_up(self, position: Position, stop_at: float) -> int:
        """By the mail itself, from when nothing was missing; the next ring goes on where the time ended."""
        began_ms, found = now_ms(), 0
        newest = self.mailbox.newest_place()  # before the list is made: what comes later is in the history from there
        checked_ms = max(position.checked_at_ms, began_ms - LOOK_BACK_MAX_MS)
        message_ids = self.mailbox.received_since(checked_ms - OVERLAP_MS)
        for start in range(0, len(message_ids), PAGE_SIZE):
            taken = self._take(message_ids[start : start + PAGE_SIZE])
            found += taken.brought
            checked_ms = max(checked_ms, min(taken.newest_ms, began_ms))
            self._move_to(position.place, checked_ms, taken.brought)
            if time.monotonic() > stop_at:
                return found
        self._move_to(newest, began_ms)
        return found

    def _move_to(self, place: str, checked_at_ms: int, found: int = 0) -> None:
        with self.context.database.write() as connection:
            write_position(connection, SOURCE, place, checked_at_ms, found)

    def _take(self, message_ids: Sequence[str]) -> Taken:
        context, taken = self.context, Taken()
        with context.database.read() as connection:
            ids = {f"{SOURCE}:{each}": each for each in message_ids}
            known = known_ids(connection, context.keyring["index_pepper"], SOURCE, ids)
        for sender_id, message_id in ids.items():
            if sender_id not in known:
                self._take_one(message_id, sender_id, taken)
        return taken

    def _take_one(self, message_id: str, sender_id: str, taken: Taken) -> None:
        """A fault of this one mail must not hold up all that came after it."""
        deliveries: list[Delivery] = []
        try:
            envelope = self.mailbox.envelope(message_id)
            if envelope is None:
                outcome = "gone"
            else:
                taken.newest_ms = max(taken.newest_ms, envelope.received_at_ms)
                outcome, deliveries = self._read(message_id, sender_id, envelope)
        except RelayError as error:
            if error.reason not in OF_ONE_MAIL:
                raise
            outcome = "unreadable"
        for delivery in deliveries:
            acceptance, _ = accept(self.context.database, self.context.keyring, delivery, now_ms())
            taken.brought += acceptance is Acceptance.ACCEPTED
        self.outcomes[outcome] += 1

    def _read(self, message_id: str, sender_id: str, envelope: Envelope) -> tuple[str, list[Delivery]]:
        token = read_token(envelope)
        if token is not None:
            return self._by_link(token, sender_id)
        reason = why_left_alone(envelope, self._ours())
        if reason is not None:
            return reason, []
        sender = read_sender(envelope)
        if sender is None or not is_proven(envelope, sender):
            return "sender_not_proven", []
        said = read_intent(envelope.subject, read_text(self.mailbox.content(message_id)))
        if not said.intents:
            return "nothing_understood", []
        return "understood", list(self._deliveries_of(said, sender, sender_id))

    def _deliveries_of(self, said: Said, sender: Address, sender_id: str) -> Iterator[Delivery]:
        """The last one has the plain id: only then is the whole mail known."""
        reception = self._reception()
        for intent in said.intents:
            asks = intent != WITHDRAWAL
            message = Message(
                MessageType.REQUEST if asks else MessageType.WITHDRAWAL,
                SOURCE,
                email=sender.verbatim,
                method=METHOD,
                language=said.language,
                right=intent if asks else None,
            )
            is_last = intent == said.intents[-1]
            yield reception.delivery_of_message(message, sender_id if is_last else f"{sender_id}:{intent}")

    def _by_link(self, token: str, sender_id: str) -> tuple[str, list[Delivery]]:
        """A withdrawal by the token that only the person was mailed, from whatever address it comes."""
        try:
            link_id = parse_token(token, self.context.keyring["token_mac"].versions)
        except TokenRefused:
            return "link_unknown", []
        with self.context.database.read() as connection:
            link = find_link(connection, link_id)
        if link is None or link.kind != WITHDRAW:
            return "link_unknown", []
        return "link", [self._reception().withdrawal_by_link(link, SOURCE, METHOD, sender_id)]

    def _reception(self) -> Reception:
        return Reception(self.context.policy, self.context.keyring, self.context.settings.stripe_mode)

    def _ours(self) -> Ours:
        settings = self.context.settings
        return Ours(
            frozenset(_narrow(address) for address in (settings.mail_from, settings.gmail_mailbox or "")),
            settings.mail_from.rpartition("@")[2].lower(),
        )


def _narrow(text: str) -> str:
    try:
        return parse_address(text).narrow
    except AddressRefused:
        return text.lower()
