"""Every action against every fault: confirmed or told with the right reason, never doubled, never silently done."""

import datetime
import email.utils
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.simulators.process import SimulatorProcess
from tests.workers.google_scene import ACTION, GROUPS, KARI, OLA, Scene, arrange, contact, from_
from workers.relays.action import Outcome, RelayError
from workers.relays.google import erase, give, rectify, restrict, withdraw

ACTS: dict[str, Any] = {"withdraw": withdraw, "give": give, "erase": erase, "restrict": restrict, "rectify": rectify}
IN_AN_HOUR = email.utils.format_datetime(datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=5), usegmt=True)
# What changes something first, by action: a fault of it comes before or after the effect.
FIRST = {
    "withdraw": ("DELETE", "/admin"),
    "give": ("POST", "/admin"),
    "erase": ("POST", "/gmail"),
    "restrict": ("POST", "/gmail/v1/users/me/messages/batchModify"),
    "rectify": ("PATCH", "/v1/people"),
}
FAULTS: dict[str, tuple[dict[str, Any], str, bool, bool]] = {
    "429 in seconds": ({"status": 429, "headers": {"Retry-After": "7"}}, "rate_limited", False, False),
    "429 by date": ({"status": 429, "headers": {"Retry-After": IN_AN_HOUR}}, "rate_limited", False, False),
    "429 absurd": ({"status": 429, "headers": {"Retry-After": "9" * 40}}, "rate_limited", False, False),
    "500": ({"status": 500}, "server_error", False, False),
    "503 after the effect": ({"status": 503, "after_effect": True}, "server_error", False, False),
    "silence before": ({"hang": True}, "deadline", False, False),
    "silence after": ({"hang": True, "after_effect": True}, "deadline", False, False),
    "redirect": ({"status": 307, "redirect": "https://elsewhere.example"}, "redirect", True, False),
    "401": ({"status": 401, "count": 2}, "unauthorized", False, True),
    "403": ({"status": 403}, "forbidden", False, True),
}
WAITS = {"429 in seconds": 7.0, "429 by date": 3600.0, "429 absurd": 3600.0}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("google", tmp_path_factory.mktemp("google")) as started:
        yield started


@pytest.fixture
def scene(process: SimulatorProcess) -> Iterator[Scene]:
    made = arrange(process, deadline_s=0.6)
    made.has(
        [from_(KARI, 1), from_(OLA, 2)],
        contacts=[contact(1, KARI), contact(2, OLA)],
        groups={GROUPS["newsletter"]: [KARI, OLA], GROUPS["offers"]: [OLA]},
    )
    yield made
    process.clear()
    assert process.violations() == []


def prepared(scene: Scene, name: str) -> Any:
    if name == "give":
        scene.has(groups={GROUPS["newsletter"]: [OLA], GROUPS["offers"]: [OLA]})
    return replace(ACTION, emails=(KARI,), profile={"last_name": "Hansen"})


def facts(scene: Scene) -> Any:
    state = scene.google.state()
    return scene.labels(), state["groups"], state["contacts"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ACTS)
def test_a_fault_is_told_and_the_next_attempt_ends_it_once(scene: Scene, name: str, fault: str) -> None:
    action = prepared(scene, name)
    planned, reason, permanent, halt = FAULTS[fault]
    method, path = FIRST[name]
    scene.google.faults([{"method": method, "path_prefix": path, **planned}])
    with pytest.raises(RelayError) as caught:
        ACTS[name](action, scene.connection)
    error = caught.value
    by_the_owner = path != "/admin"
    assert (error.reason, error.permanent, error.halt) == (reason, permanent, halt and not by_the_owner)
    wait_s = 300 if halt and by_the_owner else WAITS.get(fault)
    assert error.retry_after_s == (None if wait_s is None else pytest.approx(wait_s, abs=5))
    scene.google.clear()
    outcome = ACTS[name](action, scene.connection).outcome
    assert outcome in (Outcome.DONE, Outcome.REMOVED, Outcome.NOT_FOUND)
    # As if nothing had gone wrong, and nothing was done to it twice.
    once = facts(scene)
    effects = [each for each in scene.effects() if each not in ("people.updateContact", "labels.create")]
    assert len(effects) == len(set(effects)), effects
    ACTS[name](action, scene.connection)
    labels, groups, listed = facts(scene)
    assert (labels, groups) == once[:2]
    assert [each.get("names") for each in listed] == [each.get("names") for each in once[2]]
    assert groups[GROUPS["offers"]] == [OLA]


@pytest.mark.parametrize("name", ACTS)
def test_an_error_page_with_status_200_is_never_done(scene: Scene, name: str) -> None:
    action = prepared(scene, name)
    scene.google.faults(
        [{"method": "*", "path_prefix": path, "count": None, "body": "<html>"} for path in ("/a", "/g", "/v")]
    )
    with pytest.raises(RelayError) as caught:
        ACTS[name](action, scene.connection)
    assert caught.value.reason in ("unexpected_answer", "read_back_failed")


def test_clock_skew_and_a_withdrawn_delegation_halt(scene: Scene) -> None:
    body = {
        "error": "invalid_grant",
        "error_description": "Token must be a short-lived token in a reasonable timeframe.",
    }
    scene.google.faults([{"path_prefix": "/token", "status": 400, "body": body}])
    with pytest.raises(RelayError) as caught:
        withdraw(ACTION, scene.connection)
    assert (caught.value.reason, caught.value.halt) == ("token_refused", True)
