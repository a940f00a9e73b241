"""The operator is reminded of what is due: at each step once, and of nobody by name."""

from dataclasses import replace
from pathlib import Path

import pytest

from schemas.entry import RIGHTS
from schemas.policy_terms import Rights
from tests.ledger.desk import DAY_MS, KARI, Desk
from tests.ledger.test_request_answers import ask
from tests.world import World, body_of, settings_for
from workers.context import now_ms
from workers.deadline_mails import remind_operator


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    world = World(settings_for(tmp_path, operator_mail_to="drift@example.no"))
    world.policy = replace(world.policy, rights=Rights(by_operator=RIGHTS))
    return Desk(world)


def test_each_step_is_told_once_and_an_answered_request_never(desk: Desk) -> None:
    now = now_ms()
    request_id = ask(desk, "access", now)
    context = desk.world.context("clock")
    told = [day for day in range(40) if remind_operator(context, now + day * DAY_MS)]
    assert len(told) == 5  # 14, 7, 3, 1 days left, and overdue
    mails = [mail for mail in desk.world.mails() if mail["To"] == "drift@example.no"]
    assert len(mails) == 5
    text = " ".join(body_of(mail) for mail in mails)
    assert request_id.hex() in text
    assert "overdue" in text
    assert KARI not in text


def test_without_a_mailbox_nobody_is_told(world: World) -> None:
    assert remind_operator(world.context("clock"), now_ms()) == 0
