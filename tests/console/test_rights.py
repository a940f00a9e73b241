"""What an operator does for a person: dry first, refused with a reason, and always an entry of the ledger."""

import json
from typing import Any

import pytest

from tests.world import World

KARI = "kari@example.no"


@pytest.fixture
def given(world: World) -> World:
    world.give(KARI)
    return world


def run(world: World, *arguments: str) -> dict[str, Any]:
    result = world.command(*arguments, "--json")
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def refusal(world: World, *arguments: str) -> tuple[int, str]:
    result = world.command(*arguments)
    return result.exit_code, result.output.strip().splitlines()[-1]


def test_a_dry_run_of_an_erasure_counts_and_changes_nothing(given: World) -> None:
    before = given.leaves()
    told = run(given, "subjects", "erase", "--email", KARI, "--dry-run")
    assert told | {"result": "would_erase", "sealed_payloads": 1, "addresses": 1} == told
    assert given.leaves() == before
    assert given.check(KARI)["reason"] == "given"


def test_an_erasure_asks_once_more_and_then_carries_everything(given: World) -> None:
    assert refusal(given, "subjects", "erase", "--email", KARI, "--json") == (4, "not_confirmed")
    told = run(given, "subjects", "erase", "--email", KARI, "--ground", "objection", "--yes")
    assert told | {"result": "erased", "overwritten_on_disk": True} == told
    leaf = given.leaves()[told["position"]]
    assert (leaf["kind"], leaf["reason"], leaf["source"]) == ("subject.erased", "objection", "operator")
    assert refusal(given, "subjects", "erase", "--email", KARI, "--yes") == (1, "subject_not_found")
    given.sign()
    given.carry(urgent=True)
    given.carry()
    mail = given.mails()[-1]
    assert mail["To"] == KARI
    assert given.check(KARI)["reason"] == "suppressed"


def test_an_address_is_no_part_of_what_is_printed(given: World) -> None:
    told = [
        given.command("subjects", "restrict", "--email", KARI, "--reason", "claims").output,
        given.command("subjects", "erase", "--email", KARI, "--yes").output,
    ]
    assert "kari" not in "".join(told)


def test_a_restriction_is_put_on_and_lifted(given: World) -> None:
    assert (
        run(given, "subjects", "restrict", "--email", KARI, "--reason", "accuracy_contested")["result"] == "restricted"
    )
    assert given.check(KARI)["reason"] == "restricted"
    again = ("subjects", "restrict", "--email", KARI, "--reason", "claims")
    assert refusal(given, *again) == (4, "already_restricted")
    assert run(given, "subjects", "unrestrict", "--email", KARI, "--told")["result"] == "unrestricted"
    assert refusal(given, "subjects", "unrestrict", "--email", KARI, "--told") == (4, "not_restricted")
    assert given.check(KARI)["reason"] == "given"


def test_a_rectification_needs_something_to_rectify(given: World) -> None:
    assert refusal(given, "subjects", "rectify", "--email", KARI) == (2, "nothing_to_rectify")
    told = run(
        given, "subjects", "rectify", "--email", KARI, "--first-name", "Kari", "--new-email", "kari.n@example.no"
    )
    assert told["result"] == "rectified"
    assert given.check("kari.n@example.no")["reason"] == "given"
    shown = run(given, "subjects", "show", "--email", KARI, "--reveal")
    assert shown["addresses"] == [KARI, "kari.n@example.no"]
    assert shown["payloads"][-1] == {"email": "kari.n@example.no", "first_name": "Kari"}


@pytest.mark.parametrize("reason", ["bounce", "complaint", "operator"])
def test_a_revocation_stops_and_is_carried_and_mails_nobody(given: World, reason: str) -> None:
    mails = len(given.mails())
    told = run(given, "consents", "revoke", "--email", KARI, "--purpose", "newsletter", "--reason", reason)
    assert told["purposes"] == ["newsletter"]
    leaf = given.leaves()[told["positions"][0]]
    assert (leaf["kind"], leaf["state"], leaf["reason"]) == ("consent.revoked", "dpv:ConsentRevoked", reason)
    assert given.check(KARI)["reason"] == "revoked"
    assert given.carry(urgent=True) == 3
    given.sign()
    given.carry()
    assert len(given.mails()) == mails + 1, "the receipt of the grant, which waited for a checkpoint"


def test_an_unknown_purpose_is_refused(given: World) -> None:
    result = given.command("consents", "revoke", "--email", KARI, "--purpose", "music", "--reason", "bounce")
    assert (result.exit_code, "purpose_unknown" in result.output) == (2, True)


def test_a_restriction_ends_only_after_the_person_was_told(given: World) -> None:
    restrict, unrestrict = ("subjects", "restrict", "--email", KARI), ("subjects", "unrestrict", "--email", KARI)
    for number in (1, 2):  # each restriction is told of anew
        run(given, *restrict, "--reason", "claims")
        assert run(given, *unrestrict)["result"] == "telling"
        assert refusal(given, *unrestrict) == (4, "telling_under_way")
        assert given.check(KARI)["reason"] == "restricted"
        given.sign()
        while given.carry():
            pass
        mail = given.mails()[-1]
        assert (mail["To"], "tar slutt" in str(mail["Subject"])) == (KARI, True)
        told = [(leaf["reason"], leaf["source"]) for leaf in given.leaves() if leaf["kind"] == "subject.told"]
        assert told == [("restriction_ends", "mail")] * number
        assert run(given, *unrestrict)["result"] == "unrestricted"
    assert refusal(given, *unrestrict) == (4, "not_restricted")
