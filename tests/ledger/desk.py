"""A desk in the ledger's room: says things there past the door, with a clock of the test's own."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, func, select

from ledger import vault
from ledger.audit import audit
from ledger.checkpoints import note_verifiers
from ledger.database import Database
from ledger.errors import NotFoundError
from ledger.identity import address_tags
from ledger.inbox import Acceptance, Delivery, PendingWithdrawal, accept
from ledger.keyring import load_keyring
from ledger.links import Link, confirmations, withdraw_link
from ledger.log import NewEntry, append_many, new_id
from ledger.recorder import Recorder
from ledger.sending import may_send
from ledger.state import GIVEN
from ledger.tables import relay
from schemas.address import parse_address
from schemas.entry import Entry, Kind
from schemas.message import Decision, Message, MessageType, comparable, format_message
from tests.world import World
from workers.record import DEEDS

NOW_MS = 4_000_000_000_000  # 2096: what is received then is always later than the clock that runs the test
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
OVERLAP_S = 0.3  # long enough for another transaction to reach its first lock
KARI = "kari@example.no"
Answer = TypeVar("Answer")


def sign_up(email: str = KARI, *purposes: str, sent_at_ms: int | None = None, **changes: Any) -> Message:
    """A form with every box ticked that is named; the newsletter if none is."""
    decisions = tuple(Decision(purpose, GIVEN) for purpose in purposes or ("newsletter",))
    fields: dict[str, Any] = {"email": email, "decisions": decisions, "sent_at_ms": sent_at_ms} | changes
    return Message(type=MessageType.SIGN_UP, source="form:newsletter", **fields)


def withdrawal(email: str = KARI, *purposes: str, sent_at_ms: int | None = None) -> Message:
    """A withdrawal form; every purpose if none is named."""
    return Message(
        type=MessageType.WITHDRAWAL, source="form:withdrawal", email=email, purposes=purposes, sent_at_ms=sent_at_ms
    )


def link_withdrawal(link_id: bytes) -> Message:
    return Message(type=MessageType.LINK_WITHDRAWAL, source="link", link_id=link_id.hex(), method="one_click")


def confirmation(link: Link) -> Message:
    return Message(type=MessageType.CONFIRMATION, source="link", link_id=link.id.hex(), method="web_form")


def unconfirmed(world: World) -> None:
    """A policy whose purposes need no confirmation: a form alone gives."""
    purposes = {key: replace(purpose, double_opt_in=False) for key, purpose in world.policy.purposes.items()}
    world.policy = replace(world.policy, purposes=MappingProxyType(purposes))


class Desk:
    """`at_ms` everywhere: when it is received and recorded."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.database: Database = world.database
        self.web = load_keyring("web", world.settings.keys_dir)
        self.keyring = load_keyring("record", world.settings.keys_dir)

    def recorder(self, at_ms: int, inbox_id: int | None = None) -> Recorder:
        return Recorder(self.keyring, self.world.policy, at_ms, at_ms, inbox_id)

    def say(self, message: Message, at_ms: int) -> list[int]:
        """Record a message as if it had just been accepted; returns the positions of its entries."""
        with self.database.write() as connection:
            return self.say_in(connection, message, at_ms)

    def say_in(self, connection: Connection, message: Message, at_ms: int) -> list[int]:
        """The same, in a transaction that somebody else commits."""
        return DEEDS[message.type](connection, self.recorder(at_ms), message)

    def delivery(self, message: Message, sender_id: str | None = None) -> Delivery:
        """As the door makes it: compared by content, sealed, and a withdrawal stops at once."""
        pending = None
        if message.type is MessageType.WITHDRAWAL:
            tags = address_tags(self.web["index_pepper"], parse_address(message.email or ""))
            pending = PendingWithdrawal(message.purposes or tuple(self.world.policy.purposes), tags=tags)
        return Delivery(message.source, comparable(message), format_message(message), sender_id, withdrawal=pending)

    def link_delivery(self, link_id: bytes, subject: bytes) -> Delivery:
        message = link_withdrawal(link_id)
        pending = PendingWithdrawal(tuple(self.world.policy.purposes), subject=subject)
        return Delivery(message.source, comparable(message), format_message(message), withdrawal=pending)

    def accept(self, delivery: Delivery, at_ms: int) -> Acceptance:
        return accept(self.database, self.web, delivery, at_ms)[0]

    def check(self, email: str = KARI, purpose: str = "newsletter") -> str:
        with self.database.read() as connection:
            (answer,) = may_send(connection, self.keyring, [parse_address(email)], purpose)
        assert answer.allowed is (answer.reason == "given")
        return answer.reason

    def handle(self, email: str = KARI) -> bytes:
        tags = address_tags(self.keyring["index_pepper"], parse_address(email))
        with self.database.read() as connection:
            found = vault.find_by_narrow(connection, tags)
        if found is None:
            raise NotFoundError("nobody_has_this_address")
        return found

    def asked(self, email: str = KARI) -> list[Link]:
        """Every confirmation link of a person, oldest first."""
        with self.database.read() as connection:
            return confirmations(connection, self.handle(email))

    def give(self, email: str, at_ms: int, *purposes: str) -> None:
        """A sign-up, and its newest link confirmed a second later."""
        self.say(sign_up(email, *purposes), at_ms)
        self.say(confirmation(self.asked(email)[-1]), at_ms + 1_000)

    def withdraw_link(self, email: str, at_ms: int) -> bytes:
        with self.database.write() as connection:
            return withdraw_link(connection, self.handle(email), at_ms)

    def payloads(self, email: str = KARI) -> list[dict[str, Any]]:
        with self.database.read() as connection:
            person = vault.load_subject(connection, self.keyring["kek"], self.handle(email))
            return vault.open_payloads(connection, person)

    def relays(self, **fields: Any) -> list[Any]:
        """Rows of the outbox with these values, in the order of their causes."""
        query = select(relay).order_by(relay.c.sequence, relay.c.processor)
        for name, value in fields.items():
            query = query.where(relay.c[name] == value)
        with self.database.read() as connection:
            return list(connection.execute(query))

    def count(self, table: Table) -> int:
        with self.database.read() as connection:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())

    def problems(self) -> list[str]:
        """Whatever the audit finds, with every box opened that is not restricted."""
        verifiers = note_verifiers(load_keyring("clock", self.world.settings.keys_dir)["checkpoint"])
        with self.database.read() as connection:
            report = audit(connection, verifiers, kek=self.keyring["kek"])
        return [problem.reason for problem in report.problems]

    def kinds(self) -> list[str]:
        return [leaf["kind"] for leaf in self.world.leaves()]


def append_purchases(database: Database, count: int) -> list[int]:
    """So many entries about nobody, in one transaction."""
    with database.write() as connection:
        return append_purchases_in(connection, count)


def append_purchases_in(connection: Connection, count: int) -> list[int]:
    entries = [Entry(new_id(NOW_MS), Kind.PURCHASE, NOW_MS, basis="contract") for _ in range(count)]
    return append_many(connection, [NewEntry(entry) for entry in entries])


def at_once(deeds: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Every deed in a thread of its own, all released together; the answers in order, or the first error."""
    gate = threading.Barrier(len(deeds))

    def run(deed: Callable[[], Answer]) -> Answer:
        gate.wait(timeout=30)
        return deed()

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(run, deeds))


@contextlib.contextmanager
def meanwhile(database: Database, deed: Callable[[], object]) -> Iterator[Connection]:
    """A transaction that is still open when `deed` begins elsewhere, and is committed while that waits or runs."""
    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            yield connection
            started = threading.Event()
            other = pool.submit(_announce, started, deed)
            started.wait(timeout=30)
            time.sleep(OVERLAP_S)
        other.result(timeout=30)


def _announce(started: threading.Event, deed: Callable[[], object]) -> None:
    started.set()
    deed()
