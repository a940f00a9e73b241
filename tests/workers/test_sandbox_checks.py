"""The checks of the vendors' sandboxes, run against the simulators: what they expect is what the simulators do."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stripe

from schemas.settings import Settings
from tests.sandbox import other_checks, stripe_checks
from tests.sandbox.__main__ import CHECKS, verdict
from tests.sandbox.check import AS_ASSUMED
from tests.simulators.process import SimulatorProcess
from tests.world import settings_for
from workers.relays.stripe import open_client

GROUP, ADDRESS = "sandbox@example.org", "sandbox@example.test"
MAILBOX = "post@example.no"
PROCESSORS = ("wordpress", "stripe", "google")
GRANTS = [f"https://www.googleapis.com/auth/{one}" for one in ("gmail.send", "gmail.readonly", "gmail.modify")]
MEMBERS = "https://www.googleapis.com/auth/admin.directory.group.member"
CONTACTS = [f"https://www.googleapis.com/auth/{one}" for one in ("contacts", "contacts.other.readonly")]


@pytest.fixture(scope="module")
def simulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, SimulatorProcess]]:
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in PROCESSORS}
    with (
        SimulatorProcess("wordpress", folders["wordpress"]) as wordpress,
        SimulatorProcess("stripe", folders["stripe"]) as stripe_process,
        SimulatorProcess("google", folders["google"]) as google,
    ):
        yield {"wordpress": wordpress, "stripe": stripe_process, "google": google}


@pytest.fixture
def settings(
    tmp_path: Path, simulators: dict[str, SimulatorProcess], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    wordpress, stripe_process, google = (simulators[kind] for kind in PROCESSORS)
    wordpress.seed({"plugin": True, "adapters": ["mailpoet"], "subscribers": [{"email": ADDRESS, "purposes": []}]})
    google.seed({"groups": {GROUP: []}, "grants": [MEMBERS, *GRANTS, *CONTACTS]})
    for name, value in (("SANDBOX_GROUP", GROUP), ("SANDBOX_ADDRESS", ADDRESS)):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(other_checks, "STEP_WAIT_S", 0)
    monkeypatch.setattr(stripe_checks, "STEP_WAIT_S", 0)
    monkeypatch.setattr(stripe_checks, "customer", seeded(stripe_process))
    key = google.service_account_path.read_text()
    yield replace(
        settings_for(tmp_path),
        wordpress_url=wordpress.url,
        wordpress_secret=wordpress.secret,
        stripe_api_key="rk_test_simulated",
        stripe_api_base=stripe_process.url,
        google_credentials=key,
        google_subject="admin@example.no",
        google_api_base=google.url,
        gmail_credentials=key,
        gmail_mailbox=MAILBOX,
        gmail_api_base=google.url,
        people_api_base=google.url,
    )
    for simulator in simulators.values():
        assert simulator.violations() == []


def seeded(process: SimulatorProcess) -> Any:
    """The simulator makes no customers: one is put there."""

    @contextmanager
    def customer(settings: Settings) -> Iterator[tuple[stripe.StripeClient, str, str]]:
        made = {"id": "cus_sandbox", "email": "Sandbox.1@Example.org", "metadata": {"kept": "1", "unset": "1"}}
        process.seed({"customers": [made]})
        yield open_client(stripe_checks.connection_of(settings)), "cus_sandbox", "Sandbox.1@Example.org"

    return customer


NEEDS_A_SITE = {"wordpress-authorization", "wpengine-install"}


@pytest.mark.parametrize(
    "name", [check.name for check in CHECKS if check.name not in NEEDS_A_SITE | {"stripe-redaction"}]
)
def test_what_a_check_expects_is_what_the_simulators_do(settings: Settings, name: str) -> None:
    (check,) = [one for one in CHECKS if one.name == name]
    told, seen = verdict(check, settings)
    assert told == AS_ASSUMED, seen
