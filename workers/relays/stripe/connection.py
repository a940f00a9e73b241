"""How Stripe is reached: one client for each attempt, without retries of its own, and what its errors mean."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

import stripe
from requests.structures import CaseInsensitiveDict

from workers.outgoing import OutgoingError, OutgoingSession
from workers.relays.action import RelayError, error_for_status, error_for_transport, system_clock_ms

# Otherwise the SDK keeps an id of this installation and reports timings (stripe-python, README, "Telemetry").
stripe.enable_telemetry = False

# An object may carry 50 metadata values of 500 characters (https://docs.stripe.com/api/metadata): 25 such fit, and ten
# customers whose every character takes four bytes.
RESPONSE_SIZE_MAX_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class StripeConnection:
    """A restricted key; `session` should allow RESPONSE_SIZE_MAX_BYTES.

    redaction: erasures also run redaction jobs. pause_restricted: a restriction also stops the collection of
    subscriptions. bookkeeping_years: how long payments are kept after the end of their financial year.
    """

    api_key: str = field(repr=False)
    api_base: str
    session: OutgoingSession = field(repr=False)
    clock: Callable[[], int] = field(default=system_clock_ms, repr=False)
    redaction: bool = False
    pause_restricted: bool = False
    bookkeeping_years: int = 5


def open_client(connection: StripeConnection) -> stripe.StripeClient:
    """A client whose every request goes through the connection's session."""
    return stripe.StripeClient(
        connection.api_key,
        base_addresses={"api": connection.api_base},
        http_client=stripe.RequestsClient(session=connection.session),
        max_network_retries=0,
    )


@contextmanager
def calls(connection: StripeConnection) -> Iterator[stripe.StripeClient]:
    """A client; whatever goes wrong inside is raised as a RelayError."""
    try:
        yield open_client(connection)
    except stripe.StripeError as error:
        raise relay_error(error, connection.clock()) from None
    except OutgoingError as error:
        raise error_for_transport(error) from None


def is_missing(error: stripe.StripeError) -> bool:
    """Whether the object is not there, or not any more."""
    return isinstance(error, stripe.InvalidRequestError) and error.code == "resource_missing"


def relay_error(error: stripe.StripeError, now_ms: int) -> RelayError:
    """What an error of the SDK means for whoever has to try again."""
    if isinstance(error.__cause__, OutgoingError):
        return error_for_transport(error.__cause__)
    if error.http_status is None:  # the SDK refused by itself, for want of a key
        return RelayError("unauthorized", halt=True)
    headers = _headers(error)
    retry_after = headers.get("Retry-After")
    if isinstance(error, stripe.IdempotencyError) and error.http_status != HTTPStatus.CONFLICT:
        # The step has other parameters than when it was tried before: a newer name, or a mark that came meanwhile.
        return RelayError("idempotency_mismatch", new_epoch=True, status=error.http_status)
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
