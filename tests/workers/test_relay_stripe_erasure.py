"""Erasure at Stripe: what goes, what has to stay and until when, and a crash at any point between."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.stripe.echo import is_echo
from tests.simulators.process import SimulatorProcess
from tests.workers.stripe_scene import Scene, staged
from workers.relays.action import Outcome, RelayError, RelayResult
from workers.relays.stripe.survey import Survey

KARI = {
    "id": "cus_kari",
    "email": "Kari@Example.no",
    "name": "Kari Nordmann",
    "phone": "+4790000000",
    "description": "prefers mail",
    "address": {"country": "NO"},
    "shipping": {"name": "Kari", "address": {"country": "NO"}},
    "metadata": {"consent_newsletter": "given", "nickname": "kari"},
}
OLA = {"id": "cus_ola", "email": "ola@example.no", "name": "Ola Hansen"}
MARCH_2026 = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp())
SIX_YEARS_ON = int(datetime(2032, 1, 1, tzinfo=UTC).timestamp()) * 1000  # five after the end of 2026


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("stripe", tmp_path_factory.mktemp("stripe")) as started:
        yield started


@pytest.fixture
def scene(process: SimulatorProcess, request: pytest.FixtureRequest) -> Iterator[Scene]:
    with staged(process, request.node.name, [KARI, OLA]) as made:
        yield made


def seed(scene: Scene, **collections: Any) -> None:
    scene.stripe.seed(collections)


def test_every_field_is_emptied_before_the_customer_is_deleted(scene: Scene) -> None:
    second = {"id": "cus_second", "email": "KARI@example.no", "metadata": {}}
    scene.stripe.seed({"customers": [KARI, second, OLA]})
    seed(scene, payment_methods=[{"id": "pm_1", "customer": "cus_kari"}, {"id": "card_2", "customer": "cus_kari"}])
    seed(scene, tax_ids=[{"id": "txi_1", "customer": "cus_kari"}])
    assert scene.run("erase") == RelayResult(Outcome.REMOVED)
    state = scene.stripe.state()
    for each in ("cus_kari", "cus_second"):
        left = {name: value for name, value in state["customers"][each].items() if value and name != "metadata"}
        assert left["deleted"]
        assert not {"email", "name", "phone", "description", "address", "shipping"} & set(left)
        assert state["customers"][each]["metadata"] == {"erasure_reference": scene.action.reference}
    assert [each["customer"] for each in state["payment_methods"].values()] == [None, None]
    assert state["tax_ids"] == {}
    assert state["customers"]["cus_ola"]["name"] == "Ola Hansen"
    assert scene.waits == [("customers_noted", 1.0, True)]
    assert [effect for effect, _ in scene.effects() if effect != "payment_method.detached"] == [
        "customer.tax_id.deleted",
        "customer.updated",
        "customer.deleted",
        "customer.updated",
        "customer.deleted",
    ]


def test_what_it_does_there_comes_back_as_an_echo(scene: Scene) -> None:
    seed(scene, payment_methods=[{"id": "pm_1", "customer": "cus_kari"}])
    scene.run("erase")
    events = scene.stripe.state()["events"]
    assert [each["type"] for each in events] == ["payment_method.detached", "customer.updated", "customer.deleted"]
    assert [is_echo(each) for each in events] == [True, True, True]


def test_a_deletion_by_somebody_else_is_no_echo(scene: Scene) -> None:
    scene.run("withdraw")
    (event,) = [each for each in scene.stripe.state()["events"] if each["type"] == "customer.updated"]
    assert not is_echo({**event, "type": "customer.deleted", "request": {"idempotency_key": None}})


def test_who_is_not_there_is_not_found_and_nothing_waits(scene: Scene) -> None:
    assert scene.run("erase", emails=("per@example.no",)) == RelayResult(Outcome.NOT_FOUND)
    assert (scene.waits, scene.effects()) == ([], [])


def test_payments_stay_for_the_bookkeeping_with_the_end_of_the_last_period(scene: Scene) -> None:
    seed(scene, charges=[{"customer": "cus_kari", "created": MARCH_2026 - 86_400 * 900}])
    seed(scene, invoices=[{"customer": "cus_kari", "created": MARCH_2026}])
    assert scene.run("erase") == RelayResult(Outcome.RETAINED, "bookkeeping", SIX_YEARS_ON)
    assert scene.customer()["deleted"]


@pytest.mark.parametrize(
    ("created", "year"),
    [("2026-12-31T09:59:59+00:00", 2032), ("2026-12-31T10:00:00+00:00", 2033), ("2027-01-01T00:00:00+00:00", 2033)],
)
def test_a_payment_before_midnight_is_kept_as_if_it_were_of_the_next_year(created: str, year: int) -> None:
    found = Survey()
    found.keep_books(int(datetime.fromisoformat(created).timestamp()), 5)
    assert found.until_ms == int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1000


def test_many_payments_are_looked_at_within_one_attempt(scene: Scene) -> None:
    """Of each kind 25 at a time: an attempt has a minute, at ten requests a second."""
    own = {"customer": "cus_kari", "created": MARCH_2026}
    seed(scene, charges=[{"id": f"ch_{at}", **own} for at in range(490)])
    seed(scene, payment_intents=[{"id": f"pi_{at}", **own} for at in range(490)])
    assert scene.step("erase") is None
    assert len(scene.lines()) < 60
    seed(scene, invoices=[{"id": f"in_{at}", **own} for at in range(20)])
    error = scene.refusal("erase")
    assert (error.reason, error.permanent) == ("too_many_objects", True)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("paid", RelayResult(Outcome.RETAINED, "bookkeeping", SIX_YEARS_ON)),
        ("unpaid", RelayResult(Outcome.RETAINED, "unpaid_checkout")),
    ],
)
def test_a_guests_checkout_cannot_be_deleted_and_is_said_to_be_there(
    scene: Scene, status: str, expected: RelayResult
) -> None:
    seed(scene, guests=[{"email": "per@example.no", "payment_status": status, "created": MARCH_2026}])
    assert scene.run("erase", emails=("Per@example.no",)) == expected
    assert scene.effects() == []


@pytest.mark.parametrize("status", ["active", "trialing", "past_due", "unpaid", "paused"])
def test_a_running_subscription_is_for_the_operator(scene: Scene, status: str) -> None:
    seed(scene, subscriptions=[{"id": "sub_1", "customer": "cus_kari", "status": status}])
    error = scene.refusal("erase")
    assert (error.reason, error.permanent) == ("active_subscription", True)
    assert [effect for effect, _ in scene.effects()] == ["customer.updated"]
    assert (scene.customer()["metadata"]["consent_newsletter"], scene.customer()["name"]) == ("withdrawn", KARI["name"])
    seed(scene, subscriptions=[{"id": "sub_1", "customer": "cus_kari", "status": "canceled"}])
    assert scene.run("erase", attempt_epoch=2).outcome is Outcome.REMOVED


@pytest.mark.parametrize("status", ["incomplete", "incomplete_expired", "canceled"])
def test_a_subscription_that_never_began_or_has_ended_is_no_hindrance(scene: Scene, status: str) -> None:
    seed(scene, subscriptions=[{"id": "sub_1", "customer": "cus_kari", "status": status}])
    assert scene.run("erase").outcome is Outcome.REMOVED


@pytest.mark.parametrize(
    ("reason", "collections", "until_day"),
    [
        (
            "open_dispute",
            {
                "charges": [{"id": "ch_1", "customer": "cus_kari", "disputed": True, "paid": False}],
                "disputes": [{"charge": "ch_1", "created": MARCH_2026}],
            },
            120,
        ),
        (
            "unpaid_invoice",
            {"invoices": [{"customer": "cus_kari", "status": "open", "created": 0, "due_date": MARCH_2026}]},
            3 * 365 + 1,
        ),
    ],
)
def test_a_claim_holds_its_customer_and_no_other(
    scene: Scene, reason: str, collections: dict[str, Any], until_day: int
) -> None:
    scene.stripe.seed({"customers": [KARI, {"id": "cus_second", "email": "kari@example.no"}]})
    seed(scene, **collections)
    until_ms = (MARCH_2026 + until_day * 86_400) * 1000
    assert scene.run("erase") == RelayResult(Outcome.RETAINED, reason, until_ms)
    held = scene.customer()
    assert (held["name"], held["metadata"]["consent_newsletter"]) == ("Kari Nordmann", "withdrawn")
    assert scene.customer("cus_second")["deleted"]


def test_a_dispute_that_is_closed_holds_nothing(scene: Scene) -> None:
    seed(scene, charges=[{"id": "ch_1", "customer": "cus_kari", "disputed": True, "created": MARCH_2026}])
    seed(scene, disputes=[{"charge": "ch_1", "status": "lost"}])
    assert scene.run("erase") == RelayResult(Outcome.RETAINED, "bookkeeping", SIX_YEARS_ON)


@pytest.mark.parametrize("fault", [{"hang": True}, {"status": 502}, {"status": 503, "body": "<html>"}])
def test_a_deletion_that_was_never_answered_is_not_forgotten(scene: Scene, fault: dict[str, Any]) -> None:
    seed(scene, charges=[{"customer": "cus_kari", "created": MARCH_2026}])
    assert scene.step("erase") is None
    scene.stripe.faults([{"method": "DELETE", "after_effect": True, **fault}])
    with pytest.raises(RelayError):
        scene.step("erase")
    scene.stripe.clear()
    assert scene.run("erase") == RelayResult(Outcome.RETAINED, "bookkeeping", SIX_YEARS_ON)
    assert [effect for effect, _ in scene.effects()] == ["customer.updated", "customer.deleted"]


def test_a_customer_who_appears_meanwhile_is_noted_too(scene: Scene) -> None:
    assert scene.step("erase") is None
    scene.stripe.seed({"customers": [KARI, {"id": "cus_new", "email": "kari@example.no"}]})
    assert scene.run("erase").outcome is Outcome.REMOVED
    assert [wait for wait, *_ in scene.waits] == ["customers_noted", "customers_noted"]
    assert scene.customer("cus_new")["deleted"]


def test_one_that_the_index_still_shows_under_an_old_address_is_left_alone(scene: Scene) -> None:
    scene.stripe.seed({"customers": [{**OLA, "indexed_email": "kari@example.no"}]})
    assert scene.run("erase") == RelayResult(Outcome.NOT_FOUND)
    assert scene.effects() == []


def test_a_deletion_that_is_only_said_to_be_done_is_not_believed(scene: Scene) -> None:
    scene.step("erase")
    scene.stripe.faults([{"method": "DELETE", "body": {"id": "cus_kari", "object": "customer", "deleted": True}}])
    with pytest.raises(RelayError, match="read_back_failed"):
        scene.step("erase")
    assert scene.run("erase").outcome is Outcome.REMOVED


def test_a_customer_who_is_not_blank_is_not_deleted(scene: Scene) -> None:
    scene.step("erase")
    scene.stripe.faults([{"method": "POST", "path_prefix": "/v1/customers/cus_kari", "body": KARI}])
    with pytest.raises(RelayError, match="read_back_failed") as caught:
        scene.step("erase")
    assert caught.value.new_epoch
    assert "deleted" not in scene.customer()


def test_without_redaction_nothing_is_asked_of_the_preview(scene: Scene) -> None:
    seed(scene, preview=False, charges=[{"customer": "cus_kari", "created": MARCH_2026}])
    assert scene.run("erase").reason == "bookkeeping"
    assert not [line for line in scene.lines() if "privacy" in line["path"]]
