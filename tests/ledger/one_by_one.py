"""The oracle of `may_send`: the same answer for one address, asked step by step, as slowly as it reads."""

from dataclasses import dataclass

from sqlalchemy import Connection

from ledger import quarantine, restriction, suppression, vault
from ledger.check import pending_purposes
from ledger.identity import address_tags
from ledger.keyring import Keyring
from ledger.log import entry_at
from ledger.state import GIVEN, ConsentState, read_states
from schemas.address import Address


@dataclass(frozen=True, slots=True)
class Answer:
    """`reason`: given, never_asked, requested, refused, withdrawn, revoked, withdrawal_pending, suppressed,
    restricted or quarantined."""

    allowed: bool
    reason: str
    since_ms: int | None = None
    entry: str | None = None


def check_address(connection: Connection, keyring: Keyring, address: Address, purpose: str) -> Answer:
    if quarantine.reason_of(connection) is not None:  # the ledger may lack the newest withdrawals
        return Answer(False, "quarantined")
    tags = address_tags(keyring["index_pepper"], address)
    handles = vault.find_by_wide(connection, tags)
    own = vault.find_by_narrow(connection, tags)
    if purpose in pending_purposes(connection, handles, tags.wides):
        return Answer(False, "withdrawal_pending")
    since_ms = suppression.since_ms(suppression.find(connection, keyring["suppression"], address), purpose)
    if since_ms is not None:
        return Answer(False, "suppressed", since_ms)
    if own is None:
        return Answer(False, "never_asked")
    if restriction.reason_of(connection, own) not in (None, restriction.WITHDRAWN):
        return Answer(False, "restricted")
    return _answer(connection, read_states(connection, own).get(purpose, ConsentState()))


def _answer(connection: Connection, state: ConsentState) -> Answer:
    if state.position < 0:
        return Answer(False, state.state)
    entry = entry_at(connection, state.position).id.hex()
    return Answer(state.state == GIVEN, state.state, state.effective_at_ms, entry)
