"""What has had its time is shredded, nothing else is, and the ledger still verifies."""

from functools import partial

import pytest
from sqlalchemy import select

from ledger.audit import audit
from ledger.note import NoteVerifier
from ledger.retention import expire
from ledger.tables import inbox, link, subject, subject_address, vault
from schemas.message import Decision, Message, MessageType
from tests.ledger.desk import (
    DAY_MS,
    HOUR_MS,
    NOW_MS,
    Desk,
    confirmation,
    link_withdrawal,
    meanwhile,
    sign_up,
    withdrawal,
)
from tests.world import World

WEEK_MS = 7 * DAY_MS


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


def expired(desk: Desk, at_ms: int) -> tuple[int, int]:
    return expire(desk.database, desk.world.policy, at_ms)


def test_an_unconfirmed_request_is_shredded_after_seven_days(any_world: World) -> None:
    desk = Desk(any_world)
    desk.say(sign_up("kari@example.no", "newsletter", "offers"), NOW_MS)
    handle = desk.handle()
    assert expired(desk, NOW_MS + WEEK_MS) == (0, 0)
    assert expired(desk, NOW_MS + WEEK_MS + 1) == (1, 0)
    assert [desk.count(table) for table in (vault, link, subject, subject_address)] == [0, 0, 0, 0]
    assert desk.check() == "never_asked"
    leaves = [leaf for leaf in any_world.leaves() if leaf["kind"] == "consent.expired"]
    assert [(leaf["subject"], leaf["purpose"]) for leaf in leaves] == [
        (handle.hex(), "newsletter"),
        (handle.hex(), "offers"),
    ]
    assert expired(desk, NOW_MS + 2 * WEEK_MS) == (0, 0)


def test_a_shredded_ledger_still_verifies(desk: Desk) -> None:
    desk.say(sign_up("kari@example.no"), NOW_MS)
    desk.give("ola@example.no", NOW_MS)
    desk.world.sign()
    expired(desk, NOW_MS + WEEK_MS + HOUR_MS)
    desk.world.sign()
    with desk.database.read() as connection:
        verifiers = [NoteVerifier.from_vkey(desk.world.signer.vkey)]
        report = audit(connection, verifiers, kek=desk.keyring["kek"])
    assert (report.problems, report.checkpoints, report.boxes) == ([], 2, 1)


def test_a_refusal_expires_too(desk: Desk) -> None:
    refused = (Decision("newsletter", "refused"),)
    desk.say(Message(MessageType.SIGN_UP, "form:newsletter", email="kari@example.no", decisions=refused), NOW_MS)
    assert expired(desk, NOW_MS + WEEK_MS + 1) == (1, 0)


def test_whoever_has_given_or_withdrawn_is_kept(desk: Desk) -> None:
    desk.give("kari@example.no", NOW_MS)
    desk.say(sign_up("ola@example.no"), NOW_MS)
    desk.say(withdrawal("ola@example.no"), NOW_MS)
    assert expired(desk, NOW_MS + 100 * DAY_MS) == (0, 0)
    assert [desk.check("kari@example.no"), desk.check("ola@example.no")] == ["given", "withdrawn"]


def test_whoever_asked_again_is_kept_for_seven_days_from_then(desk: Desk) -> None:
    desk.say(sign_up(), NOW_MS)
    desk.say(sign_up(), NOW_MS + 5 * DAY_MS)
    assert expired(desk, NOW_MS + WEEK_MS + DAY_MS) == (0, 0)
    desk.say(confirmation(desk.asked()[-1]), NOW_MS + 11 * DAY_MS)
    assert desk.check() == "given"


def test_after_shredding_the_same_person_is_somebody_new(desk: Desk) -> None:
    desk.say(sign_up(), NOW_MS)
    before = desk.handle()
    expired(desk, NOW_MS + WEEK_MS + 1)
    desk.say(sign_up(), NOW_MS + WEEK_MS + HOUR_MS)
    assert desk.handle() != before


@pytest.mark.parametrize("recorded_first", [True, False])
def test_a_confirmation_in_time_counts_however_late_it_is_recorded(desk: Desk, recorded_first: bool) -> None:
    desk.say(sign_up(), NOW_MS)
    message = confirmation(desk.asked()[-1])
    desk.accept(desk.delivery(message, "confirm:1"), NOW_MS + WEEK_MS)
    if recorded_first:
        desk.world.record()
    assert expired(desk, NOW_MS + WEEK_MS + HOUR_MS) == (0, 0), "accepted in time, so answered 200, so kept"
    desk.world.record()
    assert desk.check() == "given"


def test_a_withdrawal_that_waits_keeps_whom_it_concerns(desk: Desk) -> None:
    desk.say(sign_up(), NOW_MS)
    delivery = desk.link_delivery(desk.withdraw_link("kari@example.no", NOW_MS), desk.handle())
    desk.accept(delivery, NOW_MS + WEEK_MS + DAY_MS)
    assert expired(desk, NOW_MS + WEEK_MS + 2 * DAY_MS) == (0, 0)
    desk.world.record()
    assert desk.check() == "withdrawn"


def test_a_confirmation_that_is_being_recorded_is_not_shredded_under_it(any_world: World) -> None:
    desk = Desk(any_world)
    desk.say(sign_up(), NOW_MS)
    message = confirmation(desk.asked()[-1])
    with meanwhile(desk.database, partial(expired, desk, NOW_MS + WEEK_MS + HOUR_MS)) as connection:
        desk.say_in(connection, message, NOW_MS + WEEK_MS)
    assert desk.check() == "given"
    assert "consent.expired" not in desk.kinds()


def test_a_sign_up_of_somebody_who_is_being_shredded_is_recorded(any_world: World) -> None:
    desk = Desk(any_world)
    desk.say(sign_up(), NOW_MS)
    shred = partial(expired, desk, NOW_MS + WEEK_MS + HOUR_MS)
    desk.accept(desk.delivery(sign_up("kari@example.no", "offers"), "msg_2"), NOW_MS + 2 * WEEK_MS)
    with meanwhile(desk.database, shred) as connection:
        desk.say_in(connection, sign_up(), NOW_MS + WEEK_MS + HOUR_MS)
    any_world.record()
    assert any_world.statuses() == [("recorded", None)]
    assert [desk.check(), desk.check(purpose="offers")] == ["requested", "requested"]


def test_a_parked_body_is_wiped_after_thirty_days(desk: Desk) -> None:
    desk.accept(desk.delivery(sign_up("kari@example.no"), "msg_1"), NOW_MS)
    desk.accept(desk.delivery(sign_up("ola@example.no"), "msg_1"), NOW_MS)
    assert expired(desk, NOW_MS + 30 * DAY_MS) == (0, 0)
    assert expired(desk, NOW_MS + 30 * DAY_MS + 1) == (0, 1)
    with desk.database.read() as connection:
        rows = list(connection.execute(select(inbox.c.status, inbox.c.box.is_(None).label("wiped"))))
    assert [(row.status, bool(row.wiped)) for row in rows] == [("new", False), ("parked", True)]
    assert expired(desk, NOW_MS + 31 * DAY_MS) == (0, 0)


def test_the_link_of_a_shredded_person_does_nothing(desk: Desk) -> None:
    desk.say(sign_up(), NOW_MS)
    link_id = desk.withdraw_link("kari@example.no", NOW_MS)
    question = desk.asked()[-1]
    expired(desk, NOW_MS + WEEK_MS + 1)
    assert desk.say(link_withdrawal(link_id), NOW_MS + WEEK_MS + 2) == []
    assert desk.say(confirmation(question), NOW_MS + WEEK_MS + 2) == []
