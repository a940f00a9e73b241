"""A history of the ledger that is the same wherever it is made: seeded events, what a database must do with them, and
the digest of all that it stores. tests/ledger/model.py says what must come out.
"""

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select, update

from ledger.database import Database
from ledger.log import NewEntry, append_many
from ledger.state import GIVEN, REFUSED, REQUESTED, REVOKED, WITHDRAWN, ConsentState, write_states
from ledger.tables import (
    consent_state,
    erasure,
    ledger_entry,
    ledger_head,
    ledger_node,
    product_access,
    subject,
    vault,
)
from schemas.entry import ENDING_KINDS, RIGHTS, Entry, Kind

BEGIN_MS = 1_790_000_000_000
PURPOSES = ("information", "newsletter", "offers", "profiling")
PROCESSORS = ("google", "stripe", "wordpress")
STATES = {
    Kind.REQUESTED: REQUESTED,
    Kind.REFUSED: REFUSED,
    Kind.GIVEN: GIVEN,
    Kind.WITHDRAWN: WITHDRAWN,
    Kind.REVOKED: REVOKED,
}
RESTRICTS = {Kind.RESTRICTED: True, Kind.UNRESTRICTED: False}
# How often a kind comes, about as at a small company; every kind that is not here is rare.
OFTEN: Mapping[Kind, int] = {
    Kind.REQUESTED: 300,
    Kind.GIVEN: 220,
    Kind.REFUSED: 80,
    Kind.WITHDRAWN: 90,
    Kind.PURCHASE: 100,
    Kind.DROPPED: 60,
    Kind.RELAY_COMPLETED: 300,
    Kind.RELAY_PARKED: 20,
    Kind.EXPIRED: 20,
}
BATCH_SIZES = (1, 1, 2, 7, 50, 100, 300)


@dataclass(frozen=True, slots=True)
class Event:
    """One entry, and the consent state that it claims, if any, as (state, effective time)."""

    new: NewEntry
    state: str | None = None
    effective_at_ms: int = 0

    @property
    def person(self) -> bytes:
        assert self.new.entry.subject is not None
        return self.new.entry.subject


@dataclass
class _World:
    """What the generator remembers of its own past."""

    rng: random.Random
    at_ms: int = BEGIN_MS
    inbox_id: int = 0
    ordinal: int = 0
    people: list[bytes] = field(default_factory=list)
    last_id: str = f"{0:032x}"

    def word(self, *words: str) -> str:
        return self.rng.choice(words)

    def hex(self, size_bytes: int) -> str:
        return self.rng.randbytes(size_bytes).hex()

    def person(self, *, is_new: bool) -> bytes:
        if is_new or not self.people:
            self.people.append(self.rng.randbytes(16))
            return self.people[-1]
        # Mostly somebody whom we heard of lately, as a confirmation follows a request.
        newest = len(self.people) - 1
        return self.people[max(0, newest - int(self.rng.expovariate(0.1)))]

    def forget(self, handle: bytes) -> None:
        """Never chosen again."""
        index = len(self.people) - 1
        while self.people[index] != handle:
            index -= 1
        del self.people[index]

    def number_delivery(self) -> tuple[int, int]:
        """Inbox id and ordinal: now and then one delivery has several entries."""
        if self.inbox_id and self.rng.random() < 0.2:
            self.ordinal += 1
        else:
            self.inbox_id, self.ordinal = self.inbox_id + 1, 0
        return self.inbox_id, self.ordinal


def generate(seed: int, count: int) -> Iterator[Event]:
    """The same `count` events for the same seed; a longer history begins with the shorter one."""
    world = _World(random.Random(seed))
    kinds = list(Kind)
    weights = list(accumulate(OFTEN.get(kind, 2) for kind in kinds))
    for _ in range(count):
        (kind,) = world.rng.choices(kinds, cum_weights=weights)
        world.at_ms += world.rng.choice((0, 0, 1, 40, 5_000))
        yield _event(world, kind)


def _event(world: _World, kind: Kind) -> Event:
    entry_id = f"{world.at_ms:012x}{world.hex(10)}"  # as ledger.log.new_id makes them
    fields, box = _FIELDS_OF[kind.partition(".")[0]](world, kind)
    is_delivered = kind in STATES or kind in (Kind.PURCHASE, Kind.DROPPED)
    inbox_id, ordinal = world.number_delivery() if is_delivered else (None, 0)
    entry = Entry(entry_id, kind, world.at_ms, **fields)
    world.last_id = entry_id
    if kind in ENDING_KINDS:
        assert entry.subject is not None
        world.forget(entry.subject)
    effective_at_ms = entry.occurred_at_ms if entry.occurred_at_ms is not None else world.at_ms
    return Event(NewEntry(entry, box, inbox_id, ordinal), STATES.get(kind), effective_at_ms)


_Fields = tuple[dict[str, Any], bytes | None]


