"""Withdrawals reach everybody whom they may mean, and stay when nobody is known."""

import pytest
from sqlalchemy import select

from ledger.sealing import unseal_versioned
from ledger.tables import relay, subject, suppression
from ledger.withdrawal import revoke
from tests.ledger.desk import (
    DAY_MS,
    HOUR_MS,
    KARI,
    MINUTE_MS,
    NOW_MS,
    Desk,
    confirmation,
    link_withdrawal,
    sign_up,
    unconfirmed,
    withdrawal,
)
from tests.world import World


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


def test_a_withdrawal_covers_every_purpose_and_every_processor(desk: Desk) -> None:
    desk.give("kari@example.no", NOW_MS)
    desk.say(withdrawal(), NOW_MS + HOUR_MS)
    assert {desk.check(purpose=key) for key in desk.world.policy.purposes} == {"withdrawn"}
    carried = desk.relays(action="withdraw")
    assert {row.processor for row in carried} == set(desk.world.policy.processors)
    assert all((row.urgent, row.purposes.split(",")) == (1, list(desk.world.policy.purposes)) for row in carried)


def test_a_withdrawal_of_one_purpose_leaves_the_others(desk: Desk) -> None:
    desk.give("kari@example.no", NOW_MS, "newsletter", "offers")
    desk.say(withdrawal("kari@example.no", "offers"), NOW_MS + HOUR_MS)
    assert [desk.check(), desk.check(purpose="offers")] == ["given", "withdrawn"]


@pytest.mark.parametrize("spelling", ["kari+news@example.no", "KARI@example.no", "kari+a+b@EXAMPLE.NO"])
def test_a_withdrawal_matches_wide(desk: Desk, spelling: str) -> None:
    desk.give("kari@example.no", NOW_MS)
    desk.give("karin@example.no", NOW_MS)
    desk.say(withdrawal(spelling), NOW_MS + HOUR_MS)
    assert [desk.check("kari@example.no"), desk.check("karin@example.no")] == ["withdrawn", "given"]


def test_a_withdrawal_reaches_every_spelling_that_is_known(desk: Desk) -> None:
    desk.give("kari@example.no", NOW_MS)
    desk.give("kari+news@example.no", NOW_MS)
    desk.say(withdrawal("kari+other@example.no"), NOW_MS + HOUR_MS)
    assert [desk.check("kari@example.no"), desk.check("kari+news@example.no")] == ["withdrawn", "withdrawn"]


def test_a_withdrawal_by_link_matches_wide_too(desk: Desk) -> None:
    desk.give("kari@example.no", NOW_MS)
    desk.give("kari+news@example.no", NOW_MS)
    desk.say(link_withdrawal(desk.withdraw_link("kari@example.no", NOW_MS)), NOW_MS + HOUR_MS)
    assert [desk.check("kari@example.no"), desk.check("kari+news@example.no")] == ["withdrawn", "withdrawn"]


def test_a_wide_match_is_told_at_its_own_address_and_both_spellings_are_carried(desk: Desk) -> None:
    world = desk.world
    world.give("kari@example.no")
    world.post_signed("withdrawal", {"email": "kari+other@example.no"})
    world.record()
    world.sign()
    world.carry()
    assert world.mails()[-1]["To"] == "kari@example.no", "what a wide match reveals, it reveals to nobody else"
    assert {row.reason for row in desk.relays(action="withdraw")} == {None}
    assert {payload.get("email") for payload in desk.payloads()} == {"kari@example.no", None}
    assert "kari+other@example.no" in {payload.get("spelling") for payload in desk.payloads()}


def test_the_withdrawal_of_an_unknown_address_is_a_suppression_and_is_carried(desk: Desk) -> None:
    desk.say(withdrawal("ola@example.no"), NOW_MS)
    assert desk.check("ola@example.no") == "suppressed"
    assert desk.check("ola+news@example.no") == "suppressed"
    assert desk.check("kari@example.no") == "never_asked"
    assert desk.count(subject) == 0
    kek = desk.keyring["kek"]
    carried = desk.relays(action="withdraw")
    assert {row.processor for row in carried} == set(desk.world.policy.processors)
    assert {unseal_versioned(kek, row.box, row.id) for row in carried} == {b"ola@example.no"}
    assert all("commitment" not in leaf for leaf in desk.world.leaves())


def test_a_suppression_never_steps_back(desk: Desk) -> None:
    desk.say(withdrawal("ola@example.no"), NOW_MS)
    desk.say(withdrawal("ola@example.no", sent_at_ms=NOW_MS - DAY_MS), NOW_MS + 1)
    with desk.database.read() as connection:
        assert set(connection.execute(select(suppression.c.effective_at_ms)).scalars()) == {NOW_MS}


def test_a_suppressed_address_is_asked_once_a_day_and_its_confirmation_lifts_it(desk: Desk) -> None:
    desk.say(withdrawal("ola@example.no"), NOW_MS)
    for hours in (1, 2, 24, 26):
        desk.say(sign_up("ola@example.no"), NOW_MS + hours * HOUR_MS)
    asked = desk.asked("ola@example.no")
    assert [link.created_at_ms - NOW_MS for link in asked] == [HOUR_MS, 26 * HOUR_MS]
    assert desk.check("ola@example.no") == "suppressed"
    desk.say(confirmation(asked[-1]), NOW_MS + 27 * HOUR_MS)
    assert desk.check("ola@example.no") == "given"
    assert desk.check("ola@example.no", "offers") == "suppressed"


