"""Everybody whom one purpose may be sent to right now: for a mailer that takes a list instead of asking."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from ledger import profile, vault
from ledger.keyring import Keyring
from ledger.sending import Answer, may_send
from ledger.state import GIVEN, ConsentState, read_states
from ledger.tables import consent_state
from schemas.address import parse_address

CHUNK = 500  # people at a time: whoever lists a hundred thousand holds no more of them than these


@dataclass(frozen=True, slots=True)
class Sendable:
    """`email`: the newest that is the person's, as it was spelled. `profile`: what the person said last.

    `facts`: what they told about themselves, while they agree to profiling.
    """

    email: str
    profile: dict[str, str]
    answer: Answer
    facts: Mapping[str, tuple[str, ...]]


def everybody(connection: Connection, keyring: Keyring, purpose: str, fields: tuple[str, ...]) -> Iterator[Sendable]:
    """In no order that means anything. The caller has appended the entry that says that boxes are opened."""
    after = b""
    while handles := _next(connection, purpose, after):
        after = handles[-1]
        people = [found for handle in handles if (found := _open(connection, keyring, handle)) is not None]
        answers = may_send(connection, keyring, [parse_address(email) for email, *_ in people], purpose)
        for (email, known, facts), answer in zip(people, answers, strict=True):
            if answer.allowed:
                yield Sendable(email, {name: known.get(name, "") for name in fields}, answer, facts)


def _next(connection: Connection, purpose: str, after: bytes) -> list[bytes]:
    given = (consent_state.c.purpose == purpose) & (consent_state.c.state == GIVEN)
    query = select(consent_state.c.subject).where(given, consent_state.c.subject > after)
    return list(connection.execute(query.order_by(consent_state.c.subject).limit(CHUNK)).scalars())


def _open(
    connection: Connection, keyring: Keyring, handle: bytes
) -> tuple[str, dict[str, str], Mapping[str, tuple[str, ...]]] | None:
    """None for somebody restricted: nothing of theirs is opened for this."""
    person = vault.load_subject(connection, keyring["kek"], handle)
    if person.restricted:
        return None
    payloads = vault.open_payloads(connection, person)
    emails = [payload["email"] for payload in payloads if payload.get("email")]
    known: dict[str, str] = {}
    for payload in payloads:
        known |= {name: value for name, value in payload.items() if isinstance(value, str) and value}
    agrees = read_states(connection, handle).get(profile.PROFILING, ConsentState()).state == GIVEN
    return (emails[-1], known, profile.told(payloads) if agrees else {}) if emails else None
