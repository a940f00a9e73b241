"""Erasure at WordPress: every eraser is run to its end, and "done" is believed only when nothing is left."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.simulators.process import SimulatorProcess
from tests.workers.wordpress_site import (
    ACTION,
    EDITOR,
    ENTRY,
    FORM,
    ORDER,
    SUBSCRIBER,
    connection_to,
    refusal,
    serve_site,
    wpengine_of,
)
from workers.relays.action import Outcome, RelayResult, RelayWait
from workers.relays.wordpress import erase, pages

KARI = "kari@example.no"
ERASE_PATH = "/wp-json/samtykke/v1/erase"
# The list of erasers has a path that begins the same; it keeps its true answer.
LIST_UNHARMED = {"path_prefix": "/wp-json/samtykke/v1/erasers", "count": None}
ERASERS = {"wordpress-comments": "remove", "flamingo-eraser": "remove", "samtykke-account": "remove"}
EXPORTERS = ["wordpress-user", "wordpress-comments", "flamingo-exporter"]
REMOVED = RelayResult(Outcome.REMOVED)


def left(reason: str) -> RelayResult:
    return RelayResult(Outcome.NOT_COVERED, reason)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    yield from serve_site(tmp_path_factory.mktemp("wordpress"))


@pytest.fixture
def site(process: SimulatorProcess) -> Iterator[SimulatorProcess]:
    stored = {"wordpress-comments": {KARI: 3}, "flamingo-eraser": {KARI: 1}}
    site = {"users": [SUBSCRIBER], "erasers": ERASERS, "exporters": EXPORTERS, "stored": stored}
    process.seed({"new": True, **site})
    yield process
    process.clear()
    assert process.violations() == []


@pytest.fixture
def connection(site: SimulatorProcess) -> Any:
    return connection_to(site)


def waiting(action: Any, connection: Any) -> RelayWait:
    with pytest.raises(RelayWait) as caught:
        erase(action, connection)
    assert "kari" not in repr(caught.value.notes).lower()
    return caught.value


def test_every_eraser_is_run_to_its_last_page_for_every_address(site: SimulatorProcess, connection: Any) -> None:
    site.seed({"stored": {"wordpress-comments": {KARI: 3, "k@example.no": 1}}})
    assert erase(replace(ACTION, emails=("Kari@example.no", "k@example.no")), connection) == REMOVED
    assert site.state()["users"] == []
    assert not any(site.state()["stored"]["wordpress-comments"].values())
    assert erase(ACTION, connection) == RelayResult(Outcome.NOT_FOUND)


def test_what_an_eraser_keeps_is_said_with_its_name(site: SimulatorProcess, connection: Any) -> None:
    site.seed({"erasers": {**ERASERS, "flamingo-eraser": "retain"}})
    site.seed({"stored": {"flamingo-eraser": {KARI: 1}, "flamingo-exporter": {KARI: 1}}})
    assert erase(ACTION, connection) == RelayResult(Outcome.RETAINED, "kept_by_flamingo_eraser")


def test_done_with_the_data_still_there_is_not_done(site: SimulatorProcess, connection: Any) -> None:
    site.seed({"erasers": {**ERASERS, "flamingo-eraser": "nothing"}})
    site.seed({"stored": {"flamingo-eraser": {KARI: 1}, "flamingo-exporter": {KARI: 1}}})
    assert erase(ACTION, connection) == RelayResult(Outcome.NOT_COVERED, "left_in_flamingo")


def test_an_account_that_no_eraser_deletes_is_left(site: SimulatorProcess, connection: Any) -> None:
    site.seed({"erasers": {"wordpress-comments": "remove"}})
    assert erase(ACTION, connection) == RelayResult(Outcome.NOT_COVERED, "account_left")
    assert erase(ACTION, connection_to(site, rest=True)) == REMOVED
    assert site.state()["users"] == []


@pytest.mark.parametrize(
    ("plugin", "erasers", "result"),
    [
        ("mailpoet", {}, left("mailpoet_without_eraser")),
        ("mailpoet", {"mailpet-subscriber": "remove"}, REMOVED),
        ("fluentform", {}, left("fluentform_without_eraser")),
        ("gravityforms", {"gravityforms-eraser": "nothing"}, left("gravityforms_without_eraser")),
        ("gravityforms", {"samtykke-gravityforms": "remove"}, REMOVED),
        ("formidable", {"formidable-eraser": "remove"}, REMOVED),
        ("contact-form-7", {}, REMOVED),
    ],
)
def test_a_form_plugin_that_erases_nothing_is_not_passed_over(
    site: SimulatorProcess, connection: Any, plugin: str, erasers: dict[str, str], result: RelayResult
) -> None:
    site.seed({"plugins": [plugin], "erasers": {**ERASERS, **erasers}})
    assert erase(ACTION, connection) == result


def test_with_an_application_password_gravity_forms_is_searched_as_well(site: SimulatorProcess) -> None:
    site.seed({"plugins": ["gravityforms"], "gravity_forms_rest": True, "gravity_forms": {"1": FORM}})
    site.seed({"entries": [ENTRY, {**ENTRY, "id": "8", "status": "trash"}, {**ENTRY, "id": "9", "2": "x@example.no"}]})
    assert erase(ACTION, connection_to(site, rest=True)) == REMOVED
    assert [entry["id"] for entry in site.state()["entries"]] == ["9"]


def test_orders_are_kept_as_long_as_books_are(site: SimulatorProcess) -> None:
    site.seed({"woocommerce": True, "orders": [ORDER]})
    until_ms = 1_956_528_000_000  # 2032-01-01, five years after the end of 2026
    connection = connection_to(site, rest=True)
    assert erase(ACTION, connection) == RelayResult(Outcome.RETAINED, "bookkeeping", until_ms)
    site.seed({"orders": [{**ORDER, "date_created_gmt": "2019-05-01T10:00:00"}]})
    assert erase(ACTION, connection) == RelayResult(Outcome.NOT_COVERED, "orders_past_bookkeeping")


def test_who_works_on_the_site_is_left_to_a_person(site: SimulatorProcess) -> None:
    site.seed({"users": [EDITOR], "erasers": {"wordpress-comments": "remove"}, "exporters": ["wordpress-comments"]})
    assert erase(ACTION, connection_to(site, rest=True)) == RelayResult(Outcome.NOT_COVERED, "staff_account")
    assert site.state()["users"] == [EDITOR]


def test_an_erasure_that_was_cut_off_does_not_find_nothing_the_next_time(
    site: SimulatorProcess, connection: Any
) -> None:
    site.seed({"stored": {"wordpress-comments": {KARI: 1}}, "users": []})
    site.faults([LIST_UNHARMED, {"path_prefix": ERASE_PATH, "status": 502, "after_effect": True}])
    wait = waiting(ACTION, connection)
    assert (wait.reason, wait.notes) == ("server_error", {"removed": False, "uncertain": True})
    ended = erase(replace(ACTION, notes=wait.notes), connection)
    assert ended == RelayResult(Outcome.REMOVED, "answer_lost")


def test_what_was_removed_before_the_fault_counts(site: SimulatorProcess, connection: Any) -> None:
    site.faults([{"path_prefix": "/wp-json/samtykke/v1/exporters", "status": 503, "headers": {"Retry-After": "7"}}])
    wait = waiting(ACTION, connection)
    assert (wait.wait_s, wait.notes["removed"]) == (7, True)
    assert erase(replace(ACTION, notes=wait.notes), connection) == REMOVED


def test_a_fault_that_stays_is_no_wait_without_end(site: SimulatorProcess, connection: Any) -> None:
    site.faults([LIST_UNHARMED, {"path_prefix": ERASE_PATH, "status": 500, "count": None}])
    wait = waiting(ACTION, connection)
    error = refusal(erase, replace(ACTION, notes=wait.notes), connection)
    assert (error.reason, error.permanent) == ("server_error", False)


def test_a_long_erasure_goes_on_in_the_next_attempt(
    site: SimulatorProcess, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "BUDGET_S", -1.0)
    assert waiting(ACTION, connection).reason == "erasing"


def test_an_eraser_without_an_end_is_parked(
    site: SimulatorProcess, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGES_MAX", 2)
    wait = waiting(ACTION, connection)
    monkeypatch.setattr(pages, "PAGES_MAX", 0)
    error = refusal(erase, replace(ACTION, notes=wait.notes), connection)
    assert (error.reason, error.permanent) == ("eraser_without_end", True)


@pytest.mark.parametrize("page", [{}, {"removed": 1, "retained": False, "done": True}, {"done": True}, "<html>"])
def test_another_answer_is_no_erasure(site: SimulatorProcess, connection: Any, page: Any) -> None:
    site.faults([LIST_UNHARMED, {"path_prefix": ERASE_PATH, "body": page, "count": None}])
    assert waiting(ACTION, connection).reason == "unexpected_answer"


@pytest.mark.parametrize("listed", [{}, {"erasers": []}, {"erasers": [{"name": "x"}]}, {"erasers": "x"}])
def test_a_site_without_a_single_eraser_is_not_believed(site: SimulatorProcess, connection: Any, listed: Any) -> None:
    site.faults([{"path_prefix": "/wp-json/samtykke/v1/erasers", "body": listed}])
    assert refusal(erase, ACTION, connection).reason == "unexpected_answer"


def test_the_caches_of_wp_engine_are_purged_after_it(site: SimulatorProcess, connection: Any) -> None:
    before = len(site.state()["purged"])
    assert erase(ACTION, replace(connection, wpengine=wpengine_of(site))) == REMOVED
    assert site.state()["purged"][before:] == ["object", "page"]


def test_a_cache_that_is_not_purged_undoes_no_erasure(site: SimulatorProcess, connection: Any) -> None:
    hosted = replace(connection, wpengine=wpengine_of(site))
    site.faults([{"path_prefix": "/wpengine", "status": 429, "headers": {"Retry-After": "30"}, "count": 2}])
    wait = waiting(ACTION, hosted)
    assert (wait.reason, wait.wait_s) == ("cache_not_purged", 30)
    before = len(site.journal())
    later = replace(ACTION, notes=wait.notes, emails=())
    assert refusal(erase, later, hosted).reason == "cache_not_purged"
    assert erase(later, hosted) == REMOVED
    assert {line["path"].split("/")[1] for line in site.journal()[before:]} == {"wpengine"}


def test_refused_by_wp_engine_a_person_must_look(site: SimulatorProcess, connection: Any) -> None:
    hosted = replace(connection, wpengine=wpengine_of(site, "wrong"))
    wait = waiting(ACTION, hosted)
    error = refusal(erase, replace(ACTION, notes=wait.notes), hosted)
    assert (error.reason, error.permanent, error.halt) == ("cache_not_purged", True, False)
    assert erase(replace(ACTION, notes=wait.notes), replace(hosted, wpengine=wpengine_of(site))) == REMOVED