def test_spellings_do_not_get_round_the_one_mail_a_day(desk: Desk) -> None:
    desk.say(withdrawal("ola@example.no"), NOW_MS)
    for number in range(5):
        desk.say(sign_up(f"ola+{number}@example.no"), NOW_MS + HOUR_MS + number * MINUTE_MS)
    assert len(desk.relays(action="confirmation")) == 1


def test_a_known_person_who_withdrew_is_asked_once_a_day_whatever_the_spelling(desk: Desk) -> None:
    desk.give("kari@example.no", NOW_MS - 10 * DAY_MS)
    desk.say(withdrawal(), NOW_MS)
    for number in range(5):
        desk.say(sign_up(f"kari+{number}@example.no"), NOW_MS + HOUR_MS + number * MINUTE_MS)
    assert len([row for row in desk.relays(action="confirmation") if row.created_at_ms > NOW_MS]) == 1


@pytest.mark.parametrize("spelling", ["ola@example.no", "ola+news@example.no"])
def test_a_sign_up_older_than_a_suppression_asks_nothing(desk: Desk, spelling: str) -> None:
    # Withdrawals are recorded first, so this is what a sign-up and a withdrawal right after it look like.
    desk.say(withdrawal("ola@example.no"), NOW_MS)
    desk.say(sign_up(spelling, sent_at_ms=NOW_MS - MINUTE_MS), NOW_MS + 1)
    assert desk.asked(spelling) == []
    assert desk.check(spelling) == "suppressed"


def test_a_sign_up_older_than_the_withdrawal_of_another_spelling_asks_nothing(desk: Desk) -> None:
    desk.give("kari@example.no", NOW_MS - DAY_MS)
    desk.say(withdrawal("kari@example.no"), NOW_MS)
    desk.say(sign_up("kari+news@example.no", sent_at_ms=NOW_MS - MINUTE_MS), NOW_MS + 1)
    assert desk.asked("kari+news@example.no") == []


def test_a_late_withdrawal_does_not_undo_a_newer_confirmation(desk: Desk) -> None:
    desk.give("kari@example.no", NOW_MS)
    desk.say(withdrawal(sent_at_ms=NOW_MS - HOUR_MS), NOW_MS + HOUR_MS)
    assert desk.check() == "given"


def test_a_withdrawal_closes_every_open_question(desk: Desk) -> None:
    desk.say(sign_up(), NOW_MS)
    desk.say(sign_up("kari@example.no", "offers"), NOW_MS + 1)
    desk.say(withdrawal("kari+x@example.no"), NOW_MS + 2)
    assert {link.status for link in desk.asked()} == {"closed"}


def test_relays_of_one_withdrawal_are_one_per_processor_and_person(desk: Desk) -> None:
    desk.give("kari@example.no", NOW_MS)
    desk.give("kari+news@example.no", NOW_MS)
    desk.say(withdrawal(), NOW_MS + HOUR_MS)
    carried = desk.relays(action="withdraw")
    assert len(carried) == 2 * len(desk.world.policy.processors)
    assert len({(row.subject, row.processor) for row in carried}) == len(carried)
    others = len(desk.relays(processor="mail")) + len(desk.relays(action="give"))
    assert desk.count(relay) == len(carried) + others


def test_a_newer_withdrawal_of_another_spelling_stops_an_older_grant_that_comes_late(desk: Desk) -> None:
    unconfirmed(desk.world)
    desk.say(sign_up("kari@example.no"), NOW_MS - DAY_MS)
    desk.say(withdrawal("kari@example.no"), NOW_MS)
    desk.say(sign_up("kari+news@example.no", sent_at_ms=NOW_MS), NOW_MS + 1)
    assert desk.check("kari+news@example.no") == "withdrawn"
    desk.say(sign_up("kari+news@example.no"), NOW_MS + HOUR_MS)
    assert desk.check("kari+news@example.no") == "given"


def test_a_grant_that_was_overtaken_stays_so_when_the_other_spelling_says_yes_again(desk: Desk) -> None:
    unconfirmed(desk.world)
    desk.say(sign_up("kari+news@example.no"), NOW_MS - DAY_MS)
    desk.say(withdrawal("kari@example.no"), NOW_MS)
    desk.say(sign_up("kari@example.no", sent_at_ms=NOW_MS - MINUTE_MS), NOW_MS + 1)
    given, withdrawn = desk.world.leaves()[-2:]
    assert (withdrawn["kind"], withdrawn["ref"], withdrawn["subject"]) == (
        "consent.withdrawn",
        given["id"],
        given["subject"],
    )
    desk.say(sign_up("kari+news@example.no"), NOW_MS + HOUR_MS)
    assert [desk.check("kari+news@example.no"), desk.check("kari@example.no")] == ["given", "withdrawn"]


def test_who_was_revoked_is_stopped_and_may_say_yes_again(any_world: World) -> None:
    desk = Desk(any_world)
    desk.give(KARI, NOW_MS, "newsletter", "offers")
    handle = desk.handle()
    with desk.database.write() as connection:
        revoke(connection, desk.recorder(NOW_MS + HOUR_MS), handle, ("newsletter",), "bounce")
    assert (desk.check(), desk.check(purpose="offers")) == ("revoked", "given")
    assert {row.processor for row in desk.relays(action="withdraw")} == set(any_world.policy.processors)
    desk.say(sign_up(sent_at_ms=NOW_MS), NOW_MS + 2 * DAY_MS)
    assert desk.check() == "revoked", "an older yes overturns no revocation"
    desk.give(KARI, NOW_MS + 4 * DAY_MS)
    assert desk.check() == "given"
    assert desk.problems() == []
