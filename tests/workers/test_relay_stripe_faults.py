"""Every way in which Stripe may fail, over every action: an error that says why, and done once in the end."""

import email.utils
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.simulators.process import SimulatorProcess
from tests.workers.stripe_scene import LOOPBACK, Scene, staged
from workers.outgoing import OutgoingSession
from workers.relays.action import Outcome, RelayError, RelayResult

KARI = {"id": "cus_kari", "email": "Kari@Example.no", "name": "Kari N", "metadata": {"processing": "restricted"}}
SECOND = {"id": "cus_second", "email": "kari@example.no", "metadata": {"processing": "restricted"}}
PROFILE = {"first_name": "Kari", "last_name": "Nordmann", "email": "kari@example.test"}
OUTCOMES = {
    "give": Outcome.DONE,
    "withdraw": Outcome.REMOVED,
    "rectify": Outcome.DONE,
    "restrict": Outcome.DONE,
    "unrestrict": Outcome.DONE,
    "erase": Outcome.REMOVED,
}
# What it takes on both customers and the subscription, each once.
WRITES = {
    "give": 2,
    "withdraw": 2,
    "rectify": 2,
    "restrict": 3,
    "unrestrict": 3,
    "erase": 5,  # and a payment method: each customer is blanked and then deleted
}
SOON = email.utils.formatdate(time.time() + 7200, usegmt=True)
PAST = email.utils.formatdate(time.time() - 120, usegmt=True)
RATE_LIMIT = {"error": {"type": "invalid_request_error", "code": "rate_limit"}}
TRANSIENT = (False, False, False)
Fault = tuple[dict[str, Any], str, tuple[bool, bool, bool], tuple[float, float] | None]
# The fault; the reason; whether it is permanent, halts the processor, asks for a new key; seconds to wait, from and to.
BEFORE: list[Fault] = [
    ({"status": 429, "headers": {"Retry-After": "7"}}, "rate_limited", TRANSIENT, (7, 7)),
    ({"status": 429, "headers": {"Retry-After": SOON}}, "rate_limited", TRANSIENT, (1800, 7200)),
    ({"status": 429, "headers": {"Retry-After": "9" * 40}}, "rate_limited", TRANSIENT, (3600, 3600)),
    ({"status": 429, "headers": {"Retry-After": "soon"}}, "rate_limited", TRANSIENT, None),
    ({"status": 429, "headers": {"Retry-After": PAST}}, "rate_limited", TRANSIENT, None),
    ({"status": 400, "body": RATE_LIMIT}, "rate_limited", TRANSIENT, None),
    ({"status": 409}, "busy", TRANSIENT, None),
    ({"status": 500}, "server_error", (False, False, True), None),
    ({"status": 502, "body": "<html>Bad gateway"}, "server_error", TRANSIENT, None),
    ({"hang": True}, "deadline", TRANSIENT, None),
    ({"redirect": "https://example.org/", "status": 307}, "redirect", (True, False, False), None),
    ({"body": "<html>Please log in</html>"}, "unexpected_answer", TRANSIENT, None),
    ({"status": 401}, "unauthorized", (False, True, False), None),
    ({"status": 403}, "forbidden", (False, True, False), None),
    ({"status": 402}, "rejected", (True, False, False), None),
]
AFTER: list[Fault] = [
    ({"status": 500, "after_effect": True}, "server_error", (False, False, True), None),
    ({"status": 503, "after_effect": True}, "server_error", TRANSIENT, None),
    ({"hang": True, "after_effect": True}, "deadline", TRANSIENT, None),
    ({"body": "<html>Please log in</html>", "after_effect": True}, "unexpected_answer", TRANSIENT, None),
]


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("stripe", tmp_path_factory.mktemp("stripe")) as started:
        yield started


@pytest.fixture
def scene(process: SimulatorProcess, request: pytest.FixtureRequest) -> Iterator[Scene]:
    with staged(process, request.node.name, [KARI, SECOND], pause_restricted=True) as made:
        process.seed({"payment_methods": [{"id": "pm_1", "customer": "cus_kari"}]})
        yield made