def _sealed(world: _World) -> _Fields:
    return {"commitment": world.rng.randbytes(32)}, world.rng.randbytes(world.rng.randrange(120, 400))


def _consent(world: _World, kind: Kind) -> _Fields:
    has_box = kind is Kind.REQUESTED or (kind is Kind.WITHDRAWN and world.rng.random() < 0.5)
    sealed, box = _sealed(world) if has_box else ({}, None)
    fields: dict[str, Any] = {
        "subject": world.person(is_new=kind is Kind.REQUESTED and world.rng.random() < 0.6),
        "purpose": world.word(*PURPOSES),
        "received_at_ms": world.at_ms,
        # Some senders' clocks are late, so the order of recording is not the order of effect.
        "occurred_at_ms": world.at_ms - world.rng.choice((0, 0, 0, 1_000, 3_600_000)),
        "basis": "consent",
        "source": world.word("form:newsletter", "form:contact", "stripe", "link"),
        "method": world.word("form", "double_opt_in", "one_click", "web_form", "stripe"),
    }
    if kind is Kind.REQUESTED:
        fields |= {"notice": "privacy-2026-11", "notice_sha256": world.hex(32)}
    if kind is Kind.GIVEN:
        fields["ref"] = world.last_id
    return fields | sealed, box


def _purchase(world: _World, _kind: Kind) -> _Fields:
    return {"basis": "contract", "source": "stripe", "method": "stripe", "occurred_at_ms": world.at_ms - 900}, None


def _customer(world: _World, kind: Kind) -> _Fields:
    return _purchase(world, kind)[0] | {"subject": world.person(is_new=False)}, None


def _request(world: _World, kind: Kind) -> _Fields:
    is_new = kind is Kind.REQUEST_RECEIVED and world.rng.random() < 0.5
    sealed, box = _sealed(world) if kind is Kind.REQUEST_RECEIVED else ({"ref": world.last_id}, None)
    fields: dict[str, Any] = {
        "subject": world.person(is_new=is_new),
        "right": world.word(*RIGHTS),
        "received_at_ms": world.at_ms,
        "source": world.word("form:contact", "gmail"),
        "method": world.word("form", "mail"),
    }
    return fields | sealed, box


def _processor(world: _World, _kind: Kind) -> _Fields:
    return {
        "source": "stripe",
        "processor": "stripe",
        "reason": "customer_deleted",
        "received_at_ms": world.at_ms,
    }, None


def _minimisation(world: _World, _kind: Kind) -> _Fields:
    return {"rule": "card_number", "field": world.word("company", "other"), "count": world.rng.randrange(1, 9)}, None


def _relay(world: _World, kind: Kind) -> _Fields:
    fields: dict[str, Any] = {
        "subject": world.person(is_new=False),
        "ref": world.last_id,
        "processor": world.word(*PROCESSORS),
        "action": world.word("give", "withdraw", "erase"),
    }
    return fields | ({"reason": "timeout"} if kind is Kind.RELAY_PARKED else {"outcome": "confirmed"}), None


def _person(world: _World, kind: Kind) -> _Fields:
    fields: dict[str, Any] = {"subject": world.person(is_new=False), "basis": "legal_obligation", "source": "operator"}
    sealed, box = _sealed(world) if kind.value == "subject.rectified" else ({}, None)
    return fields | sealed, box


def _access(world: _World, _kind: Kind) -> _Fields:
    return _customer(world, _kind)[0] | {"product": world.word("course", "membership"), "ref": world.last_id}, None


def _profile(world: _World, _kind: Kind) -> _Fields:
    sealed, box = _sealed(world)
    told = {"fact": "interests", "purpose": "profiling", "basis": "consent", "source": "form:newsletter"}
    return {"subject": world.person(is_new=False)} | told | sealed, box


def _erasure(world: _World, _kind: Kind) -> _Fields:
    return {"ref": world.last_id, "outcome": "retained", "retained_until_ms": world.at_ms + 10**11}, None


def _drift(world: _World, _kind: Kind) -> _Fields:
    found = {"purpose": world.word(*PURPOSES), "processor": world.word(*PROCESSORS), "outcome": "given"}
    return {"subject": world.person(is_new=False), "source": "drift"} | found, None


def _operator(world: _World, _kind: Kind) -> _Fields:
    return {"ref": world.last_id, "reason": "asked_by_person", "source": "operator"}, None


def _ledger(world: _World, _kind: Kind) -> _Fields:
    return {"key": "checkpoint", "key_version": world.rng.randrange(1, 9), "public_key_sha256": world.hex(32)}, None


_FIELDS_OF: Mapping[str, Callable[[_World, Kind], _Fields]] = {
    "consent": _consent,
    "purchase": _purchase,
    "customer": _customer,
    "request": _request,
    "processor": _processor,
    "minimisation": _minimisation,
    "relay": _relay,
    "subject": _person,
    "delivery": _operator,
    "payload": _operator,
    "ledger": _ledger,
    "access": _access,
    "profile": _profile,
    "erasure": _erasure,
    "drift": _drift,
}


