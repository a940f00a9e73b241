"""The answer to an erasure can be asked for again, by the random number that only a receipt knows."""

import pytest

from ledger.erasure_answer import erasure_answer
from ledger.errors import NotFoundError
from tests.ledger.desk import KARI, NOW_MS, Desk
from tests.ledger.test_erasure import erase_kari
from tests.world import World


def test_it_names_each_recipient_and_what_is_left_for_whoever_knows_the_number(any_world: World) -> None:
    desk = Desk(any_world)
    desk.give(KARI, NOW_MS)
    handle, policy = desk.handle(), desk.world.policy
    for wrong in (handle, b"\x00" * 16):
        with desk.database.read() as connection, pytest.raises(NotFoundError, match="erasure_not_found"):
            erasure_answer(connection, policy, wrong)
    erase_kari(desk)
    with desk.database.read() as connection:
        answer = erasure_answer(connection, policy, handle)
    assert answer.standing.subject == handle
    assert {one.processor for one in answer.standing.answers} == set(policy.processors)
    residual = [copy.what for processor in policy.processors.values() for copy in processor.residual]
    assert [copy.what for copy in answer.copies] == residual
    assert {copy.until_ms for copy in answer.copies} == {None}, "no date before the processor has answered"
