"""The Google relay against a simulated Google that checks each request by the discovery document."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.simulators.process import SimulatorProcess
from workers.outgoing import OutgoingSession
from workers.relays import RELAYS
from workers.relays.action import Outcome, RelayAction, RelayError, RelayResult
from workers.relays.google import GoogleConnection, withdraw

ACTION = RelayAction("5a3c", ("Kari@example.no",), ("newsletter", "profiling"), 1_790_000_000_000, 1)
GROUPS = {"newsletter": "newsletter@example.org", "offers": "offers@example.org"}
MEMBERS = {"newsletter@example.org": ["kari@example.no"], "offers@example.org": ["kari@example.no"]}
MEMBER = {"kind": "admin#directory#member", "email": "kari@example.no"}
LOOPBACK = frozenset({"127.0.0.1"})
GROUPS_PATH = "/admin/directory/v1/groups/"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("google", tmp_path_factory.mktemp("google")) as started:
        yield started


@dataclass(frozen=True)
class Scene:
    """A fresh Google with two groups, and a way to it that has no token yet."""

    google: SimulatorProcess
    connection: GoogleConnection
    earlier: int

    def refusal(self, **changes: Any) -> RelayError:
        with pytest.raises(RelayError) as caught:
            withdraw(ACTION, replace(self.connection, **changes))
        assert "kari" not in str(caught.value).lower()
        return caught.value

    def lines(self) -> list[dict[str, Any]]:
        return self.google.journal()[self.earlier :]

    def calls(self) -> list[str]:
        return [line["method"] for line in self.lines() if line["path"] != "/token"]


@pytest.fixture
def scene(process: SimulatorProcess) -> Iterator[Scene]:
    process.seed({"groups": MEMBERS, "subjects": None})
    session = OutgoingSession(LOOPBACK, allow_loopback=True, deadline_s=5)
    info = json.loads(process.service_account_path.read_text())
    connection = GoogleConnection(info, "post@example.org", process.url, GROUPS, session)
    yield Scene(process, connection, len(process.journal()))
    process.clear()
    assert process.violations() == []


def test_it_removes_the_member_and_reads_it_back(scene: Scene) -> None:
    assert RELAYS["google"]["withdraw"](ACTION, scene.connection) == RelayResult(Outcome.REMOVED)
    assert scene.google.state()["groups"] == {**MEMBERS, "newsletter@example.org": []}
    assert scene.calls() == ["DELETE", "GET"]


def test_it_leaves_the_group_of_each_purpose_with_each_address(scene: Scene) -> None:
    scene.google.seed({"groups": {"newsletter@example.org": ["kari@example.no", "a/b?#@example.no"], **MEMBERS}})
    scene.google.seed({"groups": {**MEMBERS, "newsletter@example.org": ["a/b?#%40@example.no", "per@example.no"]}})
    both = replace(ACTION, emails=("kari@example.no", "a/b?#%40@example.no"), purposes=("newsletter", "offers"))
    assert withdraw(both, scene.connection).outcome is Outcome.REMOVED
    assert scene.google.state()["groups"] == {"newsletter@example.org": ["per@example.no"], "offers@example.org": []}


def test_one_token_serves_until_it_expires(scene: Scene) -> None:
    withdraw(ACTION, scene.connection)
    withdraw(ACTION, scene.connection)
    tokens = [line for line in scene.lines() if line["path"] == "/token"]
    claims = tokens[0]["body"]["assertion"]
    assert len(tokens) == 1
    assert claims["sub"] == "post@example.org"
    assert claims["scope"] == "https://www.googleapis.com/auth/admin.directory.group.member"


def test_a_person_who_is_not_a_member_is_not_found(scene: Scene) -> None:
    assert withdraw(replace(ACTION, emails=("ola@example.no",)), scene.connection) == RelayResult(Outcome.NOT_FOUND)


def test_a_purpose_without_a_group_is_not_covered_and_nobody_is_called(scene: Scene) -> None:
    only = replace(ACTION, purposes=("profiling",))
    assert withdraw(only, scene.connection) == RelayResult(Outcome.NOT_COVERED, "no_group")
    assert scene.lines() == []


def test_it_fails_where_the_read_back_still_finds_the_member(scene: Scene) -> None:
    scene.google.faults([{"method": "GET", "body": MEMBER}])
    error = scene.refusal()
    assert (error.reason, error.permanent, error.halt) == ("read_back_failed", False, False)


@pytest.mark.parametrize("body", ["<html>Please log in</html>", "", [], {}, {"kind": "admin#directory#group"}])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_it_does_not_take_another_answer_for_success(scene: Scene, method: str, body: object) -> None:
    scene.google.faults([{"method": method, "body": body}])
    if method == "GET":
        assert scene.refusal().reason == "unexpected_answer"
    else:
        assert scene.refusal().reason == "read_back_failed"


def test_a_wrong_group_halts_the_processor(scene: Scene) -> None:
    error = scene.refusal(groups={"newsletter": "nobody@example.org"})
    assert (error.reason, error.halt, error.permanent) == ("group_not_found", True, False)


def test_a_404_that_names_neither_group_nor_member_is_not_success(scene: Scene) -> None:
    scene.google.faults([{"method": "DELETE", "status": 404, "body": "<html>Not found</html>"}])
    error = scene.refusal()
    assert (error.reason, error.permanent) == ("rejected", True)


def google_403(reason: str) -> dict[str, Any]:
    body = {"error": {"code": 403, "message": reason, "errors": [{"reason": reason, "message": reason}]}}
    return {"path_prefix": GROUPS_PATH, "status": 403, "body": body, "headers": {"Retry-After": "5"}}


@pytest.mark.parametrize(
    ("fault", "reason", "retry_after_s"),
    [
        ({"path_prefix": GROUPS_PATH, "status": 429, "headers": {"Retry-After": "7"}}, "rate_limited", 7),
        ({"path_prefix": "/token", "status": 429, "headers": {"Retry-After": "7"}}, "rate_limited", 7),
        ({"path_prefix": GROUPS_PATH, "status": 503}, "server_error", None),
        ({"path_prefix": "/token", "status": 503}, "server_error", None),
        (google_403("rateLimitExceeded"), "rate_limited", 5),
        (google_403("quotaExceeded"), "rate_limited", 5),
        (google_403("dailyLimitExceeded"), "daily_limit", 3600),
    ],
)
def test_it_tries_again_later(
    scene: Scene,
    fault: dict[str, Any],
    reason: str,
    retry_after_s: float | None,
) -> None:
    scene.google.faults([fault])
    error = scene.refusal()
    assert (error.reason, error.retry_after_s, error.permanent, error.halt) == (reason, retry_after_s, False, False)
    assert len([line for line in scene.lines() if line["fault"]]) == 1
    assert withdraw(ACTION, scene.connection).outcome is Outcome.REMOVED


@pytest.mark.parametrize("reason", ["insufficientPermissions", "forbidden", "domainPolicy", "accessNotConfigured"])
def test_a_missing_permission_halts_the_processor(scene: Scene, reason: str) -> None:
    scene.google.faults([google_403(reason)])
    assert scene.refusal().halt


def test_a_lost_token_is_replaced_once_and_a_second_401_halts(scene: Scene) -> None:
    withdraw(ACTION, scene.connection)
    scene.google.seed({"groups": MEMBERS, "tokens": {}})
    assert withdraw(ACTION, scene.connection).outcome is Outcome.REMOVED
    scene.google.faults([{"path_prefix": GROUPS_PATH, "status": 401, "count": 2}])
    error = scene.refusal()
    assert (error.reason, error.halt) == ("unauthorized", True)


def test_a_refused_delegation_halts_the_processor(scene: Scene) -> None:
    scene.google.seed({"subjects": ["other@example.org"]})
    error = scene.refusal()
    assert (error.reason, error.halt) == ("token_refused", True)


@pytest.mark.parametrize("body", ["<html>", "", [], {}, {"access_token": "a", "expires_in": "soon"}])
def test_another_token_answer_is_no_token(scene: Scene, body: object) -> None:
    scene.google.faults([{"path_prefix": "/token", "body": body}])
    scene.refusal()
    assert scene.calls() == []
    assert withdraw(ACTION, scene.connection).outcome is Outcome.REMOVED


def test_an_unusable_configuration_halts_the_processor_before_any_call(scene: Scene) -> None:
    assert scene.refusal(subject="").reason == "subject_missing"
    assert scene.refusal(credentials_info={}).reason == "credentials_unusable"
    broken = {**scene.connection.credentials_info, "private_key": "none"}
    assert scene.refusal(credentials_info=broken).halt
    assert scene.lines() == []


def test_a_retry_after_a_500_that_had_its_effect_has_no_second_effect(scene: Scene) -> None:
    scene.google.faults([{"method": "DELETE", "status": 500, "after_effect": True}])
    error = scene.refusal()
    assert (error.reason, error.permanent) == ("server_error", False)
    assert withdraw(ACTION, scene.connection).outcome is Outcome.NOT_FOUND
    assert [line["effect"] for line in scene.lines()].count("members.delete") == 1


@pytest.mark.parametrize("path", [GROUPS_PATH, "/token"])
def test_a_redirect_parks_the_relay_and_nothing_is_sent_again(scene: Scene, path: str) -> None:
    scene.google.faults([{"path_prefix": path, "redirect": f"{scene.google.url}/elsewhere", "status": 307}])
    error = scene.refusal()
    assert (error.reason, error.permanent) == ("redirect", True)
    last = scene.google.journal()[-1]
    assert (last["path"].startswith(path), last["fault"]) == (True, "redirect")


@pytest.mark.parametrize("path", [GROUPS_PATH, "/token"])
def test_a_slow_or_boundless_answer_ends_the_attempt(scene: Scene, path: str) -> None:
    hasty = OutgoingSession(LOOPBACK, allow_loopback=True, deadline_s=0.4)
    scene.google.faults(
        [
            {"path_prefix": path, "trickle": True, "body": "a" * 20},
            {"path_prefix": path, "hang": True},
            {"path_prefix": path, "body": "a" * 70_000},
        ]
    )
    assert scene.refusal(session=hasty).reason == "deadline"
    assert scene.refusal(session=hasty).reason == "deadline"
    assert scene.refusal().reason == "response_too_large"


def test_a_private_address_is_refused(scene: Scene) -> None:
    strict = OutgoingSession(frozenset({"localhost"}))
    url = scene.google.url.replace("http://127.0.0.1", "https://localhost")
    info = {**scene.connection.credentials_info, "token_uri": f"{url}/token"}
    assert scene.refusal(credentials_info=info, session=strict).reason == "address_not_allowed"
    assert scene.lines() == []


def test_nothing_about_the_person_is_logged(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    withdraw(ACTION, scene.connection)
    assert "kari" not in caplog.text.lower()
    assert "PRIVATE KEY" not in repr(scene.connection)
