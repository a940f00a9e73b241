"""Whom Stripe knows by the person's addresses, and the one way to change a customer: write, then read back."""

import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import stripe
from stripe.params import CustomerUpdateParams

from workers.relays.action import RelayError
from workers.relays.stripe.connection import is_missing
from workers.relays.stripe.listing import every, part

# ASCII only, as schemas.address compares: str.lower() also turns the Kelvin sign into a k, another mailbox.
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def customers_of(client: stripe.StripeClient, emails: Sequence[str]) -> Iterator[stripe.Customer]:
    """Every customer that has one of the addresses, in whatever case; each once, none that is deleted."""
    seen: set[str] = set()
    for customer in _listed(client, emails):
        if customer.id not in seen:
            seen.add(customer.id)
            yield customer
    for customer_id in _searched(client, emails, seen):
        # The search index lags behind by a minute, or an hour (https://docs.stripe.com/search#data-freshness).
        found = current(client, customer_id)
        if found is not None and is_theirs(part(found, "email"), emails):
            yield found


def listed_customers(client: stripe.StripeClient, emails: Sequence[str]) -> set[str]:
    """The ids that the list gives, which is never behind: for reading back."""
    return {customer.id for customer in _listed(client, emails)}


def guest_sessions(client: stripe.StripeClient, emails: Sequence[str]) -> Iterator[stripe.checkout.Session]:
    """Every checkout that was made with one of the addresses and belongs to no customer."""
    seen: set[str] = set()
    for spelling in _spellings(emails):
        wanted = {"customer_details": {"email": spelling}}
        for session in every(client.v1.checkout.sessions.list, wanted, "cs"):
            theirs = is_theirs(part(session, "customer_details", "email"), emails)
            if theirs and part(session, "customer") is None and session.id not in seen:
                seen.add(session.id)
                yield session


def current(client: stripe.StripeClient, customer_id: str) -> stripe.Customer | None:
    """The customer as it is now; None once it is deleted. Raises RelayError for another answer."""
    try:
        customer = client.v1.customers.retrieve(customer_id)
    except stripe.InvalidRequestError as error:
        if is_missing(error):
            return None
        raise
    if part(customer, "id") != customer_id:
        raise RelayError("unexpected_answer")
    return None if part(customer, "deleted") else customer


def is_theirs(email: object, emails: Sequence[str]) -> bool:
    """Should a filter ever be overlooked, an action still touches nobody else."""
    return isinstance(email, str) and _lowered(email) in map(_lowered, emails)


def write(
    client: stripe.StripeClient,
    customer_id: str,
    changes: Mapping[str, Any],
    key: str,
    is_written: Callable[[stripe.Customer], bool],
) -> bool:
    """Change a customer and read it back; False if it was deleted meanwhile.

    `key`: Stripe repeats it in the event of this change, by which schemas.stripe.echo knows it.
    """
    try:
        client.v1.customers.update(customer_id, cast(CustomerUpdateParams, changes), {"idempotency_key": key})
    except stripe.InvalidRequestError as error:
        if is_missing(error):
            return False
        raise
    customer = current(client, customer_id)
    if customer is None:
        return False
    if not is_written(customer):
        # Under the old key Stripe would answer the next write from memory, and change nothing.
        raise RelayError("read_back_failed", new_epoch=True)
    return True


def _listed(client: stripe.StripeClient, emails: Sequence[str]) -> Iterator[stripe.Customer]:
    # The filter on e-mail is exact and case-sensitive (stripe-python, CustomerListParams.email).
    for spelling in _spellings(emails):
        for customer in every(client.v1.customers.list, {"email": spelling}, "cus"):
            if is_theirs(part(customer, "email"), emails):
                yield customer


def _searched(client: stripe.StripeClient, emails: Sequence[str], seen: set[str]) -> Iterator[str]:
    """Spellings that nobody has told us of: a search pays no heed to case."""
    for email in dict.fromkeys(map(_lowered, emails)):
        for customer in every(client.v1.customers.search, {"query": f"email:{_quoted(email)}"}, "cus"):
            if is_theirs(part(customer, "email"), emails) and customer.id not in seen:
                seen.add(customer.id)
                yield customer.id


def _quoted(text: str) -> str:
    # https://docs.stripe.com/search#search-query-language: a quote inside is escaped by a backslash.
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _spellings(emails: Sequence[str]) -> dict[str, None]:
    return dict.fromkeys(spelling for email in emails for spelling in (email, _lowered(email)))


def _lowered(email: str) -> str:
    return email.translate(_LOWER)
