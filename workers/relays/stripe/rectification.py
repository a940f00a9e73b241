"""Rectification at Stripe: name, company and address of every customer. What was paid stays as it was."""

from collections.abc import Mapping

import stripe

from workers.relays.action import Outcome, RelayAction, RelayResult
from workers.relays.stripe.connection import StripeConnection, calls
from workers.relays.stripe.customers import customers_of, guest_sessions, write
from workers.relays.stripe.listing import every, part

# Finalized invoices and charges cannot be changed (https://docs.stripe.com/invoicing/invoice-edits).
FINISHED_KEEP = "finished_payments_keep_old_details"


def rectify(action: RelayAction, connection: StripeConnection) -> RelayResult:
    """Write what is right into every customer, and say so where finished payments keep what was wrong."""
    right = _right(action.profile)
    emails = tuple(dict.fromkeys((*action.emails, *filter(None, (action.profile.get("email"),)))))
    with calls(connection) as client:
        customers = list(customers_of(client, emails))
        written = False
        for customer in customers:
            key = action.idempotency_key(f"rectify-{customer.id}")
            written |= _is_right(customer, right) or write(
                client, customer.id, right, key, lambda each: _is_right(each, right)
            )
        kept = any(_has_paid(client, customer.id) for customer in customers) or any(guest_sessions(client, emails))
    return RelayResult(Outcome.DONE if written else Outcome.NOT_FOUND, FINISHED_KEEP if kept else None)


def _right(profile: Mapping[str, str]) -> dict[str, str]:
    """Stripe's fields. `name` is the person's or the company's (stripe-python, CustomerUpdateParams.name)."""
    right = {"email": profile["email"]} if profile.get("email") else {}
    if "first_name" in profile or "last_name" in profile:
        person = " ".join(filter(None, (profile.get("first_name"), profile.get("last_name"))))
        right |= {"individual_name": person, "name": person or profile.get("company", "")}
    if "company" in profile:
        right["business_name"] = profile["company"]
    return right


def _is_right(customer: stripe.Customer, right: Mapping[str, str]) -> bool:
    return all((part(customer, name) or "") == value for name, value in right.items())


def _has_paid(client: stripe.StripeClient, customer_id: str) -> bool:
    wanted = {"customer": customer_id, "limit": 1}
    lists = (every(client.v1.charges.list, wanted, "ch", "py"), every(client.v1.invoices.list, wanted, "in"))
    return any(next(found, None) is not None for found in lists)
