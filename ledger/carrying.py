"""Carrying: the outbox rows that an entry asks for, one for every processor that policy.toml lets do it."""

from collections.abc import Sequence

from sqlalchemy import Connection

from ledger import outbox
from ledger.recorder import Recorder, sealed_address

GIVE, WITHDRAW, RECTIFY, ERASE = "give", "withdraw", "rectify", "erase"
RESTRICT, UNRESTRICT = "restrict", "unrestrict"
GRANT_ACCESS, REVOKE_ACCESS = "grant_access", "revoke_access"

# These have their own queue and their own process: nothing else ever stands before them.
URGENT = frozenset({WITHDRAW, ERASE})
# What policy.toml says of a processor, for those whose name it does not use.
_ALLOWED_BY = {UNRESTRICT: RESTRICT, GRANT_ACCESS: "product_access", REVOKE_ACCESS: "product_access"}


def carry(
    connection: Connection,
    recorder: Recorder,
    handle: bytes,
    action: str,
    cause: str,
    position: int,
    *,
    purposes: Sequence[str] = (),
    addresses: Sequence[str] = (),
    product: str | None = None,
) -> int:
    """Returns to how many processors. `addresses`: of somebody who has no vault, or that the vault no longer has."""
    allowed_by = _ALLOWED_BY.get(action, action)
    relays = []
    for processor in recorder.policy.processors.values():
        if allowed_by not in processor.actions:
            continue
        relay_id = outbox.new_relay_id()
        relays.append(
            outbox.NewRelay(
                subject=handle,
                processor=processor.key,
                action=action,
                purposes=tuple(purposes),
                cause=cause,
                sequence=position,
                urgent=action in URGENT,
                id=relay_id,
                box=sealed_address(recorder, relay_id, addresses) if addresses else None,
                product=product,
            )
        )
    outbox.enqueue(connection, relays, recorder.now_ms)
    return len(relays)
