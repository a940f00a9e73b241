"""What is said by telephone has the result of what is said by form."""

import json

import pytest

from tests.world import World

KARI = "kari@example.no"


@pytest.mark.parametrize("source", ["phone", "mail", "in_person"])
def test_a_yes_by_telephone_ends_as_a_yes_by_form(world: World, source: str) -> None:
    for purpose in world.policy.purposes:
        by_form, by_phone = f"form-{purpose}@example.no", f"phone-{purpose}@example.no"
        world.give(by_form, **{purpose: "yes"})
        entered = world.command("consents", "enter", "--email", by_phone, "--purpose", purpose, "--source", source)
        assert entered.exit_code == 0, entered.output
        assert world.check(by_phone, purpose)["reason"] == "requested"
        world.sign()
        world.carry()
        assert world.confirm().status_code == 200
        world.record()
        for other in world.policy.purposes:
            assert world.check(by_phone, other)["reason"] == world.check(by_form, other)["reason"]
    said = [leaf for leaf in world.leaves() if leaf["kind"] == "consent.requested" and leaf["method"] == "operator"]
    assert {leaf["source"] for leaf in said} == {source}


def test_a_withdrawal_by_telephone_stops_at_once_whom_we_know_and_whom_we_do_not(world: World) -> None:
    world.give(KARI, newsletter="yes", offers="yes")
    done = world.command("consents", "withdraw", "--email", KARI, "--purpose", "offers", "--source", "phone", "--json")
    assert json.loads(done.stdout)["purposes"] == ["offers"]
    assert world.check(KARI, "offers")["reason"] == "withdrawn"
    assert world.check(KARI, "newsletter")["reason"] == "given"
    assert world.command("consents", "withdraw", "--email", "ola@example.no", "--source", "phone").exit_code == 0
    assert world.check("ola@example.no")["reason"] == "suppressed"


def test_what_the_policy_does_not_have_is_refused(world: World) -> None:
    refused = world.command("consents", "enter", "--email", KARI, "--purpose", "parties", "--source", "phone")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("purpose_unknown: one of newsletter")


def test_a_role_is_told_from_a_person(world: World) -> None:
    assert world.check("post@example.no")["mailbox"] == "role"
    assert world.check("kari.post@example.no")["mailbox"] == "person"
