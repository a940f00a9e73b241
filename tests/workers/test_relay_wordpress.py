"""The WordPress relay against a simulated site with the companion plugin."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.simulators.process import SimulatorProcess
from workers.outgoing import OutgoingSession
from workers.relays import RELAYS
from workers.relays.action import Outcome, RelayAction, RelayError, RelayResult
from workers.relays.wordpress import WordPressConnection, withdraw

ACTION = RelayAction("5a3c", ("Kari@example.no",), ("newsletter", "offers"), 1_790_000_000_000, 1)
STATUS_PATH = "/wp-json/samtykke/v1/status"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("wordpress", tmp_path_factory.mktemp("wordpress")) as started:
        yield started


@pytest.fixture
def site(process: SimulatorProcess) -> Iterator[SimulatorProcess]:
    kari = {"email": "kari@example.no", "purposes": ["newsletter"]}
    process.seed({"plugin": True, "adapters": ["mailpoet"], "subscribers": [kari]})
    yield process
    process.clear()
    assert process.violations() == []


@pytest.fixture
def connection(site: SimulatorProcess) -> WordPressConnection:
    session = OutgoingSession(frozenset({"127.0.0.1"}), allow_loopback=True, deadline_s=5)
    return WordPressConnection(site.url, site.secret, session)


def refusal(connection: WordPressConnection, action: RelayAction = ACTION) -> RelayError:
    with pytest.raises(RelayError) as caught:
        withdraw(action, connection)
    assert "kari" not in str(caught.value).lower()
    return caught.value


def state_of(site: SimulatorProcess) -> Any:
    return site.state()["subscribers"]["kari@example.no"]["purposes"]["newsletter"]


def test_it_withdraws_and_reads_it_back(site: SimulatorProcess, connection: WordPressConnection) -> None:
    before = len(site.journal())
    assert RELAYS["wordpress"]["withdraw"](ACTION, connection) == RelayResult(Outcome.REMOVED)
    assert state_of(site) == "unsubscribed"
    assert [line["path"].rpartition("/")[2] for line in site.journal()[before:]] == ["withdraw", "status"]


def test_it_answers_not_found_for_a_person_the_site_does_not_know(connection: WordPressConnection) -> None:
    assert withdraw(replace(ACTION, emails=("ola@example.no",)), connection).outcome is Outcome.NOT_FOUND
    assert withdraw(replace(ACTION, emails=()), connection).outcome is Outcome.NOT_FOUND


def test_it_answers_not_covered_without_the_plugin_or_an_adapter(
    site: SimulatorProcess, connection: WordPressConnection
) -> None:
    site.seed({"adapters": []})
    assert withdraw(ACTION, connection) == RelayResult(Outcome.NOT_COVERED, "no_adapter")
    site.seed({"plugin": False})
    assert withdraw(ACTION, connection) == RelayResult(Outcome.NOT_COVERED, "no_plugin")


@pytest.mark.parametrize(
    ("said", "reason"), [("bookkeeping", "bookkeeping"), ("Kari Nordmann has an open order", "unspecified")]
)
def test_it_passes_on_a_reason_that_is_a_word_and_no_sentence(
    site: SimulatorProcess, connection: WordPressConnection, said: str, reason: str
) -> None:
    site.seed({"subscribers": [{"email": "kari@example.no", "purposes": ["newsletter"], "retained": said}]})
    assert withdraw(ACTION, connection) == RelayResult(Outcome.RETAINED, reason)


@pytest.mark.parametrize(
    "states",
    [
        {"newsletter": "subscribed", "offers": "unknown"},
        {"newsletter": "unsubscribed", "offers": "subscribed"},
        {"newsletter": "unknown", "offers": "unknown"},
    ],
)
def test_it_fails_where_the_read_back_disagrees(
    site: SimulatorProcess, connection: WordPressConnection, states: dict[str, str]
) -> None:
    site.faults([{"path_prefix": STATUS_PATH, "body": {"purposes": states}}])
    error = refusal(connection)
    assert (error.reason, error.permanent, error.halt) == ("read_back_failed", False, False)
    assert withdraw(ACTION, connection).outcome is Outcome.REMOVED


@pytest.mark.parametrize(
    "body",
    [
        "<html>Please log in</html>",
        "",
        "[" * 20_000,
        [],
        {},
        {"outcome": "done"},
        {"outcome": None},
        {"outcome": ["removed"]},
    ],
)
def test_it_does_not_take_another_answer_for_success(
    site: SimulatorProcess, connection: WordPressConnection, body: object
) -> None:
    site.faults([{"body": body}])
    error = refusal(connection)
    assert (error.reason, error.permanent) == ("unexpected_answer", False)


@pytest.mark.parametrize("body", ["<html>", {}, {"purposes": []}, {"purposes": {"newsletter": "unsubscribed"}}])
def test_it_does_not_take_another_read_back_for_success(
    site: SimulatorProcess, connection: WordPressConnection, body: object
) -> None:
    site.faults([{"path_prefix": STATUS_PATH, "body": body}])
    assert refusal(connection).reason == "unexpected_answer"


@pytest.mark.parametrize(
    ("status", "headers", "reason", "retry_after_s"),
    [
        (429, {"Retry-After": "7"}, "rate_limited", 7),
        (429, {"Retry-After": "9" * 5000}, "rate_limited", 3600),
        (429, {"Retry-After": "-7"}, "rate_limited", None),
        (503, {"Retry-After": "Mon, 21 Sep 2026 14:13:50 GMT"}, "server_error", 30),
        (503, {"Retry-After": "Mon, 21 Sep 2026 14:13:10 GMT"}, "server_error", None),
        (502, {}, "server_error", None),
    ],
)
def test_it_waits_as_the_site_asks_within_a_limit(
    site: SimulatorProcess,
    connection: WordPressConnection,
    status: int,
    headers: dict[str, str],
    reason: str,
    retry_after_s: float | None,
) -> None:
    site.faults([{"status": status, "headers": headers}])
    error = refusal(replace(connection, clock=lambda: 1_790_000_000_000))  # 14:13:20 of that day
    assert (error.reason, error.retry_after_s, error.permanent, error.halt) == (reason, retry_after_s, False, False)


def test_a_retry_after_a_500_that_had_its_effect_changes_nothing_more(
    site: SimulatorProcess, connection: WordPressConnection
) -> None:
    site.faults([{"status": 500, "after_effect": True}])
    assert refusal(connection).reason == "server_error"
    after_first = site.state()["subscribers"]
    assert withdraw(ACTION, connection).outcome is Outcome.REMOVED
    assert site.state()["subscribers"] == after_first
    keys = [line["idempotency_key"] for line in site.journal()]
    assert len(set(keys)) == len(keys)  # the plugin takes each webhook-id once


def test_a_wrong_or_unusable_secret_halts_the_processor(
    site: SimulatorProcess, connection: WordPressConnection
) -> None:
    error = refusal(replace(connection, secret="whsec_" + "A" * 32))
    assert (error.reason, error.halt, error.status) == ("unauthorized", True, 401)
    before = len(site.journal())
    assert refusal(replace(connection, secret="whsec_")).reason == "secret_unusable"
    assert len(site.journal()) == before


def test_another_refusal_parks_the_relay(site: SimulatorProcess, connection: WordPressConnection) -> None:
    site.faults([{"status": 400}, {"status": 404, "body": "<html>Not here</html>"}, {"status": 403}])
    assert refusal(connection).permanent
    assert refusal(connection).permanent
    assert refusal(connection).halt


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_parks_the_relay_and_nothing_is_sent_again(
    site: SimulatorProcess, connection: WordPressConnection, status: int
) -> None:
    before = len(site.journal())
    site.faults([{"redirect": f"{site.url}{STATUS_PATH}", "status": status}])
    error = refusal(connection)
    assert (error.reason, error.permanent, len(site.journal()) - before) == ("redirect", True, 1)


def test_a_slow_or_boundless_answer_ends_the_attempt(site: SimulatorProcess, connection: WordPressConnection) -> None:
    hasty = OutgoingSession(frozenset({"127.0.0.1"}), allow_loopback=True, deadline_s=0.4)
    site.faults([{"trickle": True}, {"hang": True}, {"body": "a" * 70_000}])
    assert refusal(replace(connection, session=hasty)).reason == "deadline"
    assert refusal(replace(connection, session=hasty)).reason == "deadline"
    assert refusal(connection).reason == "response_too_large"


def test_a_private_address_is_refused(site: SimulatorProcess, connection: WordPressConnection) -> None:
    before = len(site.journal())
    strict = OutgoingSession(frozenset({"localhost"}))
    url = site.url.replace("http://127.0.0.1", "https://localhost")
    assert refusal(replace(connection, base_url=url, session=strict)).reason == "address_not_allowed"
    assert len(site.journal()) == before


def test_nothing_about_the_person_is_logged(connection: WordPressConnection, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    withdraw(ACTION, connection)
    assert caplog.text == ""
    assert "kari" not in repr((ACTION, connection)).lower()
