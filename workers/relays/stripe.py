"""Stripe: marks a withdrawal in the metadata of every customer that has one of the person's addresses."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import stripe
from requests.structures import CaseInsensitiveDict
from stripe.params import CustomerListParams

from schemas.entry import format_time
from schemas.stripe.echo import REFERENCE_MARK, mark_of
from workers.outgoing import OutgoingError, OutgoingSession
from workers.relays.action import (
    Outcome,
    RelayAction,
    RelayError,
    RelayResult,
    error_for_status,
    error_for_transport,
    system_clock_ms,
)

# Otherwise the SDK keeps an id of this installation and reports timings (stripe-python, README, "Telemetry").
stripe.enable_telemetry = False

# A customer may carry 50 metadata values of 500 characters, so ten of them stay within a 1 MiB answer.
PAGE_SIZE = 10
RESPONSE_SIZE_MAX_BYTES = 1_048_576
PAGES_MAX = 100
CUSTOMER_ID = re.compile("cus_[A-Za-z0-9_]{1,250}")  # an empty id would address the whole collection


@dataclass(frozen=True, slots=True)
class StripeConnection:
    """A restricted key with write access to customers; `session` should allow RESPONSE_SIZE_MAX_BYTES."""

    api_key: str = field(repr=False)
    api_base: str
    session: OutgoingSession = field(repr=False)
    clock: Callable[[], int] = field(default=system_clock_ms, repr=False)


def withdraw(action: RelayAction, connection: StripeConnection) -> RelayResult:
    """Mark the withdrawal on every matching customer; a guest of a checkout has none. Raises RelayError.

    A customer that already carries this withdrawal is not written again, so a retry has no second effect.
    """
    wanted = _metadata(action)
    removed = False
    try:
        client = open_client(connection)
        for customer in _customers(client, action):
            removed |= _carries(customer, wanted) or _write(client, customer.id, wanted, action)
    except stripe.StripeError as error:
        raise relay_error(error, connection.clock()) from None
    except OutgoingError as error:
        raise error_for_transport(error) from None
    return RelayResult(Outcome.REMOVED if removed else Outcome.NOT_FOUND)


def _metadata(action: RelayAction) -> dict[str, str]:
    values = {REFERENCE_MARK: action.reference}
    for purpose in action.purposes:
        mark = mark_of(purpose)
        values |= {mark: "withdrawn", f"{mark}_at": format_time(action.occurred_at_ms)}
    return values


def open_client(connection: StripeConnection) -> stripe.StripeClient:
    return stripe.StripeClient(
        connection.api_key,
        base_addresses={"api": connection.api_base},
        http_client=stripe.RequestsClient(session=connection.session),
        max_network_retries=0,
    )


def _customers(client: stripe.StripeClient, action: RelayAction) -> Iterator[stripe.Customer]:
    # The filter on e-mail is exact and case-sensitive (stripe-python, CustomerListParams.email).
    spellings = dict.fromkeys(spelling for email in action.emails for spelling in (email, email.lower()))
    seen: set[str] = set()
    for spelling in spellings:
        for customer in itertools.chain.from_iterable(_pages(client, spelling)):
            # Should the filter ever be overlooked, this withdrawal still touches nobody else.
            if str(_field(customer, "email")).lower() == spelling.lower() and customer.id not in seen:
                seen.add(customer.id)
                yield customer


def _pages(client: stripe.StripeClient, spelling: str) -> Iterator[list[stripe.Customer]]:
    # Not the SDK's own paging: it takes any 200 for a page, and never stops where a page repeats.
    wanted: CustomerListParams = {"email": spelling, "limit": PAGE_SIZE}
    for _ in range(PAGES_MAX):
        page = client.v1.customers.list(wanted)
        items = _field(page, "data")
        if not isinstance(page, stripe.ListObject) or not isinstance(items, list):
            raise RelayError("unexpected_answer")
        if not all(CUSTOMER_ID.fullmatch(str(_field(item, "id"))) for item in items):
            raise RelayError("unexpected_answer")
        yield items
        if not _field(page, "has_more") or not items:
            return
        wanted["starting_after"] = items[-1].id
    raise RelayError("too_many_customers", permanent=True)


def _field(item: object, name: str) -> object:
    # Since version 15 of the SDK an object is no longer a dict: a missing field raises AttributeError.
    return getattr(item, name, None)


def _carries(customer: stripe.Customer, wanted: Mapping[str, str]) -> bool:
    metadata = _field(customer, "metadata")
    return all(_field(metadata, key) == value for key, value in wanted.items()) if metadata else False


def _write(client: stripe.StripeClient, customer_id: str, wanted: dict[str, str], action: RelayAction) -> bool:
    """Set the metadata and read it back; False if the customer was deleted meanwhile."""
    # Stripe repeats the key in the event of this change: schemas.stripe.echo knows it by its form.
    key = action.idempotency_key(f"withdraw-{customer_id}")
    try:
        client.v1.customers.update(customer_id, {"metadata": wanted}, {"idempotency_key": key})
        customer = client.v1.customers.retrieve(customer_id)
    except stripe.InvalidRequestError as error:
        if error.code == "resource_missing":
            return False
        raise
    if _field(customer, "deleted"):
        return False
    if _field(customer, "id") != customer_id or not _carries(customer, wanted):
        # Under the old key Stripe would answer the next write from memory, and change nothing.
        raise RelayError("read_back_failed", new_epoch=True)
    return True


def relay_error(error: stripe.StripeError, now_ms: int) -> RelayError:
    """What an error of the SDK means for whoever has to try again."""
    if isinstance(error.__cause__, OutgoingError):
        return error_for_transport(error.__cause__)
    if error.http_status is None:  # the SDK refused by itself, for want of a key
        return RelayError("unauthorized", halt=True)
    headers = _headers(error)
    retry_after = headers.get("Retry-After")
    if isinstance(error, stripe.IdempotencyError):
        return RelayError("idempotency_mismatch", permanent=True, status=error.http_status)
    if isinstance(error, stripe.RateLimitError):  # also a 400 with the code rate_limit
        return error_for_status(HTTPStatus.TOO_MANY_REQUESTS, retry_after, now_ms)
    failure = error_for_status(error.http_status, retry_after, now_ms)
    # Stripe saves a 500 and repeats it for the same key (https://docs.stripe.com/api/idempotent_requests).
    failure.new_epoch = error.http_status == HTTPStatus.INTERNAL_SERVER_ERROR
    return failure


def _headers(error: stripe.StripeError) -> CaseInsensitiveDict[str]:
    # Where the answer is not JSON, stripe 16.1.0 passes the headers in the place of the JSON body.
    found = (each for each in (error.headers, error.json_body) if isinstance(each, CaseInsensitiveDict))
    return next(found, CaseInsensitiveDict())