def prepared(scene: Scene, action: str) -> None:
    if action in ("restrict", "unrestrict"):
        mark = {} if action == "restrict" else {"paused_for_restriction": "yes"}
        paused = None if action == "restrict" else {"behavior": "keep_as_draft"}
        one = {"id": "sub_1", "customer": "cus_kari", "metadata": mark, "pause_collection": paused}
        scene.stripe.seed({"subscriptions": [one]})
    scene.action = replace(scene.action, profile=PROFILE)


def attempts(scene: Scene, action: str, faults: Sequence[Fault]) -> RelayResult:
    """Tried until it ends, each attempt failing as planned, an operator putting right what parks or halts it."""
    session = scene.connection.session
    hasty = OutgoingSession(LOOPBACK, allow_loopback=True, deadline_s=1.5)
    errors: list[RelayError] = []
    while len(errors) <= len(faults):
        hangs = len(errors) < len(faults) and "hang" in faults[len(errors)][0]
        way = replace(scene.connection, session=hasty if hangs else session)
        try:
            result = scene.step(action, way, attempt_epoch=1 + sum(error.new_epoch for error in errors))
        except RelayError as error:
            errors.append(error)
            continue
        if result is not None:
            break
    for each, (_, reason, flags, wait_s) in zip(errors, faults, strict=True):
        assert (each.reason, (each.permanent, each.halt, each.new_epoch)) == (reason, flags)
        assert (each.retry_after_s is None) == (wait_s is None)
        assert wait_s is None or wait_s[0] <= (each.retry_after_s or 0) <= wait_s[1]
    assert len(scene.effects()) == len(set(scene.effects())) == WRITES[action]
    assert result is not None
    return result


@pytest.mark.parametrize("action", OUTCOMES)
def test_every_write_that_fails_before_its_effect_is_told_of_and_then_done_once(scene: Scene, action: str) -> None:
    prepared(scene, action)
    scene.stripe.faults([{"method": "POST", "path_prefix": "/v1/", **fault} for fault, *_ in BEFORE])
    assert attempts(scene, action, BEFORE) == RelayResult(OUTCOMES[action])


@pytest.mark.parametrize("fault", AFTER, ids=["500", "503", "timeout", "page"])
@pytest.mark.parametrize("action", OUTCOMES)
def test_a_write_whose_effect_is_not_answered_is_not_done_again(scene: Scene, action: str, fault: Fault) -> None:
    prepared(scene, action)
    scene.stripe.faults([{"method": "POST", "path_prefix": "/v1/", **fault[0]}])
    assert attempts(scene, action, [fault]) == RelayResult(OUTCOMES[action])


@pytest.mark.parametrize("action", ["give", "rectify", "erase"])
def test_every_read_that_fails_is_told_of_too(scene: Scene, action: str) -> None:
    prepared(scene, action)
    # A read has no key, so nothing is remembered; the relay need not know that.
    scene.stripe.faults([{"method": "GET", "path_prefix": "/v1/customers", **fault} for fault, *_ in BEFORE])
    assert attempts(scene, action, BEFORE) == RelayResult(OUTCOMES[action])


@pytest.mark.parametrize(
    "faults", [BEFORE, *([each] for each in AFTER)], ids=["before", "500", "503", "timeout", "page"]
)
def test_a_deletion_that_fails_is_told_of_and_then_done_once(scene: Scene, faults: list[Fault]) -> None:
    scene.stripe.faults([{"method": "DELETE", **fault} for fault, *_ in faults])
    assert attempts(scene, "erase", faults) == RelayResult(Outcome.REMOVED)


@pytest.mark.parametrize("action", OUTCOMES)
def test_one_of_two_customers_is_not_all_of_them(scene: Scene, action: str) -> None:
    prepared(scene, action)
    scene.stripe.faults([{"method": "POST", "path_prefix": "/v1/customers/cus_second", "status": 503}])
    assert attempts(scene, action, [({}, "server_error", TRANSIENT, None)]) == RelayResult(OUTCOMES[action])


@pytest.mark.parametrize("clock_ms", [0, 4_000_000_000_000])
def test_a_clock_that_is_wrong_never_makes_it_wait_longer_than_an_hour(scene: Scene, clock_ms: int) -> None:
    scene.stripe.faults([{"status": 429, "headers": {"Retry-After": SOON}}])
    with pytest.raises(RelayError) as caught:
        scene.step("withdraw", replace(scene.connection, clock=lambda: clock_ms))
    assert caught.value.retry_after_s in (None, 3600)
