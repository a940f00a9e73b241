"""Aftermath: what the end of one relay means for others, in the transaction that ends it.

An erasure may be complete with it; and where somebody is removed by an address alone, whoever has that address by now
and has given consent may have been removed with them, and is given again.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from ledger import outbox
from ledger.carrying import ERASE, GIVE, WITHDRAW
from ledger.erasure_work import complete_if_done
from ledger.keyring import Keyring
from ledger.log import entry_at
from ledger.outbox import NewRelay, Relay
from ledger.relevance import given_purposes, owners
from ledger.state import read_states
from ledger.tables import relay
from schemas.policy import Policy


def settle(
    connection: Connection, keyring: Keyring, policy: Policy, ended: Relay, addresses: Sequence[str], now_ms: int
) -> None:
    """`addresses`: those that the relay carried itself. The caller holds the head's lock."""
    if ended.action == ERASE:
        complete_if_done(connection, ended.cause, policy, now_ms)
    if ended.action in (ERASE, WITHDRAW) and addresses:
        processor = policy.processors.get(ended.processor)  # it may have left policy.toml meanwhile
        if processor is None or GIVE not in processor.actions:
            return
        for handle in owners(connection, keyring, addresses):
            if handle != ended.subject:
                _give_again(connection, handle, ended.processor, now_ms)


def _give_again(connection: Connection, handle: bytes, processor: str, now_ms: int) -> None:
    purposes = sorted(given_purposes(connection, handle))
    if not purposes:
        return
    own = (relay.c.subject == handle) & (relay.c.processor == processor) & (relay.c.action == GIVE)
    newest = connection.execute(select(relay.c.id).where(own).order_by(relay.c.sequence.desc()).limit(1)).scalar()
    if newest is not None:
        outbox.do_again(connection, newest, purposes, now_ms)
        return
    position = max(state.position for purpose, state in read_states(connection, handle).items() if purpose in purposes)
    new = NewRelay(
        subject=handle,
        processor=processor,
        action=GIVE,
        purposes=tuple(purposes),
        cause=entry_at(connection, position).id.hex(),
        sequence=position,
        urgent=False,
        id=outbox.new_relay_id(),
    )
    outbox.enqueue(connection, [new], now_ms)
