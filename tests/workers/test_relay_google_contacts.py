"""Contacts, and all parts of Google together, against a simulated Google held to the discovery documents."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from tests.simulators.process import SimulatorProcess
from tests.workers.google_scene import (
    ACTION,
    ADMIN,
    ALL_SCOPES,
    GROUPS,
    KARI,
    MAILBOX,
    OLA,
    Scene,
    arrange,
    contact,
    from_,
)
from workers.relays import EXPORTERS, OBSERVERS, RELAYS
from workers.relays.action import Outcome, Presence, RelayError, RelayResult
from workers.relays.google import contacts, erase, export, give, observe, probe, rectify, restrict, unrestrict, withdraw
from workers.relays.google.calls import CONTACTS, EVERYTHING, MEMBERS, MODIFYING, OTHER_CONTACTS, credentials_of

PROFILE = {"email": "kari.ny@example.no", "first_name": "Kari", "last_name": "Hansen", "company": ""}
OTHER = {"resourceName": "otherContacts/c9", "emailAddresses": [{"value": KARI}]}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("google", tmp_path_factory.mktemp("google")) as started:
        yield started


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """One that is asked for what it must refuse."""
    with SimulatorProcess("google", tmp_path_factory.mktemp("strict")) as started:
        yield started


@pytest.fixture
def scene(process: SimulatorProcess) -> Iterator[Scene]:
    yield arrange(process)
    process.clear()
    assert process.violations() == []


def reason_of(act: Any, *arguments: Any) -> tuple[str, bool, bool]:
    with pytest.raises(RelayError) as caught:
        act(*arguments)
    assert "kari" not in str(caught.value).lower()
    return caught.value.reason, caught.value.permanent, caught.value.halt


def test_an_erasure_deletes_the_contacts_of_the_exact_address_and_no_other(scene: Scene) -> None:
    scene.has(contacts=[contact(1, "KARI@example.no"), contact(2, OLA, KARI), contact(3, "anne-kari@example.no")])
    assert erase(ACTION, scene.alone()).outcome is Outcome.REMOVED
    assert [each["resourceName"] for each in scene.google.state()["contacts"]] == ["people/c3"]
    assert erase(ACTION, scene.alone()) == RelayResult(Outcome.NOT_FOUND)


def test_a_long_list_of_contacts_is_read_to_its_end(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contacts, "PAGE_SIZE", 2)
    scene.has(contacts=[contact(number, f"person{number}@example.no") for number in range(5)] + [contact(9, KARI)])
    assert erase(ACTION, scene.alone()).outcome is Outcome.REMOVED
    assert len(scene.google.state()["contacts"]) == 5


def test_an_other_contact_is_left_to_a_person_once_the_rest_is_done(scene: Scene) -> None:
    scene.has([from_(KARI, 1)], contacts=[contact(1, KARI)], other_contacts=[OTHER])
    assert erase(ACTION, scene.alone()) == RelayResult(Outcome.NOT_COVERED, "other_contact_by_hand")
    assert scene.effects() == ["messages.trash", "people.deleteContact"]
    scene.has(other_contacts=[])
    assert erase(ACTION, scene.alone()).outcome is Outcome.NOT_FOUND


def test_a_correction_writes_the_four_facts_and_keeps_the_rest(scene: Scene) -> None:
    listed = contact(1, KARI, "kari@gammel.example.no", "kari@hjem.example.no")
    listed["names"] = [{"givenName": "Kari", "familyName": "Nordmann", "middleName": "Marie"}]
    listed["organizations"] = [{"name": "Gammel AS", "title": "Leder"}]
    listed["phoneNumbers"] = [{"value": "+4712345678"}]
    scene.has(contacts=[listed, contact(2, OLA)])
    action = replace(ACTION, emails=(KARI, "kari@gammel.example.no"), profile=PROFILE)
    assert rectify(action, scene.alone()) == RelayResult(Outcome.DONE)
    changed, other = scene.google.state()["contacts"]
    assert [each["value"] for each in changed["emailAddresses"]] == ["kari.ny@example.no", "kari@hjem.example.no"]
    assert changed["names"] == [{"givenName": "Kari", "familyName": "Hansen", "middleName": "Marie"}]
    assert changed["organizations"] == [{"title": "Leder"}]
    assert changed["phoneNumbers"] == [{"value": "+4712345678"}]
    assert other == contact(2, OLA)
    # The address is another one now, and the same correction still finds the contact.
    assert rectify(action, scene.alone()) == RelayResult(Outcome.DONE)


def test_only_what_is_named_is_corrected(scene: Scene) -> None:
    scene.has(contacts=[contact(1, KARI, names=[{"givenName": "Kari", "familyName": "Nordmann"}])])
    assert rectify(replace(ACTION, profile={"last_name": ""}), scene.alone()).outcome is Outcome.DONE
    (changed,) = scene.google.state()["contacts"]
    assert (changed["names"], changed["emailAddresses"][0]["value"]) == ([{"givenName": "Kari"}], KARI)


STALE = {
    "method": "PATCH",
    "status": 400,
    "body": {"error": {"code": 400, "message": "Stale.", "status": "FAILED_PRECONDITION"}},
}


def test_a_contact_that_changed_meanwhile_is_read_again_once(scene: Scene) -> None:
    action = replace(ACTION, profile=PROFILE)
    scene.has(contacts=[contact(1, KARI)])
    scene.google.faults([STALE])
    assert rectify(action, scene.alone()).outcome is Outcome.DONE
    assert [line["method"] for line in scene.lines() if line["path"].startswith("/v1/people/c1")] == [
        *("GET", "PATCH"),
        *("GET", "PATCH"),
        "GET",
    ]
    scene.google.faults([STALE, STALE])
    assert reason_of(rectify, action, scene.alone()) == ("changed_meanwhile", False, False)


def test_a_corrected_address_takes_the_place_of_the_old_one_in_the_groups(scene: Scene) -> None:
    scene.has(groups={GROUPS["newsletter"]: [KARI], GROUPS["offers"]: [OLA]})
    assert rectify(replace(ACTION, profile=PROFILE), scene.connection).outcome is Outcome.DONE
    assert scene.google.state()["groups"] == {GROUPS["newsletter"]: [PROFILE["email"]], GROUPS["offers"]: [OLA]}


def test_confirmed_consent_makes_a_member_once(scene: Scene) -> None:
    action = replace(ACTION, emails=("gammel@example.no", KARI), purposes=("newsletter", "profiling"))
    assert give(action, scene.connection) == RelayResult(Outcome.DONE)
    assert give(action, scene.connection) == RelayResult(Outcome.DONE)
    assert scene.google.state()["groups"] == {GROUPS["newsletter"]: [KARI], GROUPS["offers"]: []}
    assert scene.effects() == ["members.insert"]
    assert give(replace(action, purposes=("profiling",)), scene.connection).outcome is Outcome.NOT_COVERED


def test_only_a_member_is_seen_as_given(scene: Scene) -> None:
    scene.has(groups={GROUPS["newsletter"]: [KARI], GROUPS["offers"]: []})
    asked = replace(ACTION, purposes=("newsletter", "offers", "profiling"))
    assert observe(asked, scene.connection) == {"newsletter": Presence.GIVEN, "offers": Presence.UNKNOWN}
    assert {line["method"] for line in scene.lines() if line["path"] != "/token"} == {"GET"}


def test_an_erasure_and_a_restriction_leave_every_group_whatever_its_purpose(scene: Scene) -> None:
    for act in (erase, restrict):
        scene.has([from_(KARI, 1)], groups={group: [KARI, OLA] for group in GROUPS.values()})
        assert act(replace(ACTION, purposes=()), scene.connection).outcome in (Outcome.REMOVED, Outcome.DONE)
        assert scene.google.state()["groups"] == {group: [OLA] for group in GROUPS.values()}


def test_the_end_of_a_restriction_leads_into_no_group(scene: Scene) -> None:
    unrestrict(ACTION, scene.connection)
    assert "members.insert" not in scene.effects()
    assert unrestrict(ACTION, replace(scene.connection, mailbox=None)).outcome is Outcome.NOT_FOUND


def test_a_part_that_is_not_connected_is_not_counted_and_without_any_nothing_is_covered(scene: Scene) -> None:
    scene.has(groups={GROUPS["newsletter"]: [KARI], GROUPS["offers"]: []})
    assert erase(ACTION, replace(scene.connection, mailbox=None)) == RelayResult(Outcome.REMOVED)
    assert erase(ACTION, scene.alone(people_base="")) == RelayResult(Outcome.NOT_FOUND)
    assert not any(line["path"].startswith("/v1/") for line in scene.lines())
    nothing = replace(scene.connection, groups={}, mailbox=None)
    for act in (erase, restrict, unrestrict, rectify, withdraw, give):
        assert act(replace(ACTION, profile=PROFILE), nothing).outcome is Outcome.NOT_COVERED


@pytest.mark.parametrize(
    ("scope", "part"),
    [
        (MEMBERS, "groups"),
        (MODIFYING, "mailbox"),
        (EVERYTHING, "permanent_deletion"),
        (CONTACTS, "contacts"),
        (OTHER_CONTACTS, "other_contacts"),
    ],
)
def test_a_scope_that_is_missing_is_named_and_the_other_parts_are_done(scene: Scene, scope: str, part: str) -> None:
    kept = [each for each in ALL_SCOPES if each != scope]
    scene.has([from_(KARI, 1)], contacts=[contact(1, KARI)], groups={GROUPS["newsletter"]: [KARI]}, grants=kept)
    connection = replace(scene.alone(delete_permanently=True), groups={"newsletter": GROUPS["newsletter"]})
    # Only the groups halt Google: they are where withdrawals go.
    assert reason_of(erase, ACTION, connection) == (f"{part}_scope_missing", False, part == "groups")
    state = scene.google.state()
    assert state["contacts"] == [] or scope == CONTACTS
    assert state["mailbox"]["mails"] == [] or scope in (MODIFYING, EVERYTHING)
    assert state["groups"] == {GROUPS["newsletter"]: []} or scope == MEMBERS
    scene.has(grants=ALL_SCOPES)
    assert erase(ACTION, connection).outcome in (Outcome.REMOVED, Outcome.NOT_FOUND)
    state = scene.google.state()
    assert (state["contacts"], state["mailbox"]["mails"], state["groups"][GROUPS["newsletter"]]) == ([], [], [])


def test_what_helps_to_be_tried_again_comes_before_what_needs_an_operator(scene: Scene) -> None:
    scene.has([from_(KARI, 1)], grants=[each for each in ALL_SCOPES if each != MEMBERS])
    scene.google.faults([{"path_prefix": "/v1/people", "status": 503}])
    assert reason_of(erase, ACTION, scene.connection) == ("server_error", False, False)
    assert reason_of(erase, ACTION, scene.connection) == ("groups_scope_missing", False, True)


def test_nobody_but_the_two_accounts_is_ever_acted_for(scene: Scene) -> None:
    scene.has([from_(KARI, 1)], contacts=[contact(1, KARI)])
    for act in (erase, restrict, unrestrict, rectify, give, withdraw, export, observe):
        act(replace(ACTION, profile=PROFILE), scene.connection)
    claims = [line["body"]["assertion"] for line in scene.lines() if line["path"] == "/token"]
    assert {(each["sub"], each["scope"]) for each in claims} == {
        (ADMIN, MEMBERS),
        *((MAILBOX, scope) for scope in (MODIFYING, CONTACTS, OTHER_CONTACTS)),
    }
    assert len(claims) == 4  # one token for each account and scope


def refresh_token(scene: Scene, subject: str, scopes: list[str]) -> dict[str, str]:
    secrets = {"client_id": "client", "client_secret": "hemmelig"}
    scene.has(refresh_tokens={"1//refresh": {**secrets, "subject": subject, "scopes": scopes}})
    return {
        "type": "authorized_user",
        "refresh_token": "1//refresh",
        **secrets,
        "token_uri": f"{scene.google.url}/token",
    }


def test_a_refresh_token_serves_as_well_as_a_delegation(scene: Scene) -> None:
    info = refresh_token(scene, MAILBOX, [MODIFYING, CONTACTS, OTHER_CONTACTS])
    scene.has([from_(KARI, 1)], contacts=[contact(1, KARI)])
    assert erase(ACTION, scene.alone(credentials_info=info)) == RelayResult(Outcome.REMOVED, "in_trash")
    assert "hemmelig" not in repr(scene.alone(credentials_info=info))


def test_a_refresh_token_without_the_scope_or_withdrawn_or_of_somebody_else_changes_nothing(scene: Scene) -> None:
    info = refresh_token(scene, MAILBOX, [CONTACTS, OTHER_CONTACTS])
    assert reason_of(erase, ACTION, scene.alone(credentials_info=info)) == ("mailbox_scope_missing", False, False)
    info = refresh_token(scene, OLA, [MODIFYING, CONTACTS, OTHER_CONTACTS])
    scene.has(contacts=[contact(1, KARI)])
    reason, permanent, halt = reason_of(erase, ACTION, scene.alone(credentials_info=info))
    assert (reason, permanent, halt) == ("forbidden", False, False)
    assert scene.effects() == []
    scene.has(refresh_tokens={})
    assert reason_of(erase, ACTION, scene.alone(credentials_info=info)) == ("token_refused", False, False)


def test_what_google_shows_of_somebody_else_is_left_alone(scene: Scene) -> None:
    info = refresh_token(scene, MAILBOX, [MODIFYING, CONTACTS, OTHER_CONTACTS])
    scene.has([from_(KARI, 1)], contacts=[contact(1, KARI)])
    profile = {"emailAddress": OLA, "historyId": "1"}
    scene.google.faults([{"path_prefix": "/gmail/v1/users/me/profile", "count": None, "body": profile}])
    for act in (erase, restrict, rectify):
        action = replace(ACTION, profile=PROFILE)
        assert reason_of(act, action, scene.alone(credentials_info=info))[0] == "mailbox_of_somebody_else"
    assert export(ACTION, scene.alone(credentials_info=info))["contacts"] == {"not_read": "mailbox_of_somebody_else"}
    assert scene.effects() == []


def test_credentials_are_one_of_two_kinds() -> None:
    assert credentials_of('{"type": "authorized_user"}', "bad")["token_uri"] == "https://oauth2.googleapis.com/token"
    for text in ("", "[]", "{}", '{"type": "external_account"}', '{"type": "authorized_user", "client_id": 1}', "7"):
        assert reason_of(credentials_of, text, "gmail_credentials_malformed")[0] == "gmail_credentials_malformed"


def test_a_probe_only_reads_and_names_each_part(scene: Scene) -> None:
    assert set(probe(scene.connection).values()) == {None}
    scene.has(grants=[each for each in ALL_SCOPES if each != OTHER_CONTACTS])
    # A connection of its own: the other one has its token already.
    fresh = replace(scene.connection, mailbox=replace(scene.own))
    assert probe(fresh) == {
        "groups": None,
        "mailbox": None,
        "contacts": None,
        "other_contacts": "other_contacts_scope_missing",
    }
    assert scene.effects() == []


def test_the_registers_know_every_deed() -> None:
    assert set(RELAYS["google"]) == {"give", "withdraw", "rectify", "restrict", "unrestrict", "erase"}
    assert (OBSERVERS["google"], EXPORTERS["google"]) == (observe, export)


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("GET", "/v1/people/me/connections?personFields=emailAdresses", None, "not one of the allowed values"),
        ("GET", "/v1/people/me/connections?personField=names", None, "unknown parameter: personField"),
        ("PATCH", "/v1/people/c1:updateContact", {"names": [{"givenname": "K"}]}, "unknown field: givenname"),
        ("PATCH", "/v1/people/c1:updateContact", {"emailAddresses": [{"value": 7}]}, "not of type string: value"),
        ("DELETE", "/v1/otherContacts/c1:deleteContact", None, "unknown path or method"),
        ("POST", "/gmail/v1/users/me/messages/batchDelete", {"messageIds": ["1"]}, "unknown field: messageIds"),
        ("GET", "/gmail/v1/users/me/messages?includeSpamTrash=True", None, "not of type boolean: includeSpamTrash"),
    ],
)
def test_a_misspelt_parameter_is_caught(strict: SimulatorProcess, method: str, path: str, body: Any, said: str) -> None:
    assert requests.request(method, strict.url + path, json=body, timeout=10).status_code == 400
    assert said in strict.violations()[-1]
