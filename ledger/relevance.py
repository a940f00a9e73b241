"""Relevance: whether what a relay was to do is still wanted, asked again at the moment when it is about to be done.

Between the entry that asked for a relay and its turn anything may have been said. A withdrawal wins over every doubt.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from ledger import restriction, suppression, vault
from ledger.carrying import (
    ERASE,
    GIVE,
    GRANT_ACCESS,
    RECTIFY,
    RESTRICT,
    REVOKE_ACCESS,
    UNRESTRICT,
    WITHDRAW,
)
from ledger.check import pending_of, withdrawn_purposes
from ledger.identity import address_tags
from ledger.keyring import Keyring
from ledger.outbox import Relay
from ledger.state import GIVEN, read_states
from ledger.tables import product_access, subject
from schemas.address import parse_address

GRANTED = "granted"


@dataclass(frozen=True, slots=True)
class Relevance:
    """`purposes`: those that are still to be acted on. `superseded`: why nothing is left to do, as a word.

    `waits`: what will decide it is accepted and not recorded yet.
    """

    purposes: tuple[str, ...] = ()
    superseded: str | None = None
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """`addresses`: by which the processor will be asked. `caused_at_ms`: the effective time of what asked for it."""

    connection: Connection
    keyring: Keyring
    relay: Relay
    addresses: Sequence[str]
    caused_at_ms: int


def ask(question: Question) -> Relevance:
    """Of an action that is not ours, such as a processor's own: still wanted."""
    check = _CHECKS.get(question.relay.action)
    return Relevance(question.relay.purposes) if check is None else check(question)


def _withdraw(question: Question) -> Relevance:
    own, connection = question.relay, question.connection
    still = withdrawn_purposes(connection, own.subject, own.purposes)
    if own.box is not None:
        given = _given_since(question)
        still = tuple(purpose for purpose in still if purpose not in given)
    return Relevance(still) if still else Relevance(superseded="given_since")


def _given_since(question: Question) -> set[str]:
    """What whoever has this very address by now has given after the withdrawal of what was nobody's then.

    Of several addresses each must have such an owner: else all are withdrawn, and given again (ledger.aftermath).
    """
    given = [_given_at(question, address) for address in question.addresses]
    return set.intersection(*given) if given else set()


def _given_at(question: Question, address: str) -> set[str]:
    given: set[str] = set()
    for handle in owners(question.connection, question.keyring, [address]):
        if handle != question.relay.subject:
            given |= {
                purpose
                for purpose, state in read_states(question.connection, handle).items()
                if state.state == GIVEN and state.effective_at_ms > question.caused_at_ms
            }
    return given


def owners(connection: Connection, keyring: Keyring, addresses: Iterable[str]) -> list[bytes]:
    """Whose these addresses are for certain."""
    tags = [address_tags(keyring["index_pepper"], parse_address(one)) for one in addresses]
    found = [vault.find_by_narrow(connection, one) for one in tags]
    return list(dict.fromkeys(handle for handle in found if handle is not None))


def _give(question: Question) -> Relevance:
    own, connection = question.relay, question.connection
    if not _exists(question):
        return Relevance(superseded="subject_gone")
    if restriction.reason_of(connection, own.subject) in restriction.REASONS:
        return Relevance(superseded="restricted")
    if pending_of(connection, own.subject) & set(own.purposes):
        return Relevance(waits=True)
    given = given_purposes(connection, own.subject)
    still = tuple(purpose for purpose in own.purposes if purpose in given)
    if not still:
        return Relevance(superseded="withdrawn_since")
    still = tuple(purpose for purpose in still if not _is_suppressed(question, purpose))
    return Relevance(still) if still else Relevance(superseded="suppressed")


def given_purposes(connection: Connection, handle: bytes) -> set[str]:
    return {purpose for purpose, state in read_states(connection, handle).items() if state.state == GIVEN}


def _is_suppressed(question: Question, purpose: str) -> bool:
    """Whether one of the addresses said stop when it was nobody's, and later than this was given."""
    state = read_states(question.connection, question.relay.subject)[purpose]
    for one in question.addresses:
        stops = suppression.find(question.connection, question.keyring["suppression"], parse_address(one))
        since_ms = suppression.since_ms(stops, purpose)
        if since_ms is not None and since_ms >= state.effective_at_ms:
            return True
    return False


def _restrict(question: Question) -> Relevance:
    is_restricted = restriction.reason_of(question.connection, question.relay.subject) in restriction.REASONS
    return Relevance(question.relay.purposes, None if is_restricted else "restriction_lifted")


def _unrestrict(question: Question) -> Relevance:
    is_restricted = restriction.reason_of(question.connection, question.relay.subject) in restriction.REASONS
    if not _exists(question):
        return Relevance(superseded="subject_gone")
    return Relevance(question.relay.purposes, "restricted_again" if is_restricted else None)


def _rectify(question: Question) -> Relevance:
    return Relevance(question.relay.purposes, None if _exists(question) else "subject_gone")


def _erase(question: Question) -> Relevance:
    return Relevance(question.relay.purposes)


def _grant(question: Question) -> Relevance:
    return Relevance(superseded=None if _has_access(question) else "access_revoked")


def _revoke(question: Question) -> Relevance:
    return Relevance(superseded="access_granted" if _has_access(question) else None)


def _has_access(question: Question) -> bool:
    """By any payment: one that was paid back does not end what another one pays for."""
    own = question.relay
    held = (product_access.c.subject == own.subject) & (product_access.c.product == own.product)
    query = select(product_access.c.tag).where(held, product_access.c.status == GRANTED).limit(1)
    return question.connection.execute(query).first() is not None


_EXISTS = select(subject.c.handle).where(subject.c.handle == bindparam("handle"))


def _exists(question: Question) -> bool:
    return question.connection.execute(_EXISTS, {"handle": question.relay.subject}).first() is not None


_CHECKS: Mapping[str, Callable[[Question], Relevance]] = {
    WITHDRAW: _withdraw,
    GIVE: _give,
    RESTRICT: _restrict,
    UNRESTRICT: _unrestrict,
    RECTIFY: _rectify,
    ERASE: _erase,
    GRANT_ACCESS: _grant,
    REVOKE_ACCESS: _revoke,
}
