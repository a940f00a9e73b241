"""Stripe, in test mode only: search and case, deleted customers, keys of requests, redaction, the relay as a whole."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import stripe

from schemas.policy import load_policy
from schemas.settings import Settings
from tests.sandbox.check import Check, DiffersError, expect
from workers.connections import Connections
from workers.relays import EXPORTERS, OBSERVERS, RELAYS
from workers.relays.action import Outcome, Presence, RelayAction, RelayError, RelayResult, RelayWait
from workers.relays.stripe import StripeConnection, open_client

INDEX_WAIT_MAX_S = 120  # https://docs.stripe.com/search#data-freshness: under a minute in normal operation
STEP_WAIT_S = 5
STEPS_MAX = 20
PURPOSE = "newsletter"


def connection_of(settings: Settings) -> StripeConnection:
    key = settings.stripe_api_key or ""
    if "_test_" not in key[:8]:
        raise DiffersError("STRIPE_API_KEY is no test key: nothing was asked")
    connection = Connections(settings, load_policy(settings.policy_file)).to("stripe")
    assert isinstance(connection, StripeConnection)
    return connection


@contextmanager
def customer(settings: Settings) -> Iterator[tuple[stripe.StripeClient, str, str]]:
    """(client, id, address in mixed case) of a customer that is gone afterwards."""
    client = open_client(connection_of(settings))
    address = f"Sandbox.{secrets.token_hex(6)}@Example.org"
    made = client.v1.customers.create({"email": address, "name": "Sandbox", "metadata": {"kept": "1", "unset": "1"}})
    try:
        yield client, made.id, address
    finally:
        with suppress(stripe.InvalidRequestError):  # deleted by the check
            client.v1.customers.delete(made.id)


def _list_is_exact(settings: Settings) -> str:
    with customer(settings) as (client, made, address):
        found = [each.id for each in client.v1.customers.list({"email": address.lower()}).data]
        expect(found, [], "customers.list by the lower-case address")
        expect([each.id for each in client.v1.customers.list({"email": address}).data], [made], "by the address itself")
    return "found by the very spelling only"


def _search_ignores_case(settings: Settings) -> str:
    with customer(settings) as (client, made, address):
        began = time.monotonic()
        while time.monotonic() - began < INDEX_WAIT_MAX_S:
            if client.v1.customers.search({"query": f'email:"{address.lower()}"'}).data:
                return f"{made[:4]}… found by the lower-case address after {time.monotonic() - began:.0f} s"
            time.sleep(STEP_WAIT_S)
    raise DiffersError(f"not found by the lower-case address in {INDEX_WAIT_MAX_S} s")


def _deleted_is_readable(settings: Settings) -> str:
    with customer(settings) as (client, made, _):
        client.v1.customers.delete(made)
        expect(getattr(client.v1.customers.retrieve(made), "deleted", None), True, "deleted, when read again")
        writes: tuple[Callable[[], object], ...] = (
            lambda: client.v1.customers.update(made, {"name": ""}),
            lambda: client.v1.customers.delete(made),
        )
        for write in writes:
            try:
                write()
            except stripe.InvalidRequestError as error:
                expect(error.code, "resource_missing", "a write to a deleted customer")
            else:
                raise DiffersError("a deleted customer can be written to")
    return "readable as deleted; writes are resource_missing"


def _metadata_merges(settings: Settings) -> str:
    with customer(settings) as (client, made, _):
        changed = client.v1.customers.update(made, {"metadata": {"new": "1", "unset": ""}})
        seen = {name: getattr(changed.metadata, name, None) for name in ("kept", "new", "unset")}
        expect(seen, {"kept": "1", "new": "1", "unset": None}, "metadata after an update")
    return "keys are merged, an empty one is unset"


def _key_with_other_parameters(settings: Settings) -> str:
    with customer(settings) as (client, made, _):
        key = secrets.token_hex(16)
        client.v1.customers.update(made, {"name": "One"}, {"idempotency_key": key})
        try:
            client.v1.customers.update(made, {"name": "Two"}, {"idempotency_key": key})
        except stripe.IdempotencyError as error:
            return f"refused with {error.http_status}"
    raise DiffersError("the same key was taken with other parameters")


def _relay_as_a_whole(settings: Settings) -> str:
    """Given, withdrawn, exported and erased by the relay, each read back by it."""
    with customer(settings) as (client, made, address):
        connection = connection_of(settings)
        action = RelayAction(secrets.token_hex(16), (address,), (PURPOSE,), time.time_ns() // 1_000_000, 1)
        for deed, presence in (("give", Presence.GIVEN), ("withdraw", Presence.WITHDRAWN)):
            act(RELAYS["stripe"][deed], action, connection)
            expect(OBSERVERS["stripe"](action, connection)[PURPOSE], presence, f"after {deed}")
        if made not in str(EXPORTERS["stripe"](action, connection)):
            raise DiffersError("the export lacks the customer")
        result = act(RELAYS["stripe"]["erase"], action, connection)
        expect(getattr(client.v1.customers.retrieve(made), "deleted", None), True, "deleted, after the erasure")
        if result.outcome not in (Outcome.REMOVED, Outcome.RETAINED):
            raise DiffersError(f"the erasure answered {result.outcome}")
    return f"give, withdraw, export and erase are read back; the erasure answered {result.outcome}"


def act(deed: object, action: RelayAction, connection: StripeConnection) -> RelayResult:
    """As the relayer does it: asked again while the deed waits, with its notes."""
    for _ in range(STEPS_MAX):
        try:
            return deed(action, connection)  # type: ignore[operator,no-any-return]
        except RelayWait as wait:
            action = RelayAction(
                action.reference, action.emails, action.purposes, action.occurred_at_ms, 1, notes=wait.notes
            )
            time.sleep(min(wait.wait_s, STEP_WAIT_S))
    raise DiffersError("the deed still waits")


def _redaction(settings: Settings) -> str:
    """Only whether the account may: a job of a real customer runs for months."""
    client = open_client(connection_of(settings))
    try:
        client.raw_request("get", "/v1/privacy/redaction_jobs", limit=1)
    except stripe.StripeError as error:
        raise DiffersError(f"not available: {type(error).__name__} {error.http_status}") from None
    return "available to this key"


def _all_reads(settings: Settings) -> str:
    from workers.probing import probe

    refused = [f"{one.part}: {one.reason}" for one in probe("stripe", connection_of(settings)) if one.reason]
    if refused:
        raise DiffersError(", ".join(refused))
    return "every permission that only reads"


KEY = ("STRIPE_API_KEY",)
CHECKS = (
    Check("stripe-permissions", KEY, _all_reads),
    Check("stripe-list-exact", KEY, _list_is_exact),
    Check("stripe-search-case", KEY, _search_ignores_case),
    Check("stripe-deleted", KEY, _deleted_is_readable),
    Check("stripe-metadata", KEY, _metadata_merges),
    Check("stripe-idempotency", KEY, _key_with_other_parameters),
    Check("stripe-relay", KEY, _relay_as_a_whole),
    Check("stripe-redaction", KEY, _redaction),
)
ERRORS = (stripe.StripeError, RelayError)
