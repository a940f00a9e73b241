"""The comparison and the export with the relays' own observers and exporters, against three simulated processors."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from sqlalchemy import update

from ledger.drift import standing
from ledger.tables import relay, subject
from schemas.stripe.echo import mark_of
from tests.ledger.desk import KARI, MINUTE_MS, Desk, sign_up, unconfirmed, withdrawal
from tests.simulators.process import SimulatorProcess
from tests.world import World, settings_for
from workers import drift, jobs
from workers.context import now_ms
from workers.export import export

GROUP = "newsletter@example.org"
OTHER = "okari@example.no"  # holds the address of the person, and is somebody else's
PROCESSORS = ("wordpress", "stripe", "google")


@pytest.fixture(scope="module")
def simulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, SimulatorProcess]]:
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in PROCESSORS}
    with (
        SimulatorProcess("wordpress", folders["wordpress"]) as wordpress,
        SimulatorProcess("stripe", folders["stripe"]) as stripe,
        SimulatorProcess("google", folders["google"]) as google,
    ):
        yield {"wordpress": wordpress, "stripe": stripe, "google": google}


@dataclass
class Company:
    """A desk whose processors are simulated, and what stands at each of them."""

    desk: Desk
    simulators: dict[str, SimulatorProcess]

    def subscribe_everywhere(self, *emails: str) -> None:
        """As somebody does who imports a list: past the service."""
        mark = {mark_of("newsletter"): "given"}
        self.simulators["wordpress"].seed(
            {"plugin": True, "adapters": ["mailpoet"]}
            | {"subscribers": [{"email": email, "purposes": ["newsletter"]} for email in emails]}
        )
        customers = [{"id": f"cus_{at}", "email": email, "metadata": mark} for at, email in enumerate(emails)]
        self.simulators["stripe"].seed({"customers": customers})
        self.simulators["google"].seed({"groups": {GROUP: list(emails)}})

    def subscribed(self) -> dict[str, list[str]]:
        site, stripe, google = (self.simulators[kind].state() for kind in PROCESSORS)
        people = site["subscribers"].items()
        marked = [
            each for each in stripe["customers"].values() if each["metadata"].get(mark_of("newsletter")) == "given"
        ]
        return {
            "wordpress": [email for email, one in people if one["purposes"].get("newsletter") == "subscribed"],
            "stripe": [each["email"] for each in marked],
            "google": google["groups"][GROUP],
        }

    def sweep(self) -> int:
        return drift.sweep(self.desk.world.context("relay"), begins=True, budget_s=60, pace_s=0)

    def found(self) -> list[tuple[str, str]]:
        leaves = [leaf for leaf in self.desk.world.leaves() if leaf["kind"] == "drift.found"]
        return sorted((leaf["processor"], leaf["reason"]) for leaf in leaves)

    def everything_carried(self) -> None:
        with self.desk.database.write() as connection:
            connection.execute(update(relay).values(status="confirmed", outcome="done"))


@pytest.fixture
def company(tmp_path: Path, simulators: dict[str, SimulatorProcess]) -> Iterator[Company]:
    wordpress, stripe, google = (simulators[kind] for kind in PROCESSORS)
    base = settings_for(tmp_path)
    settings = replace(
        base,
        wordpress_url=wordpress.url,
        wordpress_secret=wordpress.secret,
        stripe_api_key="rk_test_simulated",
        stripe_api_base=stripe.url,
        google_credentials=google.service_account_path.read_text(),
        google_subject="post@example.org",
        google_api_base=google.url,
    )
    world = World(settings)
    unconfirmed(world)
    actions = ("give", "withdraw", "rectify", "restrict", "erase", "export")
    processors = {key: replace(one, actions=actions) for key, one in world.policy.processors.items()}
    processors["google"] = replace(processors["google"], groups={"newsletter": GROUP})
    world.policy = replace(world.policy, processors=MappingProxyType(processors))
    made = Company(Desk(world), simulators)
    yield made
    for simulator in simulators.values():
        simulator.clear()
        assert simulator.violations() == []
    world.close()


def given(company: Company) -> None:
    company.desk.say(sign_up(KARI), now_ms())
    company.everything_carried()
    company.subscribe_everywhere(KARI, OTHER)


def test_a_list_that_was_imported_again_is_undone_everywhere_and_nobody_else_is_touched(company: Company) -> None:
    given(company)
    company.desk.say(withdrawal(KARI), now_ms() + MINUTE_MS)
    company.everything_carried()
    assert company.sweep() == 1
    assert company.found() == [(one, "given_at_processor") for one in sorted(PROCESSORS)]
    company.desk.world.carry(urgent=True)
    assert company.subscribed() == dict.fromkeys(PROCESSORS, [OTHER])
    assert company.sweep() == 1
    assert len(company.found()) == 3
    assert [one.status for one in company.desk.relays(action="withdraw", status="pending")] == []
    assert company.desk.problems() == []


def test_who_leaves_by_the_newsletters_own_link_is_withdrawn_everywhere(company: Company) -> None:
    given(company)
    told = dict.fromkeys(company.desk.world.policy.purposes, "unknown") | {"newsletter": "unsubscribed"}
    company.simulators["wordpress"].faults([{"path_prefix": "/wp-json/samtykke/v1/status", "body": {"purposes": told}}])
    assert company.sweep() == 1
    assert company.found() == [("wordpress", "withdrawn_at_processor")]
    assert company.desk.check() == "withdrawn"
    company.desk.world.carry(urgent=True)
    assert company.subscribed() == dict.fromkeys(PROCESSORS, [OTHER])


def test_the_job_of_the_relays_goes_on_with_a_sweep_that_is_due(company: Company) -> None:
    given(company)
    with company.desk.database.write() as connection:
        connection.execute(update(subject).values(created_at_ms=0))
    jobs.set_up(company.desk.world.context("relay"))
    jobs.relay()
    with company.desk.database.read() as connection:
        last = standing(connection).finished
    assert last is not None
    assert (last.people, dict(last.counts)) == (1, {"same": 3})


def test_where_everybody_says_the_same_nothing_happens(company: Company) -> None:
    given(company)
    before = len(company.desk.kinds())
    assert company.sweep() == 1
    assert (company.found(), len(company.desk.kinds())) == ([], before)


def test_the_export_holds_what_each_processor_has_and_nothing_of_a_similar_address(company: Company) -> None:
    given(company)
    gathered = export(company.desk.world.context("operator"), company.desk.handle())
    holds: dict[str, Any] = {one["processor"]: one["holds"] for one in gathered.document["processors"]}
    assert "cus_0" in json.dumps(holds["stripe"])
    assert GROUP in json.dumps(holds["google"])
    assert holds["wordpress"] is not None
    assert OTHER not in json.dumps(gathered.document)
    assert "cus_1" not in json.dumps(gathered.document)
    assert gathered.missing == {}
