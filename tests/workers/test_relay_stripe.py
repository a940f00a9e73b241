"""The Stripe relay against a simulated Stripe that checks each request by the published description."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.simulators.process import SimulatorProcess
from workers.outgoing import OutgoingSession
from workers.relays import RELAYS
from workers.relays.action import Outcome, RelayAction, RelayError, RelayResult
from workers.relays.stripe import RESPONSE_SIZE_MAX_BYTES, StripeConnection, withdraw

ACTION = RelayAction("5a3c", ("Kari@Example.no", "kari@example.no"), ("newsletter", "offers"), 1_790_000_000_123, 1)
MARKS = {
    "consent_newsletter": "withdrawn",
    "consent_newsletter_at": "2026-09-21T14:13:20.123Z",
    "consent_offers": "withdrawn",
    "consent_offers_at": "2026-09-21T14:13:20.123Z",
    "consent_reference": "5a3c",
}
LOOPBACK = frozenset({"127.0.0.1"})
KARI = {"id": "cus_kari", "email": "Kari@Example.no", "metadata": {"kept": "yes"}}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("stripe", tmp_path_factory.mktemp("stripe")) as started:
        yield started


@dataclass(frozen=True)
class Scene:
    """A fresh Stripe with one customer, the way to it, and the withdrawal to carry there."""

    stripe: SimulatorProcess
    connection: StripeConnection
    action: RelayAction
    earlier: int

    def refusal(self, **changes: Any) -> RelayError:
        with pytest.raises(RelayError) as caught:
            withdraw(self.action, replace(self.connection, **changes))
        assert "kari" not in str(caught.value).lower()
        return caught.value

    def again(self, **changes: Any) -> Outcome:
        return withdraw(replace(self.action, **changes), self.connection).outcome

    def marks(self) -> Any:
        return self.stripe.state()["customers"]["cus_kari"]["metadata"]

    def lines(self) -> list[dict[str, Any]]:
        return self.stripe.journal()[self.earlier :]

    def effects(self) -> list[str]:
        return [line["effect"] for line in self.lines() if line["effect"]]


@pytest.fixture
def scene(process: SimulatorProcess, request: pytest.FixtureRequest) -> Iterator[Scene]:
    process.seed({"customers": [KARI], "guests": [{"email": "ola@example.no"}]})
    session = OutgoingSession(LOOPBACK, allow_loopback=True, deadline_s=5)
    connection = StripeConnection("rk_test_simulated", process.url, session)
    # A reference for each test, because the simulator remembers idempotency keys for ever.
    action = replace(ACTION, reference=hashlib.sha256(request.node.name.encode()).hexdigest()[:32])
    yield Scene(process, connection, action, len(process.journal()))
    process.clear()
    assert process.violations() == []


def test_it_marks_the_withdrawal_and_reads_it_back(scene: Scene) -> None:
    assert RELAYS["stripe"]["withdraw"](ACTION, scene.connection) == RelayResult(Outcome.REMOVED)
    assert scene.marks() == {"kept": "yes", **MARKS}
    lines = scene.lines()
    assert [line["method"] for line in lines] == ["GET", "POST", "GET", "GET", "GET"]  # the last is the search
    assert lines[1]["idempotency_key"] == "relay:5a3c:withdraw-cus_kari:1"


def test_it_marks_every_customer_of_every_spelling_page_by_page(scene: Scene) -> None:
    spellings = ["Kari@Example.no", "kari@example.no", "KARI@example.no", "per@example.no"]  # the third by search
    scene.stripe.seed({"customers": [{"id": f"cus_{at}", "email": spellings[at % 4]} for at in range(48)]})
    assert scene.again() is Outcome.REMOVED
    marked = {
        key for key, each in scene.stripe.state()["customers"].items() if "consent_newsletter" in each["metadata"]
    }
    assert marked == {f"cus_{at}" for at in range(48) if at % 4 < 3}


def test_a_guest_is_not_found(scene: Scene) -> None:
    assert scene.again(emails=("ola@example.no",)) is Outcome.NOT_FOUND
    assert scene.again(emails=()) is Outcome.NOT_FOUND


def test_a_customer_that_is_deleted_meanwhile_is_not_found(scene: Scene) -> None:
    missing = {"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "No such customer"}}
    scene.stripe.faults([{"method": "POST", "status": 404, "body": missing}])
    assert scene.again() is Outcome.NOT_FOUND
    gone = {"id": "cus_kari", "object": "customer", "deleted": True}
    scene.stripe.faults([{"method": "GET", "path_prefix": "/v1/customers/cus_kari", "body": gone}])
    assert scene.again() is Outcome.NOT_FOUND


@pytest.mark.parametrize("marks", [{}, {**MARKS, "consent_offers": "given"}])
def test_it_fails_where_the_read_back_disagrees(scene: Scene, marks: dict[str, str]) -> None:
    found = {"id": "cus_kari", "object": "customer", "metadata": {**marks, "consent_reference": scene.action.reference}}
    scene.stripe.faults([{"method": "GET", "path_prefix": "/v1/customers/cus_kari", "body": found}])
    error = scene.refusal()
    assert (error.reason, error.permanent, error.new_epoch) == ("read_back_failed", False, True)


def test_a_customer_changed_back_by_another_party_is_marked_under_a_new_key(scene: Scene) -> None:
    scene.again()
    scene.stripe.seed({"customers": [KARI]})
    error = scene.refusal()  # the old key is answered from memory
    assert (error.reason, error.new_epoch) == ("read_back_failed", True)
    assert scene.again(attempt_epoch=2) is Outcome.REMOVED
    assert scene.marks()["consent_newsletter"] == "withdrawn"


def test_a_retry_after_a_500_that_had_its_effect_has_no_second_effect(scene: Scene) -> None:
    scene.stripe.faults([{"method": "POST", "status": 500, "after_effect": True}])
    error = scene.refusal()
    assert (error.reason, error.permanent, error.new_epoch) == ("server_error", False, True)
    assert scene.again(attempt_epoch=2) is Outcome.REMOVED
    assert scene.effects() == ["customer.updated"]


def test_a_saved_500_without_an_effect_is_overcome_by_a_new_epoch(scene: Scene) -> None:
    scene.stripe.faults([{"method": "POST", "status": 500}])
    assert [scene.refusal().new_epoch for _ in range(2)] == [True, True]
    assert scene.stripe.journal()[-1]["replayed"]
    assert scene.again(attempt_epoch=2) is Outcome.REMOVED
    assert scene.marks()["consent_newsletter"] == "withdrawn"


@pytest.mark.parametrize(
    ("status", "headers", "reason", "retry_after_s"),
    [
        (429, {"Retry-After": "7"}, "rate_limited", 7),
        (429, {}, "rate_limited", None),
        (409, {}, "busy", None),
        (503, {"Retry-After": "9"}, "server_error", 9),
    ],
)
def test_it_tries_again_later_under_the_same_key(
    scene: Scene,
    status: int,
    headers: dict[str, str],
    reason: str,
    retry_after_s: float | None,
) -> None:
    scene.stripe.faults([{"method": "POST", "status": status, "headers": headers}])
    error = scene.refusal()
    assert (error.reason, error.retry_after_s, error.permanent) == (reason, retry_after_s, False)
    assert not error.new_epoch
    assert scene.again() is Outcome.REMOVED


def test_a_retry_after_comes_through_an_answer_that_is_not_json(scene: Scene) -> None:
    scene.stripe.faults([{"status": 503, "body": "<html>Down</html>", "headers": {"Retry-After": "11"}}])
    assert scene.refusal().retry_after_s == 11


def test_a_wrong_key_or_a_missing_permission_halts_the_processor(scene: Scene) -> None:
    assert scene.refusal(api_key="wrong").halt
    assert scene.refusal(api_key="").halt
    scene.stripe.faults([{"status": 403}])
    error = scene.refusal()
    assert (error.reason, error.halt, error.status) == ("forbidden", True, 403)


def test_another_refusal_parks_the_relay(scene: Scene) -> None:
    scene.stripe.faults([{"method": "POST", "status": 400}])
    assert scene.refusal().permanent


def test_what_has_changed_since_the_last_attempt_is_written_under_a_new_key(scene: Scene) -> None:
    scene.again()
    scene.stripe.seed({"customers": [KARI]})
    with pytest.raises(RelayError) as caught:
        scene.again(occurred_at_ms=0)
    assert (caught.value.reason, caught.value.permanent, caught.value.new_epoch) == (
        "idempotency_mismatch",
        False,
        True,
    )
    assert scene.again(occurred_at_ms=0, attempt_epoch=2) is Outcome.REMOVED


@pytest.mark.parametrize(
    "body",
    [
        "<html>Please log in</html>",
        "",
        [],
        {},
        {"object": "customer"},
        {"object": "list"},
        {"object": "list", "data": None},
        {"object": "list", "data": [{"object": "customer"}]},
        {"object": "list", "data": [{"object": "customer", "id": "cus_1/../x"}]},
        {"object": "list", "data": [{"object": "charge", "id": "ch_1"}]},
        {"object": "list", "data": ["cus_1"]},
    ],
)
def test_it_does_not_take_another_answer_for_a_list_of_customers(scene: Scene, body: object) -> None:
    scene.stripe.faults([{"method": "GET", "body": body}])
    error = scene.refusal()
    assert (error.reason, error.permanent) == ("unexpected_answer", False)


@pytest.mark.parametrize("body", ["<html>", "", [], {}, {"object": "customer", "id": "cus_2", "metadata": MARKS}])
def test_it_does_not_take_another_read_back_for_success(scene: Scene, body: object) -> None:
    scene.stripe.faults([{"method": "GET", "path_prefix": "/v1/customers/cus_kari", "body": body}])
    assert scene.refusal().reason in {"unexpected_answer", "read_back_failed"}


def test_a_customer_with_another_address_is_left_alone(scene: Scene) -> None:
    other = {"object": "list", "url": "/v1/customers", "has_more": False}
    listed = {**other, "data": [{"object": "customer", "id": "cus_kari", "email": "ola@example.no"}]}
    scene.stripe.faults([{"method": "GET", "body": listed, "count": 3}])  # two spellings, and the search
    assert scene.again() is Outcome.NOT_FOUND
    assert scene.effects() == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_redirect_parks_the_relay_and_nothing_is_sent_again(scene: Scene, method: str) -> None:
    scene.stripe.faults([{"method": method, "redirect": f"{scene.stripe.url}/v1/customers/cus_kari", "status": 307}])
    error = scene.refusal()
    assert (error.reason, error.permanent) == ("redirect", True)
    assert [line["method"] for line in scene.lines()][-1] == method
    assert scene.effects() == []


def test_a_slow_or_boundless_answer_ends_the_attempt(scene: Scene) -> None:
    hasty = OutgoingSession(LOOPBACK, allow_loopback=True, deadline_s=0.4)
    scene.stripe.faults([{"trickle": True}, {"hang": True}, {"body": "a" * RESPONSE_SIZE_MAX_BYTES}])
    assert scene.refusal(session=hasty).reason == "deadline"
    assert scene.refusal(session=hasty).reason == "deadline"
    assert scene.refusal().reason == "response_too_large"


def test_a_private_address_is_refused(scene: Scene) -> None:
    strict = OutgoingSession(frozenset({"localhost"}))
    url = scene.stripe.url.replace("http://127.0.0.1", "https://localhost")
    assert scene.refusal(api_base=url, session=strict).reason == "address_not_allowed"
    assert scene.lines() == []


def test_nothing_about_the_person_is_logged(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    scene.again()
    assert caplog.text == ""
    assert "rk_test" not in repr(scene.connection)
