"""Carrying: the outbox rows that an entry asks for, one for every processor that policy.toml lets do it.

What no processor can do by itself is a row too: parked from the start with the reason, until somebody has done it.
"""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, update

from ledger import outbox
from ledger.log import NewEntry, append_many, new_id
from ledger.recorder import Recorder, sealed_address
from ledger.tables import relay
from schemas.entry import Entry, Kind

GIVE, WITHDRAW, RECTIFY, ERASE = "give", "withdraw", "rectify", "erase"
RESTRICT, UNRESTRICT = "restrict", "unrestrict"
GRANT_ACCESS, REVOKE_ACCESS = "grant_access", "revoke_access"

# These have their own queue and their own process: nothing else ever stands before them.
URGENT = frozenset({WITHDRAW, ERASE})
# What policy.toml says of a processor, for those whose name it does not use.
_ALLOWED_BY = {UNRESTRICT: RESTRICT, GRANT_ACCESS: "product_access", REVOKE_ACCESS: "product_access"}
NOT_COVERED = "not_covered"
NOT_ALLOWED, NO_ADDRESS = "action_not_allowed", "no_address"  # by policy.toml; to search a processor by


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
    without: Collection[str] = (),
) -> int:
    """Returns to how many processors. `addresses`: of somebody who has no vault, or that the vault no longer has.

    `without`: processors that are told something else.
    """
    relays = []
    for processor in allowed(recorder, action):
        if processor in without:
            continue
        relay_id = outbox.new_relay_id()
        relays.append(
            outbox.NewRelay(
                subject=handle,
                processor=processor,
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


def allowed(recorder: Recorder, action: str) -> list[str]:
    """The processors that policy.toml lets do it."""
    name = _ALLOWED_BY.get(action, action)
    return [processor.key for processor in recorder.policy.processors.values() if name in processor.actions]


def leave_to_people(
    connection: Connection,
    recorder: Recorder,
    handle: bytes,
    action: str,
    cause: str,
    position: int,
    reasons: Mapping[str, str],
    *,
    addresses: Sequence[str] = (),
    product: str | None = None,
) -> None:
    """Rows that begin parked, and an entry for each that says so. `reasons`: processor to why, as a word."""
    for processor, reason in reasons.items():
        relay_id = outbox.new_relay_id()
        task = outbox.NewRelay(
            subject=handle,
            processor=processor,
            action=action,
            purposes=(),
            cause=cause,
            sequence=position,
            urgent=action in URGENT,
            id=relay_id,
            box=sealed_address(recorder, relay_id, addresses) if addresses else None,
            product=product,
        )
        outbox.enqueue(connection, [task], recorder.now_ms)
        parked = {"status": outbox.PARKED, "outcome": NOT_COVERED, "reason": reason}
        connection.execute(update(relay).where(relay.c.id == relay_id).values(parked))
        entry = Entry(
            id=new_id(recorder.recorded_at_ms),
            kind=Kind.RELAY_PARKED,
            recorded_at_ms=recorder.recorded_at_ms,
            subject=handle,
            processor=processor,
            action=action,
            outcome=NOT_COVERED,
            reason=reason,
            product=product,
            ref=cause,
        )
        append_many(connection, [NewEntry(entry)])
