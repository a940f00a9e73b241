"""The relay against a real WordPress: with the companion plugin, and as an administrator with a password."""

from dataclasses import replace
from typing import Any

import pytest

from schemas.policy import Product, Text
from tests.wordpress.site import ADMINISTRATOR, LISTS, SECRET, Site
from workers.outgoing import OutgoingSession
from workers.relays import EXPORTERS, OBSERVERS, RELAYS
from workers.relays.action import Outcome, Presence, RelayAction, RelayError, RelayResult
from workers.relays.wordpress import WordPressConnection

KARI = "kari@example.no"
ACTION = RelayAction("5a3c", ("Kari@example.no",), ("newsletter",), 1_790_000_000_000, 1)
PURPOSES = {"newsletter": {"mailpoet": 3, "newsletter": 1}}
COURSE = Product("course", Text("Kurs", "Course"), (), (), "course_member", None)
RIGHT = {"first_name": 'Kåre "K" & Co', "last_name": "O'Neil", "email": "kare@example.no"}
DONE, NOT_FOUND = RelayResult(Outcome.DONE), RelayResult(Outcome.NOT_FOUND)
DEEDS = RELAYS["wordpress"]


def connect(site: Site, *, plugin: bool = True, rest: bool = False) -> WordPressConnection:
    session = OutgoingSession(frozenset({"127.0.0.1"}), allow_loopback=True, response_size_max_bytes=1_000_000)
    connection = WordPressConnection(site.url, SECRET if plugin else None, session)
    password = site.application_password if rest else None
    return replace(connection, user=ADMINISTRATOR, application_password=password)


@pytest.fixture
def listed(site: Site) -> Site:
    site.configure({"TEST_LISTS": LISTS, "SAMTYKKE_PURPOSES": PURPOSES})
    return site


@pytest.fixture(params=["plugin", "rest", "both"])
def connection(request: pytest.FixtureRequest, site: Site) -> WordPressConnection:
    return connect(site, plugin=request.param != "rest", rest=request.param != "plugin")


def add_user(site: Site, email: str = KARI, role: str = "subscriber") -> int:
    members = f"'user_login' => '{email}', 'user_pass' => 'x', 'user_email' => '{email}', 'role' => '{role}'"
    number: int = site.run(f"return wp_insert_user( array( {members} ) );")
    return number


def add_comment(site: Site, email: str = KARI) -> None:
    site.run(
        f"return wp_insert_comment( array( 'comment_author' => 'Kari', 'comment_author_email' => '{email}',"
        " 'comment_content' => 'Hello', 'comment_approved' => 1, 'comment_post_ID' => 1 ) );"
    )


def roles(site: Site) -> Any:
    return site.run(f"return array_values( get_user_by( 'email', '{KARI}' )->roles );")


def test_consent_is_given_observed_and_withdrawn(listed: Site) -> None:
    connection = connect(listed)
    assert OBSERVERS["wordpress"](ACTION, connection) == {"newsletter": Presence.UNKNOWN}
    for _ in range(2):
        assert DEEDS["give"](ACTION, connection) == DONE
    assert OBSERVERS["wordpress"](ACTION, connection) == {"newsletter": Presence.GIVEN}
    for _ in range(2):
        assert DEEDS["withdraw"](ACTION, connection) == RelayResult(Outcome.REMOVED)
    assert OBSERVERS["wordpress"](ACTION, connection) == {"newsletter": Presence.WITHDRAWN}


def test_a_restriction_is_set_and_lifted(site: Site) -> None:
    add_user(site)
    for deed in ("restrict", "unrestrict"):
        assert DEEDS[deed](ACTION, connect(site)) == DONE


def test_an_erasure_runs_every_eraser_and_finds_nothing_afterwards(site: Site) -> None:
    add_user(site)
    add_comment(site)
    site.run(f"return update_option( 'notes-admin', array_fill( 0, 3, '{KARI}' ) );")
    action = replace(ACTION, emails=(KARI,))
    assert DEEDS["erase"](action, connect(site)) == RelayResult(Outcome.REMOVED)
    assert site.run("return get_option( 'notes-admin' );") == []
    assert site.run(f"return get_user_by( 'email', '{KARI}' );") is False
    assert DEEDS["erase"](action, connect(site)) == NOT_FOUND


def test_what_an_eraser_keeps_is_said(site: Site) -> None:
    site.run(f"return update_option( 'notes-kept', array( '{KARI}' ) );")
    result = DEEDS["erase"](replace(ACTION, emails=(KARI,)), connect(site))
    assert result == RelayResult(Outcome.RETAINED, "kept_by_notes_kept")


