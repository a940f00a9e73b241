"""What the metadata of a customer says: which purposes are given or withdrawn, and whether it is restricted.

Stripe has no such field of its own. Whoever sends mail from Stripe's data has to read these.
"""

from collections.abc import Iterable, Mapping

import stripe

from schemas.entry import format_time
from schemas.stripe.echo import REFERENCE_MARK, mark_of
from workers.relays.action import Outcome, Presence, RelayAction, RelayResult
from workers.relays.stripe.connection import StripeConnection, calls
from workers.relays.stripe.customers import customers_of, write
from workers.relays.stripe.listing import part
from workers.relays.stripe.subscriptions import pause, resume

RESTRICTION_MARK = "processing"


def withdraw(action: RelayAction, connection: StripeConnection) -> RelayResult:
    """Mark the withdrawal on every matching customer; a guest of a checkout has none. Raises RelayError.

    A customer that already carries this withdrawal is not written again, so a retry has no second effect.
    """
    with calls(connection) as client:
        marked = mark_all(client, customers_of(client, action.emails), consent_marks(action, "withdrawn"), action)
    return RelayResult(Outcome.REMOVED if marked else Outcome.NOT_FOUND)


def give(action: RelayAction, connection: StripeConnection) -> RelayResult:
    """Mark the consent on every matching customer. Raises RelayError."""
    with calls(connection) as client:
        marked = mark_all(client, customers_of(client, action.emails), consent_marks(action, "given"), action, "give")
    return RelayResult(Outcome.DONE if marked else Outcome.NOT_FOUND)


def restrict(action: RelayAction, connection: StripeConnection) -> RelayResult:
    """Mark every matching customer as restricted and, if the connection says so, pause its subscriptions."""
    marks = {
        RESTRICTION_MARK: "restricted",
        f"{RESTRICTION_MARK}_at": format_time(action.occurred_at_ms),
        REFERENCE_MARK: action.reference,
    }
    with calls(connection) as client:
        customers = list(customers_of(client, action.emails))
        marked = mark_all(client, customers, marks, action, "restrict")
        for customer in customers if connection.pause_restricted else ():
            pause(client, customer.id, action)
    return RelayResult(Outcome.DONE if marked else Outcome.NOT_FOUND)


def unrestrict(action: RelayAction, connection: StripeConnection) -> RelayResult:
    """Take the marks of a restriction away, and resume the subscriptions that it has paused."""
    marks = {RESTRICTION_MARK: "", f"{RESTRICTION_MARK}_at": "", REFERENCE_MARK: action.reference}
    with calls(connection) as client:
        customers = list(customers_of(client, action.emails))
        marked = mark_all(client, customers, marks, action, "unrestrict")
        for customer in customers if connection.pause_restricted else ():
            resume(client, customer.id, action)
    return RelayResult(Outcome.DONE if marked else Outcome.NOT_FOUND)


def observe(action: RelayAction, connection: StripeConnection) -> Mapping[str, Presence]:
    """What the customers' marks say of each purpose; given if any of them says so. Only reads."""
    with calls(connection) as client:
        found = [part(customer, "metadata") for customer in customers_of(client, action.emails)]
    seen = {purpose: {part(metadata, mark_of(purpose)) for metadata in found} for purpose in action.purposes}
    return {purpose: _presence(values) for purpose, values in seen.items()}


def consent_marks(action: RelayAction, state: str) -> dict[str, str]:
    """The metadata that says of every purpose of the action that it is given or withdrawn, and since when."""
    marks = {REFERENCE_MARK: action.reference}
    for purpose in action.purposes:
        mark = mark_of(purpose)
        marks |= {mark: state, f"{mark}_at": format_time(action.occurred_at_ms)}
    return marks


def mark_all(
    client: stripe.StripeClient,
    customers: Iterable[stripe.Customer],
    marks: Mapping[str, str],
    action: RelayAction,
    step: str = "withdraw",
) -> bool:
    """Whether at least one customer carries the marks now; an empty value means that there is no such mark."""
    marked = False
    for customer in customers:
        key = action.idempotency_key(f"{step}-{customer.id}")
        carried = _carries(customer, marks)
        marked |= carried or write(client, customer.id, {"metadata": marks}, key, lambda each: _carries(each, marks))
    return marked


def _carries(customer: stripe.Customer, marks: Mapping[str, str]) -> bool:
    metadata = part(customer, "metadata")
    return metadata is not None and all((part(metadata, name) or "") == value for name, value in marks.items())


def _presence(values: set[object]) -> Presence:
    if "given" in values:
        return Presence.GIVEN
    return Presence.WITHDRAWN if "withdrawn" in values else Presence.UNKNOWN
