"""`flask requests`: what must be answered and until when, without an address unless the ledger says who looked."""

import json
from typing import Any

import pytest

from console.doctor.deadlines import requests
from console.doctor.finding import FAULT, OK, WARNING, Finding
from ledger.deadlines import due_at_ms, local_day
from ledger.links import REQUEST, confirmations
from schemas.message import Message, MessageType
from tests.ledger.desk import DAY_MS, KARI, Desk, confirmation
from tests.ledger.test_request_answers import by_operators
from tests.world import World
from workers.context import now_ms


@pytest.fixture
def desk(world: World) -> Desk:
    world.policy = by_operators(world)
    return Desk(world)


def ask(desk: Desk, right: str, at_ms: int, *, confirm: bool) -> None:
    desk.say(Message(MessageType.REQUEST, "form:contact", email=KARI, right=right), at_ms)
    if confirm:
        with desk.database.read() as connection:
            questions = confirmations(connection, desk.handle(), REQUEST)
        (question,) = [one for one in questions if one.purposes == (right,)]
        desk.say(confirmation(question), at_ms)


def listed(desk: Desk, *options: str) -> list[dict[str, Any]]:
    result = desk.world.command("requests", "list", *options, "--json")
    assert result.exit_code == 0, result.output
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def test_the_list_begins_with_what_is_most_urgent_and_names_nobody(desk: Desk) -> None:
    assert desk.world.command("requests", "list").stdout == "No requests.\n"
    now = now_ms()
    ask(desk, "access", now - 3 * DAY_MS, confirm=True)
    ask(desk, "objection", now - 2 * DAY_MS, confirm=False)
    ask(desk, "erasure", now - 40 * DAY_MS, confirm=True)
    rows = listed(desk)
    assert [row["right"] for row in rows] == ["erasure", "access", "objection"]
    due = due_at_ms(now - 3 * DAY_MS, 1)
    assert rows[1]["due"] == local_day(due).isoformat()
    assert rows[1]["days_left"] == (local_day(due) - local_day(now)).days
    assert rows[0]["days_left"] < 0
    assert (rows[2]["status"], rows[2]["due"], rows[2]["days_left"]) == ("asked", None, None)
    assert [row["right"] for row in listed(desk, "--status", "asked")] == ["objection"]
    assert listed(desk, "--status", "expired") == []
    assert "kari" not in desk.world.command("requests", "list").stdout


def test_one_request_is_shown_redacted_and_revealing_it_is_an_entry(desk: Desk) -> None:
    ask(desk, "access", now_ms(), confirm=True)
    (row,) = listed(desk)
    before = len(desk.world.leaves())
    shown = json.loads(desk.world.command("requests", "show", row["id"], "--json").stdout)
    assert row.items() <= shown.items()
    assert (shown["subject"], shown["addresses"]) == (desk.handle().hex(), ["k***@e***.no"])
    assert [entry["kind"] for entry in shown["entries"]] == ["request.received", "request.confirmed"]
    assert len(desk.world.leaves()) == before
    revealed = json.loads(desk.world.command("requests", "show", row["id"], "--reveal", "--json").stdout)
    assert revealed["addresses"] == [KARI]
    last = desk.world.leaves()[-1]
    assert (last["kind"], last["ref"], last["subject"]) == ("payload.revealed", row["id"], desk.handle().hex())


def test_a_request_of_an_erased_person_shows_nobody(desk: Desk) -> None:
    ask(desk, "erasure", now_ms(), confirm=True)
    desk.world.command("subjects", "erase", "--email", KARI, "--yes")
    (row,) = listed(desk)
    shown = json.loads(desk.world.command("requests", "show", row["id"], "--reveal", "--json").stdout)
    assert shown["addresses"] == []
    assert "payload.revealed" not in desk.kinds()


@pytest.mark.parametrize("name", ["00" * 16, "nobody"])
def test_what_is_no_request_is_not_found(desk: Desk, name: str) -> None:
    assert desk.world.command("requests", "show", name).exit_code == 1


def test_the_doctor_tells_what_is_due(desk: Desk) -> None:
    operator = desk.world.console.app.extensions["operator"]
    assert list(requests(operator)) == [Finding(OK, "requests", "none confirmed and due")]
    now = now_ms()
    for count, (right, at_ms, level) in enumerate(
        [("access", now, OK), ("objection", now - 27 * DAY_MS, WARNING), ("erasure", now - 40 * DAY_MS, FAULT)], 1
    ):
        ask(desk, right, at_ms, confirm=True)
        (told,) = requests(operator)
        next_due = local_day(due_at_ms(at_ms, 1))
        overdue = int(level == FAULT)
        assert told.level == level
        assert told.finding == f"{count} confirmed and due, the next on {next_due}, {overdue} overdue"
    assert told.finding in desk.world.command("doctor").stdout


def test_since_when_somebody_is_a_customer_stands_beside_the_answer_and_changes_nothing(desk: Desk) -> None:
    desk.world.give(KARI)
    desk.world.command("consents", "revoke", "--email", KARI, "--reason", "bounce")
    assert desk.world.check(KARI)["existing_customer_since"] is None
    desk.say(Message(MessageType.PURCHASE, "stripe", email=KARI, method="stripe", sent_at_ms=DAY_MS), now_ms())
    answer = desk.world.check(KARI)
    assert (answer["allowed"], answer["reason"]) == (False, "revoked")
    assert answer["existing_customer_since"] == "1970-01-02T00:00:00.000Z"
