"""Rights requests: anybody may ask in anybody's name, and only the mailbox itself can make it theirs."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Row, select

from ledger import requests
from ledger.deadlines import due_at_ms
from ledger.links import REQUEST, Link, confirmations
from ledger.restriction import restrict
from ledger.retention import expire
from ledger.tables import link, relay, rights_request, subject, subject_address, vault
from schemas.entry import RIGHTS
from schemas.message import Dropped, Message, MessageType
from schemas.rights import RIGHT_NAMES
from tests.ledger.desk import DAY_MS, HOUR_MS, KARI, MINUTE_MS, NOW_MS, Desk, confirmation, sign_up, withdrawal
from tests.ledger.test_erasure import erase_kari
from tests.ledger.test_proof import carried, settle
from tests.ledger.test_request_answers import by_operators
from tests.ledger.test_restoration import Day
from tests.world import World

OLA = "ola@example.no"
WEEK_MS = 7 * DAY_MS


@pytest.fixture
def desk(any_world: World) -> Desk:
    any_world.policy = by_operators(any_world)
    return Desk(any_world)


def request(right: str = "access", email: str = KARI, **changes: Any) -> Message:
    return Message(type=MessageType.REQUEST, source="form:contact", email=email, right=right, **changes)


def asked(desk: Desk, email: str = KARI) -> list[Link]:
    with desk.database.read() as connection:
        return confirmations(connection, desk.handle(email), REQUEST)


def confirmed(desk: Desk, message: Message, at_ms: int) -> int:
    """Asked, and confirmed a minute later; returns when."""
    desk.say(message, at_ms)
    desk.say(confirmation(asked(desk, message.email or "")[-1]), at_ms + MINUTE_MS)
    return at_ms + MINUTE_MS


def rows(desk: Desk) -> list[Row[Any]]:
    with desk.database.read() as connection:
        return list(connection.execute(select(rights_request).order_by(rights_request.c.asked_at_ms)))


def statuses(desk: Desk) -> list[tuple[str, str]]:
    return [(row.right, row.status) for row in rows(desk)]


def leaves(desk: Desk, kind: str) -> list[dict[str, Any]]:
    return [leaf for leaf in desk.world.leaves() if leaf["kind"] == kind]


def test_every_right_has_a_name_in_both_languages() -> None:
    assert tuple(RIGHT_NAMES) == RIGHTS
    assert all(name.nb and name.en for name in RIGHT_NAMES.values())


def test_a_request_of_somebody_unknown_is_asked_and_keeps_the_address_alone(desk: Desk) -> None:
    profile, dropped = {"first_name": "Kari"}, (Dropped("other", "national_id"),)
    desk.say(request("erasure", profile=profile, dropped=dropped, language="en", method="mail"), NOW_MS)
    (received,) = leaves(desk, "request.received")
    handle = desk.handle()
    assert {name: received[name] for name in ("subject", "right", "source", "method", "basis")} == {
        "subject": handle.hex(),
        "right": "erasure",
        "source": "form:contact",
        "method": "mail",
        "basis": "legal_obligation",
    }
    assert desk.payloads() == [{"email": KARI}], "what else a stranger says about a person is not kept"
    (row,) = rows(desk)
    assert (row.id.hex(), row.subject, row.right, row.status) == (received["id"], handle, "erasure", "asked")
    assert (row.asked_at_ms, row.confirmed_at_ms, row.due_at_ms) == (NOW_MS, None, None)
    (question,) = asked(desk)
    assert (question.purposes, question.request_ids, question.status) == (("erasure",), (received["id"],), "open")
    (mail,) = desk.relays(processor="mail")
    assert (mail.action, mail.cause.hex(), mail.box) == ("request", received["id"], None)
    assert desk.kinds() == ["request.received", "minimisation.dropped"]
    assert (desk.check(), desk.problems()) == ("never_asked", [])


def test_a_confirmed_request_has_a_month_and_is_confirmed_once(desk: Desk) -> None:
    desk.give(KARI, NOW_MS - DAY_MS)
    at_ms = confirmed(desk, request(), NOW_MS)
    (received,), (said,) = leaves(desk, "request.received"), leaves(desk, "request.confirmed")
    assert (said["ref"], said["right"], said["subject"]) == (received["id"], "access", desk.handle().hex())
    assert (said["source"], said["method"], "commitment" in said) == ("link", "web_form", False)
    (row,) = rows(desk)
    assert (row.status, row.confirmed_at_ms, row.due_at_ms) == ("confirmed", at_ms, due_at_ms(at_ms, 1))
    before = desk.world.leaves()
    assert desk.say(confirmation(asked(desk)[0]), at_ms + 1) == []
    assert desk.world.leaves() == before
    assert (desk.check(), desk.problems()) == ("given", []), "a request is neither a consent nor a withdrawal"


def test_the_same_right_is_asked_once_in_ten_minutes_and_another_at_once(desk: Desk) -> None:
    for at_ms, right, email in (
        (0, "access", KARI),
        (1, "access", KARI),
        (2, "access", "kari+b@example.no"),
        (3, "erasure", KARI),
        (9 * MINUTE_MS, "access", KARI),
        (11 * MINUTE_MS, "access", KARI),
    ):
        desk.say(request(right, email), NOW_MS + at_ms)
    assert [question.purposes[0] for question in asked(desk)] == ["access", "erasure", "access"]
    assert asked(desk, "kari+b@example.no") == [], "the same mailbox"
    assert len(rows(desk)) == 6, "each was received"


def test_the_same_question_asked_before_needs_no_other_answer(desk: Desk) -> None:
    desk.say(request(), NOW_MS)
    desk.say(request("erasure"), NOW_MS)
    desk.say(request(), NOW_MS + HOUR_MS)
    older, erasure, newer = asked(desk)
    desk.say(confirmation(newer), NOW_MS + 2 * HOUR_MS)
    assert desk.say(confirmation(older), NOW_MS + 3 * HOUR_MS) == []
    assert len(desk.say(confirmation(erasure), NOW_MS + 3 * HOUR_MS)) == 1
    assert [row.status for row in rows(desk)].count("confirmed") == 2


def test_a_mailbox_that_said_stop_or_was_erased_gets_one_mail_a_day_in_all(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    erase_kari(desk)
    desk.say(withdrawal(OLA), NOW_MS)
    for email in (KARI, OLA):
        first_ms = NOW_MS + 2 * DAY_MS
        desk.say(request("access", email), first_ms)
        desk.say(request("erasure", email), first_ms + HOUR_MS)
        desk.say(sign_up(email), first_ms + 2 * HOUR_MS)
        desk.say(request("access", email.replace("@", "+a@")), first_ms + DAY_MS - 1)
        assert (len(asked(desk, email)), desk.asked(email)) == (1, [])
        desk.say(sign_up(email), first_ms + DAY_MS)
        assert len(desk.asked(email)) == 1
        desk.say(request("erasure", email), first_ms + DAY_MS + HOUR_MS)
        assert len(asked(desk, email)) == 1
    assert desk.problems() == []


def test_a_withdrawal_leaves_a_request_open_and_a_request_withdraws_nothing(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    desk.say(request("objection"), NOW_MS + HOUR_MS)
    assert desk.check() == "given"
    desk.say(withdrawal(), NOW_MS + 2 * HOUR_MS)
    assert len(desk.say(confirmation(asked(desk)[0]), NOW_MS + 3 * HOUR_MS)) == 1
    assert (desk.check(), statuses(desk)) == ("withdrawn", [("objection", "confirmed")])


def test_a_restricted_person_may_ask_and_confirm_and_nothing_is_opened_for_it(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    with desk.database.write() as connection:
        restrict(connection, desk.handle(), "claims", NOW_MS, "operator")
    confirmed(desk, request("erasure"), NOW_MS + HOUR_MS)
    assert statuses(desk) == [("erasure", "confirmed")]
    assert "payload.opened" not in desk.kinds()
    assert (desk.check(), desk.problems()) == ("restricted", [])


def test_an_unconfirmed_request_expires_and_with_it_whoever_is_known_by_nothing_else(desk: Desk) -> None:
    desk.give(OLA, NOW_MS)
    desk.say(request(), NOW_MS)
    desk.say(request(email=OLA), NOW_MS)
    late = asked(desk)[0]
    handle = desk.handle()
    assert expire(desk.database, desk.world.policy, NOW_MS + WEEK_MS) == (0, 0)
    assert expire(desk.database, desk.world.policy, NOW_MS + WEEK_MS + 1) == (1, 0)
    assert statuses(desk) == [("access", "expired"), ("access", "expired")]
    expired = leaves(desk, "request.expired")
    assert {leaf["ref"] for leaf in expired} == {row.id.hex() for row in rows(desk)}
    (ended,) = leaves(desk, "subject.expired")
    assert (ended["subject"], ended["source"], ended["reason"]) == (handle.hex(), "retention", "unconfirmed")
    assert [desk.count(table) for table in (subject, subject_address)] == [1, 1], "Ola has given, and stays"
    for question in (late, asked(desk, OLA)[0]):
        assert desk.say(confirmation(question), NOW_MS + WEEK_MS + 2) == []
    assert expire(desk.database, desk.world.policy, NOW_MS + 2 * WEEK_MS) == (0, 0)
    assert desk.problems() == []


def test_a_confirmation_counts_to_the_last_millisecond_and_then_keeps_the_person(desk: Desk) -> None:
    desk.say(request(), NOW_MS)
    desk.accept(desk.delivery(confirmation(asked(desk)[0]), "confirm:1"), NOW_MS + WEEK_MS)
    assert expire(desk.database, desk.world.policy, NOW_MS + WEEK_MS + HOUR_MS) == (0, 0), "it waits in the inbox"
    desk.world.record()
    assert expire(desk.database, desk.world.policy, NOW_MS + 10 * WEEK_MS) == (0, 0)
    (row,) = rows(desk)
    assert (row.status, row.due_at_ms, row.subject) == ("confirmed", due_at_ms(NOW_MS + WEEK_MS, 1), desk.handle())


def test_what_is_asked_about_is_not_deleted_before_the_answer(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    confirmed(desk, request(), NOW_MS + HOUR_MS)
    desk.say(withdrawal(), NOW_MS + DAY_MS)
    carried(desk)
    assert settle(desk, NOW_MS + 2 * DAY_MS) == (0, 0)


def test_after_an_erasure_a_request_leads_to_nobody(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    confirmed(desk, request("erasure"), NOW_MS + HOUR_MS)
    desk.say(request("access"), NOW_MS + 2 * HOUR_MS)
    handle, questions = desk.handle(), asked(desk)
    erase_kari(desk)
    assert [desk.count(table) for table in (subject, subject_address, vault, link)] == [0, 0, 0, 0]
    assert [(row.subject, row.status) for row in rows(desk)] == [(handle, "confirmed"), (handle, "asked")]
    for question in questions:
        assert desk.say(confirmation(question), NOW_MS + 3 * HOUR_MS) == []
    expire(desk.database, desk.world.policy, NOW_MS + 2 * WEEK_MS)
    assert statuses(desk) == [("erasure", "confirmed"), ("access", "expired")]
    assert desk.problems() == []


def test_the_standing_counts_what_must_be_answered(desk: Desk) -> None:
    desk.say(request("access", OLA), NOW_MS)
    first, last = (
        confirmed(desk, request(right), NOW_MS + at_ms) for right, at_ms in (("access", 0), ("erasure", WEEK_MS))
    )
    for now_ms, overdue in ((NOW_MS, 0), (due_at_ms(first, 1) + 1, 1), (due_at_ms(last, 1) + 1, 2)):
        with desk.database.read() as connection:
            standing = requests.standing(connection, now_ms)
        assert standing == requests.Standing(2, overdue, due_at_ms(first, 1))


def test_a_request_without_a_right_waits_for_somebody(desk: Desk) -> None:
    desk.accept(desk.delivery(replace(request(), right=None), "msg_1"), NOW_MS)
    desk.world.record()
    assert desk.world.statuses() == [("parked", "right_missing")]


def test_requests_and_their_deadlines_come_back_from_the_mirror(world: World) -> None:
    world.policy = by_operators(world)
    day = Day(world)
    day.desk.give(KARI, NOW_MS)
    day.desk.say(request("erasure"), NOW_MS)
    day.desk.say(request("objection"), NOW_MS)
    erasure = asked(day.desk)[0]
    day.back_up()
    day.desk.say(confirmation(erasure), NOW_MS + HOUR_MS)
    confirmed(day.desk, request("access"), NOW_MS + HOUR_MS)
    confirmed(day.desk, request("access", OLA), NOW_MS + HOUR_MS)  # the backup does not know him
    expire(world.database, world.policy, NOW_MS + WEEK_MS + 1)
    before = [row for row in rows(day.desk) if row.subject == day.desk.handle()]
    day.mirror_now()
    day.put_back()
    done = day.restore()
    assert (done["requests"], done["people_lost"]) == (5, 1)
    assert rows(day.desk) == before
    assert {row.status for row in before} == {"confirmed", "expired"}
    assert day.problems() == []


def test_a_mail_that_nobody_waits_for_any_more_is_not_written(desk: Desk) -> None:
    """Asked long ago, by a clock that is then far ahead of the one that runs the test: so it is too old here."""
    desk.say(request(), 1_000)
    desk.world.carry()
    assert desk.world.mails() == []
    with desk.database.read() as connection:
        (row,) = connection.execute(select(relay.c.status, relay.c.reason))
    assert (row.status, row.reason) == ("superseded", "not_asked_any_more")
