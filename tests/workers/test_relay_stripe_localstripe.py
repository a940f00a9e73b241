"""A second witness: the Stripe relay against localstripe, which others wrote. Where it is installed."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import stripe

from tests.workers.stripe_scene import ACTION, LOOPBACK
from workers.outgoing import OutgoingSession
from workers.relays import EXPORTERS, OBSERVERS, RELAYS
from workers.relays.action import Outcome, Presence, RelayAction, RelayError, RelayResult, RelayWait
from workers.relays.stripe import RESPONSE_SIZE_MAX_BYTES, StripeConnection, open_client

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "var" / "peers"
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not (PACKAGES / "localstripe").is_dir(), reason="no localstripe in var/peers"),
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def connection() -> Iterator[StripeConnection]:
    port = free_port()
    command = [sys.executable, "-m", "tests.workers.localstripe_server", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGES)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        session = OutgoingSession(LOOPBACK, allow_loopback=True, response_size_max_bytes=RESPONSE_SIZE_MAX_BYTES)
        yield StripeConnection("sk_test_1", f"http://127.0.0.1:{port}", session)  # it knows no restricted keys
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@pytest.fixture
def customer(connection: StripeConnection) -> str:
    client = open_client(connection)
    for old in client.v1.customers.list({"limit": 100}).data:
        client.v1.customers.delete(old.id)
    made = client.v1.customers.create({"email": "kari@example.no", "name": "Kari N", "metadata": {"kept": "yes"}})
    client.v1.customers.create({"email": "ola@example.no", "name": "Ola Hansen"})
    return made.id


@pytest.fixture
def action() -> RelayAction:
    return replace(ACTION, reference=os.urandom(16).hex(), emails=("Kari@example.no",))


def retrieved(connection: StripeConnection, customer: str) -> stripe.Customer:
    return open_client(connection).v1.customers.retrieve(customer)


def test_consent_is_marked_seen_and_marked_as_withdrawn(
    connection: StripeConnection, customer: str, action: RelayAction
) -> None:
    assert RELAYS["stripe"]["give"](action, connection) == RelayResult(Outcome.DONE)
    assert set(OBSERVERS["stripe"](action, connection).values()) == {Presence.GIVEN}
    assert RELAYS["stripe"]["withdraw"](action, connection) == RelayResult(Outcome.REMOVED)
    assert set(OBSERVERS["stripe"](action, connection).values()) == {Presence.WITHDRAWN}
    assert getattr(retrieved(connection, customer).metadata, "kept", None) == "yes"


def test_a_name_is_put_right(connection: StripeConnection, customer: str, action: RelayAction) -> None:
    """It has no `individual_name`: the read-back notices, and nothing is called done."""
    right = replace(action, profile={"first_name": "Kari", "last_name": "Nordmann"})
    with pytest.raises(RelayError):
        RELAYS["stripe"]["rectify"](right, connection)
    assert (
        RELAYS["stripe"]["rectify"](replace(action, profile={"email": "kari@example.test"}), connection).outcome
        == "done"
    )
    assert retrieved(connection, customer).email == "kari@example.test"


def test_everything_about_one_is_exported_and_nothing_about_another(
    connection: StripeConnection, customer: str, action: RelayAction
) -> None:
    document = EXPORTERS["stripe"](action, connection)
    assert [each["id"] for each in document["customers"]] == [customer]
    assert "ola" not in str(document).lower()


def test_an_erasure_is_not_believed_before_every_field_is_empty(
    connection: StripeConnection, customer: str, action: RelayAction
) -> None:
    """It keeps what an empty metadata value should unset, so the customer is not deleted; without any, it is."""
    with pytest.raises(RelayWait) as waits:
        RELAYS["stripe"]["erase"](action, connection)
    noted = replace(action, notes=waits.value.notes)
    with pytest.raises(RelayError, match="read_back_failed"):
        RELAYS["stripe"]["erase"](noted, connection)
    assert not getattr(retrieved(connection, customer), "deleted", False)


def test_an_erasure_reaches_the_deletion(connection: StripeConnection, action: RelayAction) -> None:
    """A customer who is gone is a 404 without Stripe's code there, which is not taken for a deletion."""
    made = open_client(connection).v1.customers.create(
        {"email": "per@example.no", "name": "Per", "phone": "+4790000000"}
    )
    per = replace(action, emails=("per@example.no",))
    with pytest.raises(RelayWait) as waits:
        RELAYS["stripe"]["erase"](per, connection)
    with pytest.raises(RelayError, match="rejected"):
        RELAYS["stripe"]["erase"](replace(per, notes=waits.value.notes), connection)
    with pytest.raises(stripe.InvalidRequestError):
        retrieved(connection, made.id)
