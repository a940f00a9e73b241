"""What a person is told about a request: more time, a no, done with each recipient, and that a restriction ends."""

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from ledger.deadlines import due_at_ms, local_day
from ledger.recorder import DAY_MS
from ledger.request_answers import EXTENSION_REASONS, REFUSAL_REASONS, complete, extend, refuse
from ledger.restriction import restrict_as_asked
from ledger.tables import relay
from schemas.entry import RIGHTS
from schemas.policy_terms import Rights
from schemas.texts import day
from tests.ledger.desk import KARI, Desk, withdrawal
from tests.ledger.test_request_answers import ask, do
from tests.world import World, body_of
from workers.context import now_ms
from workers.mails.outcome import TOLD_WITHIN_MS

LANGUAGES = ("nb", "en")


@pytest.fixture
def desk(world: World) -> Desk:
    """Everything waits for an operator."""
    world.policy = replace(world.policy, rights=Rights(by_operator=RIGHTS))
    return Desk(world)


def letter(desk: Desk) -> tuple[str, str]:
    """Subject and text of the newest mail, its lines joined."""
    while desk.world.carry():
        pass
    mail = desk.world.mails()[-1]
    assert mail["To"] == KARI
    text = " ".join(body_of(mail).split())
    assert desk.world.policy.authority.url in text
    return str(mail["Subject"]), text


def test_more_time_says_why_and_until_when(desk: Desk) -> None:
    for reason in EXTENSION_REASONS:
        now = now_ms()
        request_id = ask(desk, "access" if reason == "complex" else "objection", now)
        do(desk, extend, request_id, reason, at_ms=now)
        subject, text = letter(desk)
        assert subject.startswith("Vi trenger mer tid")
        assert f"senest {day(due_at_ms(now, 3), 'nb')}." in text
        assert ("sammensatt" if reason == "complex" else "mange henvendelser") in text


def test_a_no_says_why_and_that_one_can_complain_and_go_to_court(desk: Desk) -> None:
    texts = set()
    for number, reason in enumerate(REFUSAL_REASONS):
        at_ms = now_ms() - (10 - number) * DAY_MS
        do(desk, refuse, ask(desk, "access", at_ms), reason, at_ms=at_ms)
        subject, text = letter(desk)
        assert subject.startswith("Svaret vårt er nei")
        assert "gå til domstolene" in text
        texts.add(text.partition("Grunnen er:")[2].partition("Er du ikke enig")[0])
    assert len(texts) == len(REFUSAL_REASONS), "each reason has words of its own"


def test_done_names_each_recipient_and_waits_for_them(desk: Desk) -> None:
    now = now_ms()
    request_id = ask(desk, "restriction", now)
    with desk.database.write() as connection:
        restrict_as_asked(connection, desk.recorder(now), desk.handle(), "claims", "operator")
    told = [row.processor for row in desk.relays() if row.action == "restrict"]
    assert told, "or nothing is tested"
    do(desk, complete, request_id, told=False, at_ms=now)
    with desk.database.write() as connection:  # the simulators are not there, so nothing answers by itself
        connection.execute(update(relay).where(relay.c.action == "restrict").values(next_attempt_at_ms=now + DAY_MS))
    while desk.world.carry():
        pass
    (waits,) = [row for row in desk.relays(processor="mail") if row.action == "outcome"]
    assert (waits.status, waits.reason) == ("pending", "processors_awaited")
    with desk.database.write() as connection:
        connection.execute(update(relay).where(relay.c.action == "restrict").values(status="confirmed"))
        connection.execute(update(relay).where(relay.c.action == "outcome").values(next_attempt_at_ms=now))
    assert letter(desk)[1].count(": gjort") == len(told)