# What a database must do with it.


def batches(events: Iterable[Event], seed: int) -> Iterator[list[Event]]:
    """Transactions of one entry and of many, in a seeded order."""
    rng, batch, size = random.Random(seed), [], 1
    for event in events:
        batch.append(event)
        if len(batch) == size:
            yield batch
            batch, size = [], rng.choice(BATCH_SIZES)
    if batch:
        yield batch


def replay(database: Database, history: Iterable[Sequence[Event]], known: set[bytes] | None = None) -> None:
    """Each batch in one transaction, with all that its entries say of the people in them. `known`: who is there
    already, to which everybody is added who comes.
    """
    known = set() if known is None else known
    for batch in history:
        people = {event.person for event in batch if event.new.entry.subject is not None}
        with database.write() as connection:
            add_people(connection, sorted(people - known))
            store(connection, batch)
        known |= people


def add_people(connection: Connection, handles: Sequence[bytes]) -> None:
    if handles:
        rows = [{"handle": handle, "data_key": b"", "language": "nb", "created_at_ms": BEGIN_MS} for handle in handles]
        connection.execute(insert(subject), rows)


def store(connection: Connection, batch: Sequence[Event]) -> list[int]:
    """In the caller's transaction; the people exist. Returns the positions."""
    positions = append_many(connection, [event.new for event in batch])
    claims: dict[bytes, list[tuple[str, ConsentState]]] = {}
    for position, event in zip(positions, batch, strict=True):
        entry = event.new.entry
        if event.state is not None:
            assert entry.purpose is not None
            claim = ConsentState(event.state, event.effective_at_ms, position)
            claims.setdefault(event.person, []).append((entry.purpose, claim))
        _store_work(connection, entry)
        if entry.kind in ENDING_KINDS:  # the generator says no more of them
            claims.pop(event.person, None)
            for column in (vault.c.subject, consent_state.c.subject, product_access.c.subject, subject.c.handle):
                connection.execute(delete(column.table).where(column == event.person))
        elif entry.kind is Kind.REDACTED:
            of_ref = select(ledger_entry.c.position).where(ledger_entry.c.id == bytes.fromhex(entry.ref or ""))
            connection.execute(delete(vault).where(vault.c.position == of_ref.scalar_subquery()))
        elif entry.kind in RESTRICTS:
            restricted_at_ms = entry.recorded_at_ms if RESTRICTS[entry.kind] else None
            one = subject.c.handle == event.person
            connection.execute(update(subject).where(one).values(restricted_at_ms=restricted_at_ms))
    for handle, claimed in claims.items():
        write_states(connection, handle, claimed)
    return positions


def _store_work(connection: Connection, entry: Entry) -> None:
    """Erasures and product access, whose rows the audit holds against the entries."""
    entry_id, ref = bytes.fromhex(entry.id), bytes.fromhex(entry.ref or "")
    if entry.kind is Kind.ERASED:
        row = {"id": entry_id, "subject": entry.subject, "started_at_ms": entry.recorded_at_ms}
        connection.execute(insert(erasure), row)
    elif entry.kind is Kind.ERASURE_COMPLETED:
        done = {"completed_at_ms": entry.recorded_at_ms}
        connection.execute(update(erasure).where(erasure.c.id == ref).values(done))
    elif entry.kind is Kind.ACCESS_GRANTED:
        row = {"tag": entry_id, "grant": entry_id, "subject": entry.subject, "product": entry.product}
        connection.execute(insert(product_access), row | {"status": "granted"})
    elif entry.kind is Kind.ACCESS_REVOKED:
        connection.execute(update(product_access).where(product_access.c.grant == ref).values(status="revoked"))


# All of it in one number.

_STORED: Sequence[tuple[Table, Sequence[str]]] = (
    (ledger_entry, ("position", "leaf")),
    (ledger_node, ("position", "hash")),
    (ledger_head, ("size", "frontier")),
    (consent_state, ("subject", "purpose", "state", "effective_at_ms", "position")),
    (vault, ("position", "subject", "box")),
    (subject, ("handle", "restricted_at_ms")),
)


def stored_parts(connection: Connection) -> Iterator[Iterable[tuple[object, ...]]]:
    """Rows in the order of their first columns, which are the primary keys."""
    for table, names in _STORED:
        columns = [table.c[name] for name in names]
        rows = connection.execution_options(yield_per=10_000).execute(select(*columns).order_by(*columns[:2]))
        yield (tuple(row) for row in rows)


def digest_of(parts: Iterable[Iterable[tuple[object, ...]]]) -> str:
    """SHA-256 over every row of every part, in order. Integers, texts and bytes differ in how they are written."""
    digest = hashlib.sha256()
    for part in parts:
        for row in part:
            digest.update(repr(row).encode())
        digest.update(b"\n")
    return digest.hexdigest()
