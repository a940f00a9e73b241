"""What becomes of a confirmed request: extended once and in time, refused with a reason, done; and only once."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Row, select

from ledger import request_answers, requests
from ledger.deadlines import due_at_ms
from ledger.errors import NotFoundError, RefusedError
from ledger.links import REQUEST, confirmations
from ledger.log import lock_head
from ledger.tables import rights_request
from schemas.entry import RIGHTS
from schemas.message import Message, MessageType
from schemas.policy import Policy
from schemas.policy_terms import Rights
from tests.ledger.desk import DAY_MS, HOUR_MS, KARI, NOW_MS, Desk, confirmation
from tests.ledger.test_restoration import Day
from tests.world import World


@pytest.fixture
def desk(any_world: World) -> Desk:
    any_world.policy = by_operators(any_world)
    return Desk(any_world)


def by_operators(world: World) -> Policy:
    """Everything waits for an operator."""
    return replace(world.policy, rights=Rights(by_operator=RIGHTS))


def ask(desk: Desk, right: str, at_ms: int = NOW_MS, *, confirm: bool = True) -> bytes:
    """Returns the id of the request."""
    desk.say(Message(MessageType.REQUEST, "form:contact", email=KARI, right=right), at_ms)
    with desk.database.read() as connection:
        *_, question = [one for one in confirmations(connection, desk.handle(), REQUEST) if one.purposes == (right,)]
    if confirm:
        desk.say(confirmation(question), at_ms)
    return bytes.fromhex(question.request_ids[0])


def do(desk: Desk, deed: Any, request_id: bytes, *arguments: str, at_ms: int = NOW_MS + HOUR_MS, **options: Any) -> int:
    with desk.database.write() as connection:
        lock_head(connection)
        return int(deed(connection, desk.recorder(at_ms), request_id, *arguments, **options))


def row(desk: Desk, request_id: bytes) -> Row[Any]:
    with desk.database.read() as connection:
        return connection.execute(select(rights_request).where(rights_request.c.id == request_id)).one()


def standing(desk: Desk) -> requests.Standing:
    with desk.database.read() as connection:
        return requests.standing(connection, NOW_MS)


def letters(desk: Desk) -> list[str]:
    return [relay.action for relay in desk.relays(processor="mail") if relay.action != "request"]


def test_an_extension_counts_from_the_confirmation_and_is_told(desk: Desk) -> None:
    request_id = ask(desk, "access")
    position = do(desk, request_answers.extend, request_id, "complex")
    leaf = desk.world.leaves()[position]
    assert {name: leaf[name] for name in ("kind", "right", "reason", "count", "ref")} == {
        "kind": "request.extended",
        "right": "access",
        "reason": "complex",
        "count": 2,
        "ref": request_id.hex(),
    }
    found = row(desk, request_id)
    assert (found.status, found.reason, found.extended_at_ms) == ("confirmed", "complex", NOW_MS + HOUR_MS)
    assert found.due_at_ms == due_at_ms(NOW_MS, 3)
    assert letters(desk) == ["extension"]
    with pytest.raises(RefusedError, match="already_extended"):
        do(desk, request_answers.extend, request_id, "complex")
    assert (standing(desk).confirmed, desk.problems()) == (1, [])


def test_after_the_first_month_nothing_is_extended(desk: Desk) -> None:
    request_id = ask(desk, "access")
    due = due_at_ms(NOW_MS, 1)
    before = desk.world.leaves()
    with pytest.raises(RefusedError, match="extension_too_late"):
        do(desk, request_answers.extend, request_id, "complex", at_ms=due + 1)
    assert desk.world.leaves() == before
    do(desk, request_answers.extend, request_id, "complex", at_ms=due)


def test_what_is_refused_or_completed_is_ended_once(desk: Desk) -> None:
    refused, completed, answered = ask(desk, "access"), ask(desk, "objection"), ask(desk, "portability")
    do(desk, request_answers.refuse, refused, "excessive")
    do(desk, request_answers.complete, completed, told=False)
    do(desk, request_answers.complete, answered)
    assert (row(desk, refused).status, row(desk, refused).reason) == ("refused", "excessive")
    assert (row(desk, completed).status, row(desk, completed).ended_at_ms) == ("completed", NOW_MS + HOUR_MS)
    assert letters(desk) == ["refusal", "outcome"], "the mail with the answer says it itself"
    assert standing(desk) == requests.Standing(0, 0, None)
    for request_id in (refused, completed):
        for deed, reasons in (
            (request_answers.extend, ("complex",)),
            (request_answers.refuse, ("excessive",)),
            (request_answers.complete, ()),
        ):
            with pytest.raises(RefusedError, match="request_not_confirmed"):
                do(desk, deed, request_id, *reasons)
    assert desk.problems() == []


def test_only_what_the_person_has_confirmed_is_ended(desk: Desk) -> None:
    with pytest.raises(RefusedError, match="request_not_confirmed"):
        do(desk, request_answers.complete, ask(desk, "access", confirm=False))
    with pytest.raises(NotFoundError, match="request_not_found"):
        do(desk, request_answers.complete, b"\x00" * 16)


def test_a_restore_brings_back_how_requests_ended(world: World) -> None:
    world.policy = by_operators(world)
    day = Day(world)
    extended, refused, completed = (ask(day.desk, right) for right in ("access", "objection", "portability"))
    day.back_up()
    do(day.desk, request_answers.extend, extended, "many_requests")
    do(day.desk, request_answers.refuse, refused, "claims")
    do(day.desk, request_answers.complete, completed)
    before = [tuple(row(day.desk, one)) for one in (extended, refused, completed)]
    day.desk.say(Message(MessageType.REQUEST, "form:contact", email=KARI, right="erasure"), NOW_MS + DAY_MS)
    day.mirror_now()
    day.put_back()
    assert row(day.desk, refused).status == "confirmed"
    day.restore()
    assert [tuple(row(day.desk, one)) for one in (extended, refused, completed)] == before