def test_in_the_end_it_says_what_is_known(desk: Desk) -> None:
    now = now_ms() - TOLD_WITHIN_MS
    request_id = ask(desk, "restriction", now)
    with desk.database.write() as connection:
        restrict_as_asked(connection, desk.recorder(now), desk.handle(), "claims", "operator")
    do(desk, complete, request_id, told=False, at_ms=now)
    with desk.database.write() as connection:
        is_told = (relay.c.action == "restrict") & (relay.c.processor == "stripe")
        connection.execute(update(relay).where(relay.c.action == "restrict").values(status="parked"))
        connection.execute(update(relay).where(is_told).values(status="confirmed"))
    subject, text = letter(desk)
    assert subject.startswith("Svar på henvendelsen")
    assert text.count("ikke ennå, vi følger det opp") == sum(
        1 for row in desk.relays() if row.action == "restrict" and row.status == "parked"
    )
    assert text.count(": gjort") == sum(
        1 for row in desk.relays() if row.action == "restrict" and row.status == "confirmed"
    )


def test_a_letter_that_waits_holds_up_no_other(desk: Desk) -> None:
    now = now_ms()
    request_id = ask(desk, "restriction", now)
    with desk.database.write() as connection:
        restrict_as_asked(connection, desk.recorder(now), desk.handle(), "claims", "operator")
    do(desk, complete, request_id, told=False, at_ms=now)
    desk.world.carry()
    assert not any("Svar på" in str(mail["Subject"]) for mail in desk.world.mails())
    desk.say(withdrawal(), now)
    desk.world.sign()
    desk.world.carry()
    assert "Kvittering" in str(desk.world.mails()[-1]["Subject"])


def run(desk: Desk, *arguments: str) -> dict[str, Any]:
    result = desk.world.command("requests", *arguments, "--json")
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_what_is_asked_by_telephone_is_asked_again_by_mail_or_confirmed_at_once(desk: Desk) -> None:
    run(desk, "enter", "--email", KARI, "--right", "access", "--source", "phone")
    assert desk.kinds() == ["request.received"]
    assert [row.action for row in desk.relays(processor="mail")] == ["request"]
    run(desk, "enter", "--email", KARI, "--right", "erasure", "--source", "in_person", "--identity-checked")
    assert desk.kinds() == ["request.received", "request.received", "request.confirmed"]
    assert [row.action for row in desk.relays(processor="mail")] == ["request"], "whoever was seen is not asked"
    last = desk.world.leaves()[-1]
    assert (last["method"], last["source"], last["right"]) == ("operator", "in_person", "erasure")
    assert desk.problems() == []


def test_the_commands_extend_refuse_and_complete(desk: Desk) -> None:
    now = now_ms()
    access, objection, portability = (ask(desk, one, now).hex() for one in ("access", "objection", "portability"))
    run(desk, "extend", access, "--reason", "complex")
    run(desk, "refuse", objection, "--reason", "claims")
    run(desk, "complete", portability, "--told")
    (open_,) = json.loads(desk.world.command("requests", "list", "--json").stdout)
    assert (open_["id"], open_["due"], open_["reason"]) == (
        access,
        local_day(due_at_ms(now, 3)).isoformat(),
        "complex",
    )
    (refused,) = json.loads(desk.world.command("requests", "list", "--status", "refused", "--json").stdout)
    assert (refused["id"], refused["reason"], refused["days_left"]) == (objection, "claims", None)
    again = desk.world.command("requests", "refuse", objection, "--reason", "claims")
    assert (again.exit_code, again.stderr.strip().endswith("request_not_confirmed")) == (4, True)


def test_what_waits_for_an_operator_is_carried_out_by_a_command(desk: Desk) -> None:
    access, objection, rectification = (
        ask(desk, one, now_ms()).hex() for one in ("access", "objection", "rectification")
    )
    assert run(desk, "answer", access) == {"result": "under_way", "request": access, "right": "access"}
    assert run(desk, "answer", objection)["right"] == "objection"
    for request_id, reason in (
        (access, "answer_under_way"),
        (objection, "request_not_confirmed"),
        (rectification, "not_done_by_itself"),
    ):
        refused = desk.world.command("requests", "answer", request_id)
        assert (refused.exit_code, refused.stderr.strip().startswith(reason)) == (4, True), refused.output
    assert "request.completed" in desk.kinds()
    assert desk.problems() == []
