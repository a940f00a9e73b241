"""The subscriptions of a customer: whether one still runs, and pausing their collection while it is restricted."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import stripe
from stripe.params import SubscriptionUpdateParams

from workers.relays.action import RelayAction, RelayError
from workers.relays.stripe.listing import every, part

PAUSED_MARK = "paused_for_restriction"
PAUSE = {"behavior": "keep_as_draft"}
# A first payment that never came. `canceled` is left out by Stripe's list (API reference, "List subscriptions").
NEVER_BEGUN = frozenset({"incomplete", "incomplete_expired"})


def running(client: stripe.StripeClient, customer_id: str) -> Iterator[stripe.Subscription]:
    """Every subscription that has begun and has not ended."""
    for subscription in every(client.v1.subscriptions.list, {"customer": customer_id}, "sub"):
        if part(subscription, "customer") == customer_id and part(subscription, "status") not in NEVER_BEGUN:
            yield subscription


def pause(client: stripe.StripeClient, customer_id: str, action: RelayAction) -> None:
    """Stop the collection; invoices are kept as drafts, so nothing is lost. One that was paused already is left."""
    for subscription in running(client, customer_id):
        if part(subscription, "pause_collection") is None:
            changes = {"pause_collection": PAUSE, "metadata": {PAUSED_MARK: action.reference}}
            _write(client, subscription.id, changes, action.idempotency_key(f"pause-{subscription.id}"), _is_paused)


def resume(client: stripe.StripeClient, customer_id: str, action: RelayAction) -> None:
    """Resume what `pause` has paused, and nothing else."""
    for subscription in running(client, customer_id):
        if part(subscription, "metadata", PAUSED_MARK):
            changes = {"pause_collection": "", "metadata": {PAUSED_MARK: ""}}
            _write(client, subscription.id, changes, action.idempotency_key(f"resume-{subscription.id}"), _is_resumed)


def _write(
    client: stripe.StripeClient,
    subscription_id: str,
    changes: Mapping[str, Any],
    key: str,
    is_written: Callable[[stripe.Subscription], bool],
) -> None:
    client.v1.subscriptions.update(subscription_id, cast(SubscriptionUpdateParams, changes), {"idempotency_key": key})
    subscription = client.v1.subscriptions.retrieve(subscription_id)
    if part(subscription, "id") != subscription_id or not is_written(subscription):
        raise RelayError("read_back_failed", new_epoch=True)


def _is_paused(subscription: stripe.Subscription) -> bool:
    return bool(part(subscription, "pause_collection", "behavior") == PAUSE["behavior"])


def _is_resumed(subscription: stripe.Subscription) -> bool:
    return part(subscription, "pause_collection") is None and not part(subscription, "metadata", PAUSED_MARK)
