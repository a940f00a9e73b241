"""The WordPress relay without the companion plugin: core, Gravity Forms and WooCommerce by an application password."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.simulators.process import SimulatorProcess
from tests.workers.wordpress_site import (
    ACTION,
    BOOK,
    COURSE,
    CUSTOMER,
    EDITOR,
    ENTRY,
    FORM,
    KARI,
    ORDER,
    OTHER,
    RIGHT,
    SUBSCRIBER,
    connection_to,
    effects,
    refusal,
    serve_site,
    wpengine_of,
)
from workers.relays import EXPORTERS, RELAYS
from workers.relays.action import Outcome, RelayResult, RelayWait

DEEDS = RELAYS["wordpress"]
COMMENT = {"id": 3, "author_email": "kari@example.no", "status": "approved"}
DONE, NOT_FOUND = RelayResult(Outcome.DONE), RelayResult(Outcome.NOT_FOUND)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    yield from serve_site(tmp_path_factory.mktemp("wordpress"))


@pytest.fixture
def site(process: SimulatorProcess) -> Iterator[SimulatorProcess]:
    process.seed({"new": True, "plugin": False, "users": [SUBSCRIBER, OTHER]})
    yield process
    process.clear()
    assert process.violations() == []


@pytest.fixture
def connection(site: SimulatorProcess) -> Any:
    return connection_to(site, plugin=False, rest=True)


@pytest.mark.parametrize("deed", ["withdraw", "give", "restrict", "unrestrict"])
@pytest.mark.parametrize("has_secret", [True, False])
def test_what_only_the_plugin_can_do_is_left_to_a_person(site: SimulatorProcess, deed: str, has_secret: bool) -> None:
    connection = connection_to(site, plugin=has_secret, rest=True)
    assert DEEDS[deed](ACTION, connection) == RelayResult(Outcome.NOT_COVERED, "no_plugin")


@pytest.mark.parametrize("deed", ["rectify", "erase", "grant_access", "revoke_access"])
def test_with_neither_plugin_nor_password_nothing_is_done(site: SimulatorProcess, deed: str) -> None:
    action = replace(ACTION, product=COURSE, profile=RIGHT)
    expected = RelayResult(Outcome.NOT_COVERED, "no_plugin")
    assert DEEDS[deed](action, connection_to(site)) == expected


def test_an_erasure_takes_the_account_and_the_comments_and_nobody_elses(
    site: SimulatorProcess, connection: Any
) -> None:
    site.seed({"comments": [COMMENT, {**COMMENT, "id": 4, "status": "spam"}]})
    site.seed({"plugins": ["contact-form-7"]})
    assert DEEDS["erase"](ACTION, connection) == RelayResult(Outcome.REMOVED)
    assert [user["email"] for user in site.state()["users"]] == ["okari@example.no"]
    assert site.state()["comments"] == []
    assert DEEDS["erase"](ACTION, connection) == NOT_FOUND


def test_where_a_plugin_cannot_be_searched_it_is_said(site: SimulatorProcess, connection: Any) -> None:
    site.seed({"plugins": ["flamingo"]})
    assert DEEDS["erase"](ACTION, connection) == RelayResult(Outcome.NOT_COVERED, "flamingo_not_searched")
    site.seed({"plugins": ["gravityforms"]})
    assert DEEDS["erase"](ACTION, connection) == RelayResult(Outcome.NOT_COVERED, "gravity_forms_not_searched")


def test_a_rectification_reaches_account_customer_and_entries_and_keeps_the_evidence(
    site: SimulatorProcess, connection: Any
) -> None:
    site.seed({"users": [CUSTOMER], "woocommerce": True, "orders": [ORDER]})
    mentioned = {**ENTRY, "id": "8", "2": "ola@example.no", "3": "kari@example.no"}
    site.seed({"gravity_forms_rest": True, "gravity_forms": {"1": FORM}, "entries": [ENTRY, mentioned]})
    action = replace(ACTION, profile=RIGHT)
    assert DEEDS["rectify"](action, connection) == DONE
    state = site.state()
    (user,) = state["users"]
    assert {name: user[name] for name in ("email", "first_name", "last_name")} == {
        name: RIGHT[name] for name in ("email", "first_name", "last_name")
    }
    assert user["billing"] == RIGHT
    assert state["entries"] == [{**ENTRY, "1.3": "Kåre & Co", "1.6": "O'Neil", "2": "kare@example.no"}, mentioned]
    assert state["orders"] == [ORDER]
    before = len(site.journal())
    assert DEEDS["rectify"](action, connection) == DONE
    assert effects(site, before) == []


def test_an_entry_that_lost_its_evidence_is_no_success(site: SimulatorProcess, connection: Any) -> None:
    site.seed({"gravity_forms_rest": True, "gravity_forms": {"1": FORM}, "entries": [ENTRY]})
    changed = {**ENTRY, "1.3": "Kåre & Co", "1.6": "O'Neil", "2": "kare@example.no", "user_agent": "API"}
    site.faults([{"path_prefix": "/wp-json/gf/v2/entries/7", "method": "PUT"}])
    site.faults([{"path_prefix": "/wp-json/gf/v2/entries/7", "method": "POST", "body": changed}])
    error = refusal(DEEDS["rectify"], replace(ACTION, profile=RIGHT), connection)
    assert (error.reason, error.permanent) == ("evidence_changed", True)


@pytest.mark.parametrize(
    ("users", "reason"),
    [
        ([EDITOR], "staff_account"),
        ([SUBSCRIBER, {**OTHER, "email": "kare@example.no"}], "several_accounts"),
    ],
)
def test_an_account_that_is_not_ours_to_change_is_left(
    site: SimulatorProcess, connection: Any, users: list[Any], reason: str
) -> None:
    site.seed({"users": users})
    result = DEEDS["rectify"](replace(ACTION, profile=RIGHT), connection)
    assert result == RelayResult(Outcome.NOT_COVERED, reason)
    assert site.state()["users"] == users


def test_a_role_is_added_to_the_others_and_taken_away_again(site: SimulatorProcess, connection: Any) -> None:
    action = replace(ACTION, product=COURSE)
    assert DEEDS["grant_access"](action, connection) == DONE
    assert DEEDS["grant_access"](action, connection) == DONE
    assert site.state()["users"][0]["roles"] == ["subscriber", "course_member"]
    assert DEEDS["revoke_access"](action, connection) == DONE
    assert site.state()["users"][0]["roles"] == ["subscriber"]


def test_an_account_is_made_once_for_who_has_none(site: SimulatorProcess, connection: Any) -> None:
    site.seed({"users": []})
    action = replace(ACTION, product=COURSE, emails=("old@example.no", KARI))
    site.faults([{"path_prefix": "/wp-json/wp/v2/users", "method": "POST", "count": 2}])  # the searches stay true
    site.faults([{"path_prefix": "/wp-json/wp/v2/users", "status": 502, "after_effect": True}])
    assert refusal(DEEDS["grant_access"], action, connection).reason == "server_error"
    assert DEEDS["grant_access"](action, connection) == DONE
    (user,) = site.state()["users"]
    assert (user["email"], user["roles"]) == (KARI, ["subscriber", "course_member"])
    assert "kari" not in user["username"]


def test_that_an_account_exists_is_no_fault_of_the_server(site: SimulatorProcess, connection: Any) -> None:
    site.faults([{"path_prefix": "/wp-json/wp/v2/users", "body": []}])  # not found yet, and there a moment later
    assert DEEDS["grant_access"](replace(ACTION, product=COURSE), connection) == DONE
    assert len(site.state()["users"]) == 2


def test_an_order_is_placed_once_and_cancelled(site: SimulatorProcess, connection: Any) -> None:
    site.seed({"users": [CUSTOMER], "woocommerce": True, "orders": [ORDER]})
    action = replace(ACTION, product=BOOK)
    site.faults([{"path_prefix": "/wp-json/wc/v3/orders", "count": 2}])  # is it there, and is there one of ours
    site.faults([{"path_prefix": "/wp-json/wc/v3/orders", "status": 504, "after_effect": True}])
    assert refusal(DEEDS["grant_access"], action, connection).reason == "server_error"
    assert DEEDS["grant_access"](action, connection) == DONE
    theirs, ours = site.state()["orders"]
    assert (ours["customer_id"], ours["status"]) == (12, "completed")
    assert DEEDS["revoke_access"](action, connection) == DONE
    assert [order["status"] for order in site.state()["orders"]] == ["completed", "cancelled"]
    assert DEEDS["revoke_access"](action, connection) == DONE
    assert theirs == ORDER


def test_without_woocommerce_a_product_of_it_is_a_persons_task(site: SimulatorProcess, connection: Any) -> None:
    action = replace(ACTION, product=BOOK)
    assert DEEDS["grant_access"](action, connection) == RelayResult(Outcome.NOT_COVERED, "no_woocommerce")


def test_an_export_holds_every_store(site: SimulatorProcess, connection: Any) -> None:
    site.seed({"users": [CUSTOMER], "woocommerce": True, "orders": [ORDER], "comments": [COMMENT]})
    site.seed({"gravity_forms_rest": True, "gravity_forms": {"1": FORM}, "entries": [ENTRY]})
    found = EXPORTERS["wordpress"](ACTION, connection)
    assert {name: len(items) for name, items in found.items()} == dict.fromkeys(
        ("users", "comments", "gravity_forms", "customers", "orders"), 1
    )
    assert "capabilities" not in found["users"][0]


def test_a_password_that_is_wrong_is_told_from_one_that_never_arrived(site: SimulatorProcess, connection: Any) -> None:
    wrong = replace(connection, application_password="wrong")  # noqa: S106
    error = refusal(DEEDS["erase"], ACTION, wrong)
    assert (error.reason, error.halt) == ("unauthorized", True)
    site.seed({"forwards_authorization": False})
    error = refusal(DEEDS["erase"], ACTION, connection)
    assert (error.reason, error.halt) == ("authorization_not_forwarded", True)


def test_a_network_of_sites_that_deletes_no_account_is_not_asked_for_a_month(
    site: SimulatorProcess, connection: Any
) -> None:
    refused = {"code": "rest_cannot_delete", "message": "The user cannot be deleted.", "data": {"status": 501}}
    site.faults([{"path_prefix": "/wp-json/wp/v2/users/12", "method": "DELETE", "status": 501, "body": refused}])
    with pytest.raises(RelayWait) as caught:
        DEEDS["erase"](ACTION, connection)
    site.faults([{"path_prefix": "/wp-json/wp/v2/users/12", "method": "DELETE", "status": 501, "body": refused}])
    error = refusal(DEEDS["erase"], replace(ACTION, notes=caught.value.notes), connection)
    assert (error.reason, error.permanent) == ("not_possible_here", True)


def test_the_caches_are_purged_after_a_rectification(site: SimulatorProcess, connection: Any) -> None:
    hosted = replace(connection, wpengine=wpengine_of(site))
    before = len(site.state()["purged"])
    assert DEEDS["rectify"](replace(ACTION, profile=RIGHT), hosted) == DONE
    assert site.state()["purged"][before:] == ["object", "page"]


def test_no_address_ever_stands_in_a_url(site: SimulatorProcess, connection: Any) -> None:
    DEEDS["erase"](ACTION, connection)
    assert not any("kari" in f"{line['path']}{line['query']}" for line in site.journal())
