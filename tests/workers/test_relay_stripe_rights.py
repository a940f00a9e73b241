"""Consent, restriction and rectification at Stripe, and what an observer sees of them."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from schemas.stripe.echo import is_echo
from tests.simulators.process import SimulatorProcess
from tests.workers.stripe_scene import Scene, staged
from workers.relays import OBSERVERS
from workers.relays.action import Outcome, Presence, RelayResult

KARI = {"id": "cus_kari", "email": "Kari@Example.no", "name": "Kari N", "metadata": {"kept": "yes"}}
SECOND = {"id": "cus_second", "email": "kari@example.no", "business_name": "Old AS", "metadata": {}}
OLA = {"id": "cus_ola", "email": "ola@example.no", "name": "Ola Hansen"}
AT = "2026-09-21T14:13:20.123Z"
FINISHED = "finished_payments_keep_old_details"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("stripe", tmp_path_factory.mktemp("stripe")) as started:
        yield started


@pytest.fixture
def scene(process: SimulatorProcess, request: pytest.FixtureRequest) -> Iterator[Scene]:
    with staged(process, request.node.name, [KARI, SECOND, OLA], pause_restricted=True) as made:
        yield made


def observed(scene: Scene) -> dict[str, Presence]:
    return dict(OBSERVERS["stripe"](scene.action, scene.connection))


def test_a_consent_is_marked_on_every_customer_and_seen(scene: Scene) -> None:
    assert observed(scene) == {"newsletter": Presence.UNKNOWN, "offers": Presence.UNKNOWN}
    assert scene.run("give", purposes=("newsletter",)) == RelayResult(Outcome.DONE)
    marks = {
        "consent_newsletter": "given",
        "consent_newsletter_at": AT,
        "consent_reference": scene.action.reference,
    }
    assert scene.customer()["metadata"] == {"kept": "yes", **marks}
    assert scene.customer("cus_second")["metadata"] == marks
    assert observed(scene) == {"newsletter": Presence.GIVEN, "offers": Presence.UNKNOWN}


def test_one_customer_who_is_marked_as_given_is_enough_to_be_told_of(scene: Scene) -> None:
    scene.run("withdraw")
    assert set(observed(scene).values()) == {Presence.WITHDRAWN}
    second = {**SECOND, "metadata": {"consent_offers": "given"}}
    scene.stripe.seed({"customers": [scene.customer(), second]})
    assert observed(scene) == {"newsletter": Presence.WITHDRAWN, "offers": Presence.GIVEN}


def test_an_observer_writes_nothing(scene: Scene) -> None:
    observed(scene)
    assert {line["method"] for line in scene.lines()} == {"GET"}


@pytest.mark.parametrize("action", ["give", "rectify", "restrict", "unrestrict"])
def test_whom_stripe_does_not_know_is_not_found(scene: Scene, action: str) -> None:
    assert scene.run(action, emails=("per@example.no",)) == RelayResult(Outcome.NOT_FOUND)
    assert scene.run(action, emails=()) == RelayResult(Outcome.NOT_FOUND)
    assert scene.effects() == []


def test_a_restriction_pauses_what_runs_and_its_end_resumes_only_that(scene: Scene) -> None:
    behavior = {"behavior": "void"}
    scene.stripe.seed(
        {
            "subscriptions": [
                {"id": "sub_1", "customer": "cus_kari"},
                {"id": "sub_paused", "customer": "cus_kari", "pause_collection": behavior},
                {"id": "sub_ola", "customer": "cus_ola"},
            ]
        }
    )

    def paused() -> dict[str, object]:
        return {name: each["pause_collection"] for name, each in scene.stripe.state()["subscriptions"].items()}

    assert scene.run("restrict") == RelayResult(Outcome.DONE)
    assert scene.customer()["metadata"] == {
        "kept": "yes",
        "processing": "restricted",
        "processing_at": AT,
        "consent_reference": scene.action.reference,
    }
    assert paused() == {"sub_1": {"behavior": "keep_as_draft"}, "sub_paused": behavior, "sub_ola": None}
    assert scene.run("unrestrict") == RelayResult(Outcome.DONE)
    assert scene.customer()["metadata"] == {"kept": "yes", "consent_reference": scene.action.reference}
    assert paused() == {"sub_1": None, "sub_paused": behavior, "sub_ola": None}
    assert all(map(is_echo, scene.stripe.state()["events"]))


def test_a_restriction_leaves_subscriptions_alone_unless_it_is_told_otherwise(scene: Scene) -> None:
    scene.stripe.seed({"subscriptions": [{"id": "sub_1", "customer": "cus_kari"}]})
    way = replace(scene.connection, pause_restricted=False)
    assert [scene.step(each, way) for each in ("restrict", "unrestrict")] == [RelayResult(Outcome.DONE)] * 2
    assert {effect for effect, _ in scene.effects()} == {"customer.updated"}


def test_what_is_right_replaces_what_was_wrong_under_every_address(scene: Scene) -> None:
    profile = {"first_name": "Kari", "last_name": "Nordmann", "company": "Ny AS", "email": "kari@example.test"}
    assert scene.run("rectify", profile=profile) == RelayResult(Outcome.DONE)
    for each in ("cus_kari", "cus_second"):
        found = scene.customer(each)
        assert (found["email"], found["name"]) == ("kari@example.test", "Kari Nordmann")
        assert (found["individual_name"], found["business_name"]) == ("Kari Nordmann", "Ny AS")
    assert scene.customer("cus_ola")["name"] == "Ola Hansen"
    assert scene.run("rectify", profile=profile) == RelayResult(Outcome.DONE)  # found by the new address now
    assert [effect for effect, _ in scene.effects()] == ["customer.updated"] * 2
    assert all(map(is_echo, scene.stripe.state()["events"]))


def test_an_empty_text_takes_a_field_away_and_a_missing_one_leaves_it(scene: Scene) -> None:
    assert scene.run("rectify", profile={"company": ""}) == RelayResult(Outcome.DONE)
    assert (scene.customer("cus_second")["business_name"], scene.customer()["name"]) == (None, "Kari N")
    newer = {"first_name": "", "last_name": "", "company": "Ny AS"}
    error = scene.refusal("rectify", profile=newer)  # the key stands for what was right before
    assert (error.reason, error.permanent, error.new_epoch) == ("idempotency_mismatch", False, True)
    assert scene.run("rectify", profile=newer, attempt_epoch=2).outcome is Outcome.DONE
    assert (scene.customer()["name"], scene.customer()["business_name"]) == ("Ny AS", "Ny AS")


@pytest.mark.parametrize(
    "collections",
    [
        {"charges": [{"customer": "cus_kari"}]},
        {"invoices": [{"customer": "cus_second"}]},
        {"guests": [{"email": "kari@example.no"}]},
    ],
)
def test_it_says_that_finished_payments_keep_what_was_wrong(scene: Scene, collections: dict[str, object]) -> None:
    scene.stripe.seed(collections)
    assert scene.run("rectify", profile={"company": "Ny AS"}) == RelayResult(Outcome.DONE, FINISHED)


def test_an_address_with_a_kelvin_sign_is_another_mailbox(scene: Scene) -> None:
    scene.stripe.seed({"customers": [{"id": "cus_kelvin", "email": "\u212aari@example.no"}]})
    assert scene.run("give") == RelayResult(Outcome.NOT_FOUND)


def test_a_quote_in_an_address_does_not_end_the_query(scene: Scene) -> None:
    odd = 'kari"ari\\@example.no'
    scene.stripe.seed({"customers": [{"id": "cus_odd", "email": odd.upper()}, OLA]})
    assert scene.run("give", emails=(odd,)) == RelayResult(Outcome.DONE)
    assert scene.effects() == [("customer.updated", "/v1/customers/cus_odd")]
