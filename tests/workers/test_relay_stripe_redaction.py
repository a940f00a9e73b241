"""Redaction jobs at a simulated Stripe: after 90 days, ten objects each, until all have succeeded."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.simulators.process import SimulatorProcess
from tests.workers.stripe_scene import Scene, staged
from workers.outgoing import OutgoingSession
from workers.relays.action import Outcome, RelayError, RelayResult, RelayWait, system_clock_ms

KARI = {"id": "cus_kari", "email": "Kari@Example.no", "name": "Kari"}
DAY_S = 86_400
OLD = int(time.time()) - 100 * DAY_S


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("stripe", tmp_path_factory.mktemp("stripe")) as started:
        yield started


@pytest.fixture
def scene(process: SimulatorProcess, request: pytest.FixtureRequest) -> Iterator[Scene]:
    with staged(process, request.node.name, [KARI], redaction=True) as made:
        yield made


def bought(scene: Scene, count: int = 1, created: int = OLD) -> None:
    """Each purchase is a charge, a payment intent and a checkout."""
    own = {"customer": "cus_kari", "created": created}
    intents = [{"id": f"pi_{at}", **own} for at in range(count)]
    charges = [{"id": f"ch_{at}", "payment_intent": f"pi_{at}", **own} for at in range(count)]
    checkouts = [
        {"id": f"cs_{at}", "email": "kari@example.no", "payment_intent": f"pi_{at}", **own} for at in range(count)
    ]
    scene.stripe.seed({"payment_intents": intents, "charges": charges, "guests": checkouts})


def jobs(scene: Scene) -> list[dict[str, Any]]:
    return list(scene.stripe.state()["redaction_jobs"].values())


def test_everything_ends_redacted_ten_objects_at_a_time(scene: Scene) -> None:
    bought(scene, 8)
    assert scene.run("erase") == RelayResult(Outcome.REMOVED)
    assert [sum(map(len, each["objects"].values())) for each in jobs(scene)] == [10, 10, 5]
    assert {each["status"] for each in jobs(scene)} == {"succeeded"}
    state = scene.stripe.state()
    assert {each["receipt_email"] for each in state["charges"].values()} == {"[redacted]"}
    assert {each["customer_details"]["email"] for each in state["sessions"].values()} == {"[redacted]"}
    assert [reason for reason, *_ in scene.waits] == [
        "customers_noted",
        "redaction_not_yet",
        "redaction_validating",
        "redaction_running",
    ]
    assert [kept for *_, kept in scene.waits] == [True, False, False, False]
    assert "kari" not in str(scene.notes).replace("cus_kari", "").lower()


def test_it_waits_until_the_last_payment_is_ninety_days_old(scene: Scene) -> None:
    bought(scene, created=int(time.time()) - 30 * DAY_S)
    assert [scene.step("erase"), scene.step("erase")] == [None, None]
    reason, wait_s, keeps_addresses = scene.waits[-1]
    assert (reason, keeps_addresses) == ("redaction_not_yet", False)
    assert 59 * DAY_S < wait_s <= 60 * DAY_S
    assert scene.customer()["deleted"]  # that does not wait


def test_a_guest_is_redacted_too(scene: Scene) -> None:
    scene.stripe.seed({"payment_intents": [{"id": "pi_g", "customer": None, "created": OLD}]})
    scene.stripe.seed({"guests": [{"id": "cs_g", "email": "per@example.no", "created": OLD, "payment_intent": "pi_g"}]})
    assert scene.run("erase", emails=()) == RelayResult(Outcome.NOT_FOUND)
    scene.action = replace(scene.action, emails=("per@example.no",))
    assert scene.run("erase") == RelayResult(Outcome.REMOVED)
    assert jobs(scene)[0]["objects"] == {"checkout_sessions": ["cs_g"], "payment_intents": ["pi_g"]}


def test_what_is_in_the_way_is_waited_for_a_month_and_named(scene: Scene) -> None:
    bought(scene)
    while "jobs" not in scene.notes:
        assert scene.step("erase") is None
    charge = {"id": "ch_0", "customer": "cus_kari", "created": OLD}
    scene.stripe.seed({"charges": [{**charge, "disputed": True}]})
    assert scene.step("erase") is None
    assert scene.waits[-1] == ("redaction_invalid_state", float(DAY_S), False)
    assert jobs(scene)[0]["status"] == "validating"  # once more
    later = replace(scene.connection, clock=lambda: system_clock_ms() + 31 * DAY_S * 1000)
    error = scene.refusal("erase", connection=later)
    assert (error.reason, error.permanent) == ("redaction_invalid_state", True)
    scene.stripe.seed({"charges": [charge]})
    # An operator has settled it and replays the relay, which raises the epoch.
    assert scene.run("erase", connection=later, attempt_epoch=2) == RelayResult(Outcome.REMOVED)


def test_an_account_without_the_preview_says_so(scene: Scene) -> None:
    bought(scene)
    scene.stripe.seed({"preview": False})
    error = scene.refusal("erase")
    assert (error.reason, error.permanent) == ("redaction_not_available", True)
    assert scene.customer()["deleted"]


def test_a_job_that_was_canceled_by_hand_is_for_the_operator(scene: Scene) -> None:
    bought(scene)
    while "jobs" not in scene.notes:
        scene.step("erase")
    (job,) = scene.notes["jobs"]
    canceled = {"id": job, "object": "privacy.redaction_job", "status": "canceled"}
    scene.stripe.faults([{"method": "GET", "path_prefix": f"/v1/privacy/redaction_jobs/{job}", "body": canceled}])
    error = scene.refusal("erase")
    assert (error.reason, error.permanent) == ("redaction_canceled", True)


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"status": 500, "after_effect": True}, {"hang": True, "after_effect": True}]
)
def test_no_job_is_created_or_run_twice(scene: Scene, fault: dict[str, Any]) -> None:
    bought(scene)
    scene.stripe.faults(
        [
            {"method": "POST", "path_prefix": "/v1/privacy/redaction_jobs", **fault},
            {"method": "POST", "path_prefix": "/v1/privacy/redaction_jobs/", **fault},
        ]
    )
    hasty = OutgoingSession(frozenset({"127.0.0.1"}), allow_loopback=True, deadline_s=1)
    results: list[RelayResult | None] = []
    epoch = 1
    for _ in range(12):
        try:
            results.append(scene.step("erase", replace(scene.connection, session=hasty), attempt_epoch=epoch))
        except RelayError as error:
            assert error.reason in {"server_error", "deadline"}
            epoch += int(error.new_epoch)
    assert results[-1] == RelayResult(Outcome.REMOVED)
    made = [effect for effect, _ in scene.effects() if "redaction" in effect]
    assert made == ["privacy.redaction_job.created", "privacy.redaction_job.redacting"]


@pytest.mark.parametrize("answer", ["<html>", [], {}, {"id": "prj_1"}, {"id": "../x", "status": "succeeded"}])
def test_another_answer_is_not_taken_for_a_job(scene: Scene, answer: object) -> None:
    bought(scene)
    while "jobs" not in scene.notes:
        scene.step("erase")
    scene.stripe.faults([{"method": "GET", "path_prefix": "/v1/privacy/redaction_jobs/", "body": answer}])
    with pytest.raises((RelayError, RelayWait), match="unexpected_answer"):
        scene.step("erase")
