"""Late effects: an attempt of which nobody knows how it ended may still arrive, after what was newer was confirmed.

A deadline, a lost connection or a killed process leaves a request on its way: in a proxy, in a queue of the processor,
in a worker that was stopped for a while. So whatever undoes such an attempt is done once more when the lease of that
attempt is over, and again ten minutes later; only then is it called confirmed. What arrives even later is found by the
nightly comparison (ledger.drift).
"""

from collections.abc import Mapping

from sqlalchemy import Connection, Text, bindparam, case, func, or_, select

from ledger.carrying import ERASE, GIVE, GRANT_ACCESS, RECTIFY, RESTRICT, REVOKE_ACCESS, UNRESTRICT, WITHDRAW
from ledger.outbox import LEASE_MS, PARKED, PENDING, Relay
from ledger.tables import relay

REASON = "repeated_later"
REPEATS_MS = (LEASE_MS, 10 * 60_000)  # after the last moment at which such an attempt was under way

# Action: the actions whose late arrival would undo it.
UNDONE_BY: Mapping[str, tuple[str, ...]] = {
    GIVE: (WITHDRAW,),
    WITHDRAW: (GIVE, UNRESTRICT),
    ERASE: (GIVE, RECTIFY, GRANT_ACCESS, UNRESTRICT),
    RESTRICT: (GIVE, UNRESTRICT),
    UNRESTRICT: (RESTRICT,),
    GRANT_ACCESS: (REVOKE_ACCESS,),
    REVOKE_ACCESS: (GRANT_ACCESS,),
}

# A first attempt that confirmed, or was called off before it began, is over. Every other may have left one on its way.
_UNCERTAIN = (relay.c.attempts > 1) | ((relay.c.attempts == 1) & relay.c.status.in_((PENDING, PARKED)))
_IS_LEASED = (relay.c.status == PENDING) & (relay.c.claimed_until_ms > relay.c.updated_at_ms)
_LAST = select(func.max(case((_IS_LEASED, relay.c.claimed_until_ms), else_=relay.c.updated_at_ms))).where(
    relay.c.subject == bindparam("subject"),
    relay.c.processor == bindparam("processor"),
    relay.c.action.in_(bindparam("actions", expanding=True)),
    or_(bindparam("product", type_=Text) == "", relay.c.product == bindparam("product", type_=Text)),
    relay.c.id != bindparam("own"),
    _UNCERTAIN,
)


def repeat_at_ms(connection: Connection, done: Relay, now_ms: int) -> int | None:
    """When what has just been done must be done once more; None: it is done for good."""
    actions = UNDONE_BY.get(done.action)
    if actions is None:
        return None
    values = {"subject": done.subject, "processor": done.processor, "actions": actions, "own": done.id}
    last_ms = connection.execute(_LAST, values | {"product": done.product or ""}).scalar_one()
    if last_ms is None:
        return None
    return next((last_ms + after_ms for after_ms in REPEATS_MS if last_ms + after_ms > now_ms), None)
