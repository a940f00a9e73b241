"""What the WordPress relay has the companion plugin do, and what it finds when it reads that back."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.simulators.process import SimulatorProcess
from tests.workers.wordpress_site import (
    ACTION,
    BOOK,
    COURSE,
    EDITOR,
    KARI,
    RIGHT,
    SUBSCRIBER,
    connection_to,
    refusal,
    serve_site,
)
from workers.relays import EXPORTERS, OBSERVERS, RELAYS
from workers.relays.action import Outcome, Presence, RelayResult

DEEDS = RELAYS["wordpress"]
ACCOUNT_PATH, STATUS_PATH = "/wp-json/samtykke/v1/account", "/wp-json/samtykke/v1/status"
DONE = RelayResult(Outcome.DONE)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    yield from serve_site(tmp_path_factory.mktemp("wordpress"))


@pytest.fixture
def site(process: SimulatorProcess) -> Iterator[SimulatorProcess]:
    process.seed({"new": True, "users": [SUBSCRIBER]})
    yield process
    process.clear()
    assert process.violations() == []


@pytest.fixture
def connection(site: SimulatorProcess) -> Any:
    return connection_to(site)


def test_confirmed_consent_subscribes_and_is_seen_to_be_so(site: SimulatorProcess, connection: Any) -> None:
    assert DEEDS["give"](ACTION, connection) == DONE
    assert site.state()["subscribers"]["kari@example.no"]["purposes"] == {
        "newsletter": "subscribed",
        "offers": "subscribed",
    }
    given = {"newsletter": Presence.GIVEN, "offers": Presence.GIVEN}
    assert OBSERVERS["wordpress"](ACTION, connection) == given


def test_a_purpose_without_a_list_is_left_to_a_person(site: SimulatorProcess, connection: Any) -> None:
    site.seed({"lists": ["newsletter"]})
    assert DEEDS["give"](ACTION, connection) == RelayResult(Outcome.NOT_COVERED, "purpose_without_list")
    site.seed({"needless": ["offers"]})
    assert DEEDS["give"](ACTION, connection) == DONE
    site.seed({"lists": [], "needless": ["newsletter", "offers"], "subscribers": []})
    assert DEEDS["give"](ACTION, connection) == RelayResult(Outcome.NOT_FOUND, "no_list_needed")
    site.seed({"adapters": []})
    assert DEEDS["give"](ACTION, connection) == RelayResult(Outcome.NOT_COVERED, "no_adapter")


def test_consent_that_did_not_arrive_is_not_done(site: SimulatorProcess, connection: Any) -> None:
    states = {"newsletter": "subscribed", "offers": "unsubscribed"}
    site.faults([{"path_prefix": STATUS_PATH, "body": {"purposes": states}}])
    assert refusal(DEEDS["give"], ACTION, connection).reason == "read_back_failed"


def test_a_restriction_is_set_and_lifted(site: SimulatorProcess, connection: Any) -> None:
    assert DEEDS["restrict"](ACTION, connection) == DONE
    assert site.state()["restricted"] == ["kari@example.no"]
    assert DEEDS["restrict"](ACTION, connection) == DONE
    assert DEEDS["unrestrict"](ACTION, connection) == DONE
    assert site.state()["restricted"] == []
    assert DEEDS["unrestrict"](ACTION, connection).outcome is Outcome.NOT_FOUND


@pytest.mark.parametrize(("deed", "told"), [("restrict", False), ("unrestrict", True)])
def test_a_restriction_that_the_site_does_not_know_of_is_not_done(
    site: SimulatorProcess, connection: Any, deed: str, told: bool
) -> None:
    DEEDS["restrict"](ACTION, connection)
    site.faults([{"path_prefix": ACCOUNT_PATH, "body": {"user": None, "profile": None, "restricted": told}}])
    assert refusal(DEEDS[deed], ACTION, connection).reason == "read_back_failed"


def test_a_rectification_is_found_under_the_right_address_and_under_no_other(
    site: SimulatorProcess, connection: Any
) -> None:
    action = replace(ACTION, profile=RIGHT)
    assert DEEDS["rectify"](action, connection) == DONE
    (user,) = site.state()["users"]
    assert {name: user[name] for name in RIGHT} == RIGHT
    assert DEEDS["rectify"](action, connection).outcome is Outcome.NOT_FOUND
    nobody = replace(action, emails=("ola@example.no",), profile={"first_name": "Ola"})
    assert DEEDS["rectify"](nobody, connection).outcome is Outcome.NOT_FOUND


@pytest.mark.parametrize(
    "account",
    [
        {"user": {"id": 12, "roles": []}, "profile": {"first_name": "Kari"}},
        {"user": {"id": 12, "roles": []}, "profile": {"first_name": "Kåre &amp; Co"}},
    ],
)
def test_a_rectification_that_did_not_take_is_not_done(
    site: SimulatorProcess, connection: Any, account: dict[str, Any]
) -> None:
    site.faults([{"path_prefix": ACCOUNT_PATH, "body": account}])
    action = replace(ACTION, profile={"first_name": "Kåre & Co"})
    assert refusal(DEEDS["rectify"], action, connection).reason == "read_back_failed"


@pytest.mark.parametrize("product", [COURSE, BOOK])
def test_access_is_granted_once_and_taken_back(site: SimulatorProcess, connection: Any, product: Any) -> None:
    site.seed({"woocommerce": True})
    action = replace(ACTION, product=product)
    for _ in range(2):
        assert DEEDS["grant_access"](action, connection) == DONE
    if product is COURSE:
        assert site.state()["users"][0]["roles"] == ["subscriber", "course_member"]
    else:
        assert site.state()["granted"] == {"77": [KARI]}
    assert DEEDS["revoke_access"](action, connection) == DONE
    assert site.state()["users"][0]["roles"] == ["subscriber"]
    assert site.state()["granted"].get("77", []) == []


def test_nobody_to_grant_access_to_is_a_persons_task(site: SimulatorProcess, connection: Any) -> None:
    action = replace(ACTION, emails=("ola@example.no",), product=COURSE)
    assert DEEDS["grant_access"](action, connection) == RelayResult(Outcome.NOT_COVERED, "no_account")
    book = replace(action, product=BOOK)
    assert DEEDS["grant_access"](book, connection) == RelayResult(Outcome.NOT_COVERED, "no_woocommerce")


@pytest.mark.parametrize("deed", ["grant_access", "revoke_access"])
def test_access_that_the_site_says_otherwise_of_is_not_done(site: SimulatorProcess, connection: Any, deed: str) -> None:
    roles = [] if deed == "grant_access" else ["course_member"]
    site.faults([{"path_prefix": ACCOUNT_PATH, "body": {"user": {"id": 12, "roles": roles}}}])
    assert refusal(DEEDS[deed], replace(ACTION, product=COURSE), connection).reason == "read_back_failed"


def test_no_payment_makes_an_administrator(site: SimulatorProcess, connection: Any) -> None:
    action = replace(ACTION, product=replace(COURSE, role="administrator"))
    before = len(site.journal())
    error = refusal(DEEDS["grant_access"], action, connection)
    assert (error.reason, error.permanent, len(site.journal()) - before) == ("role_not_allowed", True, 0)


def test_observing_only_reads_and_says_unknown_where_nobody_can_tell(site: SimulatorProcess, connection: Any) -> None:
    unknown = {"newsletter": Presence.UNKNOWN, "offers": Presence.UNKNOWN}
    before = len(site.journal())
    assert OBSERVERS["wordpress"](ACTION, connection) == unknown
    assert [line["path"] for line in site.journal()[before:]] == [STATUS_PATH]
    site.seed({"plugin": False})
    assert OBSERVERS["wordpress"](ACTION, connection) == unknown
    assert OBSERVERS["wordpress"](ACTION, connection_to(site, plugin=False, rest=True)) == unknown


def test_an_export_brings_every_page_of_every_exporter(site: SimulatorProcess, connection: Any) -> None:
    site.seed({"stored": {"wordpress-comments": {"kari@example.no": 5}}, "users": [SUBSCRIBER, EDITOR]})
    found = EXPORTERS["wordpress"](ACTION, connection)["exporters"]
    assert {key: len(items) for key, items in found.items()} == {"wordpress-user": 1, "wordpress-comments": 5}
    site.seed({"plugin": False})
    assert refusal(EXPORTERS["wordpress"], ACTION, connection).reason == "no_plugin"


@pytest.mark.parametrize("page", [{}, {"data": {}, "done": True}, {"data": [], "done": 1}])
def test_an_export_is_whole_or_none(site: SimulatorProcess, connection: Any, page: Any) -> None:
    listed = {"path_prefix": "/wp-json/samtykke/v1/exporters"}  # begins the same, and keeps its true answer
    site.faults([listed, {"path_prefix": "/wp-json/samtykke/v1/export", "body": page}])
    assert refusal(EXPORTERS["wordpress"], ACTION, connection).reason == "unexpected_answer"


def test_a_clock_that_is_wrong_is_told_from_a_secret_that_is(site: SimulatorProcess, connection: Any) -> None:
    late = replace(connection, clock=lambda: 1_790_000_000_000)
    error = refusal(DEEDS["withdraw"], ACTION, late)
    assert (error.reason, error.halt) == ("clock_skew", True)
    error = refusal(DEEDS["withdraw"], ACTION, replace(connection, secret="whsec_" + "A" * 32))
    assert (error.reason, error.halt) == ("unauthorized", True)


def test_a_site_behind_a_password_is_said_to_be_so(site: SimulatorProcess, connection: Any) -> None:
    basic = {"WWW-Authenticate": 'Basic realm="Password Protected"'}
    site.faults([{"status": 401, "body": "<html>", "headers": basic}])
    error = refusal(DEEDS["withdraw"], ACTION, connection)
    assert (error.reason, error.halt) == ("site_password_protected", True)