def test_without_the_plugin_account_and_comments_are_deleted(site: Site) -> None:
    number = add_user(site)
    add_user(site, "okari@example.no")
    add_comment(site)
    site.run(f"return wp_insert_post( array( 'post_title' => 'Hers', 'post_author' => {number} ) );")
    connection = connect(site, plugin=False, rest=True)
    assert DEEDS["erase"](ACTION, connection) == RelayResult(Outcome.REMOVED)
    assert site.run(f"return get_comments( array( 'author_email' => '{KARI}', 'count' => true ) );") == 0
    assert site.run("return count( get_users() );") == 2
    assert site.run("return count( get_posts( array( 'author' => 1, 'post_status' => 'any' ) ) );") >= 1
    assert DEEDS["erase"](ACTION, connection) == NOT_FOUND


def test_who_writes_on_the_site_is_left_to_a_person(site: Site) -> None:
    add_user(site, role="author")
    result = DEEDS["erase"](ACTION, connect(site, plugin=False, rest=True))
    assert result == RelayResult(Outcome.NOT_COVERED, "staff_account")
    assert roles(site) == ["author"]


def test_a_rectification_is_read_back(site: Site, connection: WordPressConnection) -> None:
    number = add_user(site)
    assert DEEDS["rectify"](replace(ACTION, profile=RIGHT), connection) == DONE
    user = site.run(f"$u = get_userdata( {number} ); return array( $u->user_email, $u->last_name );")
    assert user == ["kare@example.no", "O'Neil"]
    nobody = replace(ACTION, emails=("ola@example.no",), profile={"first_name": "Ola"})
    assert DEEDS["rectify"](nobody, connection) == NOT_FOUND


def test_access_is_granted_beside_other_roles_and_taken_back(site: Site, connection: WordPressConnection) -> None:
    site.run("add_role( 'course_member', 'Course', array( 'read' => true ) ); return 1;")
    add_user(site)
    action = replace(ACTION, product=COURSE)
    for _ in range(2):
        assert DEEDS["grant_access"](action, connection) == DONE
        assert roles(site) == ["subscriber", "course_member"]
    assert DEEDS["revoke_access"](action, connection) == DONE
    assert roles(site) == ["subscriber"]


def test_who_has_no_account_gets_one_by_the_password_and_is_a_task_without(site: Site) -> None:
    site.run("add_role( 'course_member', 'Course', array( 'read' => true ) ); return 1;")
    action = replace(ACTION, product=COURSE)
    assert DEEDS["grant_access"](action, connect(site)) == RelayResult(Outcome.NOT_COVERED, "no_account")
    for _ in range(2):
        assert DEEDS["grant_access"](action, connect(site, plugin=False, rest=True)) == DONE
    assert roles(site) == ["subscriber", "course_member"]
    assert site.run("return count( get_users() );") == 2
    assert site.mails() == []


def test_an_export_has_what_the_exporters_and_the_rest_api_know(site: Site) -> None:
    add_user(site)
    add_comment(site)
    found = EXPORTERS["wordpress"](replace(ACTION, emails=(KARI,)), connect(site, rest=True))
    assert {"wordpress-user", "wordpress-comments"} <= set(found["exporters"])
    assert [user["email"] for user in found["users"]] == [KARI]
    assert [comment["author_email"] for comment in found["comments"]] == [KARI]


def test_a_wrong_secret_and_a_wrong_clock_halt_and_are_told_apart(site: Site) -> None:
    with pytest.raises(RelayError) as caught:
        DEEDS["withdraw"](ACTION, replace(connect(site), secret="whsec_" + "A" * 32))
    assert (caught.value.reason, caught.value.halt) == ("unauthorized", True)
    with pytest.raises(RelayError) as caught:
        DEEDS["withdraw"](ACTION, replace(connect(site), clock=lambda: 1_790_000_000_000))
    assert (caught.value.reason, caught.value.halt) == ("clock_skew", True)


def test_a_wrong_password_halts_and_looks_like_a_header_that_was_dropped(site: Site) -> None:
    wrong = replace(connect(site, plugin=False, rest=True), application_password="wrong")  # noqa: S106
    with pytest.raises(RelayError) as caught:
        DEEDS["erase"](ACTION, wrong)
    assert (caught.value.reason, caught.value.halt) == ("authorization_not_forwarded", True)
