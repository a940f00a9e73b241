"""The inbox: one row per delivery whatever arrives at once, and time that never steps back."""

from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import Row, select

from ledger.errors import KeyringError, SealError
from ledger.inbox import SAME_CONTENT_WINDOW_MS, Acceptance, open_box, park
from ledger.keyring import load_keyring
from ledger.tables import inbox
from schemas.message import parse_message
from tests.ledger.desk import HOUR_MS, NOW_MS, Desk, at_once, confirmation, sign_up, withdrawal
from tests.ledger.rotating import left_behind, nothing, rotation
from tests.world import World

ACCEPTED, DUPLICATE, CONFLICT = Acceptance.ACCEPTED, Acceptance.DUPLICATE, Acceptance.CONFLICT


def rows(desk: Desk) -> list[Row[tuple[object, ...]]]:
    with desk.database.read() as connection:
        return list(connection.execute(select(inbox).order_by(inbox.c.id)))


def test_fifty_of_one_id_at_once_are_one_row_and_one_entry(any_world: World) -> None:
    desk = Desk(any_world)
    delivery = desk.delivery(sign_up(), "msg_1")
    outcomes = at_once([partial(desk.accept, delivery, NOW_MS)] * 50)
    assert Counter(outcomes) == {ACCEPTED: 1, DUPLICATE: 49}
    assert any_world.record() == 1
    assert desk.kinds() == ["consent.requested"]


def test_fifty_without_an_id_at_once_are_one_row(any_world: World) -> None:
    desk = Desk(any_world)
    delivery = desk.delivery(withdrawal())
    outcomes = at_once([partial(desk.accept, delivery, NOW_MS + number) for number in range(50)])
    assert Counter(outcomes) == {ACCEPTED: 1, DUPLICATE: 49}
    assert len(rows(desk)) == 1


def test_two_bodies_under_one_id_at_once_are_both_kept(any_world: World) -> None:
    desk = Desk(any_world)
    for number in range(15):
        ours = desk.delivery(sign_up("kari@example.no"), f"msg_{number}")
        other = desk.delivery(withdrawal("ola@example.no"), f"msg_{number}")
        other = replace(other, source=ours.source)
        outcomes = at_once([partial(desk.accept, ours, NOW_MS), partial(desk.accept, other, NOW_MS)])
        assert Counter(outcomes) == {ACCEPTED: 1, CONFLICT: 1}
    assert len(rows(desk)) == 30


def test_the_same_id_with_another_body_is_a_conflict_and_parked_once(any_world: World) -> None:
    desk = Desk(any_world)
    assert desk.accept(desk.delivery(sign_up("kari@example.no"), "msg_1"), NOW_MS) is ACCEPTED
    other = desk.delivery(sign_up("ola@example.no"), "msg_1")
    assert [desk.accept(other, NOW_MS + 1), desk.accept(other, NOW_MS + 2)] == [CONFLICT, DUPLICATE]
    assert any_world.statuses() == [("new", None), ("parked", "conflict")]


def test_an_id_is_a_duplicate_for_ever(world: World) -> None:
    desk = Desk(world)
    delivery = desk.delivery(sign_up(), "msg_1")
    assert desk.accept(delivery, NOW_MS) is ACCEPTED
    world.record()
    assert desk.accept(delivery, NOW_MS + 1000 * HOUR_MS) is DUPLICATE


def test_one_id_from_two_sources_is_two_deliveries(world: World) -> None:
    desk = Desk(world)
    delivery = desk.delivery(sign_up(), "msg_1")
    assert desk.accept(delivery, NOW_MS) is ACCEPTED
    assert desk.accept(replace(delivery, source="form:other"), NOW_MS) is ACCEPTED


def test_the_same_content_without_an_id_is_new_again_after_ten_minutes(any_world: World) -> None:
    desk = Desk(any_world)
    delivery = desk.delivery(sign_up())
    moments = [NOW_MS, NOW_MS + SAME_CONTENT_WINDOW_MS - 1, NOW_MS + SAME_CONTENT_WINDOW_MS]
    assert [desk.accept(delivery, at_ms) for at_ms in moments] == [ACCEPTED, DUPLICATE, ACCEPTED]


def test_a_repeated_withdrawal_is_a_duplicate_until_something_was_said_since(any_world: World) -> None:
    desk = Desk(any_world)
    desk.give("kari@example.no", NOW_MS)
    again = desk.delivery(withdrawal())
    assert [desk.accept(again, NOW_MS + 5_000), desk.accept(again, NOW_MS + 6_000)] == [ACCEPTED, DUPLICATE]
    desk.say(sign_up(), NOW_MS + 7_000)
    assert [desk.accept(again, NOW_MS + 8_000), desk.accept(again, NOW_MS + 9_000)] == [ACCEPTED, DUPLICATE]


def test_a_repeated_withdrawal_counts_when_a_sign_up_waits_between(world: World) -> None:
    desk = Desk(world)
    again = desk.delivery(withdrawal())
    assert desk.accept(again, NOW_MS) is ACCEPTED
    assert desk.accept(desk.delivery(sign_up(), "msg_1"), NOW_MS + 1) is ACCEPTED
    assert desk.accept(again, NOW_MS + 2) is ACCEPTED, "the sign-up is not recorded yet, but it is older than this"


def test_a_repeated_withdrawal_by_link_counts_when_another_spelling_said_yes_since(world: World) -> None:
    desk = Desk(world)
    desk.give("kari@example.no", NOW_MS)
    again = desk.link_delivery(desk.withdraw_link("kari@example.no", NOW_MS), desk.handle())
    assert [desk.accept(again, NOW_MS + 5_000), desk.accept(again, NOW_MS + 6_000)] == [ACCEPTED, DUPLICATE]
    desk.give("kari+news@example.no", NOW_MS + 7_000)
    assert desk.accept(again, NOW_MS + 9_000) is ACCEPTED


def test_a_withdrawal_counts_again_within_the_same_millisecond(world: World) -> None:
    desk = Desk(world)
    again = desk.delivery(withdrawal())
    assert desk.accept(again, NOW_MS) is ACCEPTED
    desk.give("kari@example.no", NOW_MS)
    assert desk.accept(again, NOW_MS) is ACCEPTED


def test_received_time_never_steps_back_when_the_clock_does(any_world: World) -> None:
    desk = Desk(any_world)
    for number, now_ms in enumerate([NOW_MS, NOW_MS - HOUR_MS, NOW_MS + 1, NOW_MS]):
        desk.accept(desk.delivery(sign_up(), f"msg_{number}"), now_ms)
    assert [row.received_at_ms for row in rows(desk)] == [NOW_MS, NOW_MS, NOW_MS + 1, NOW_MS + 1]


def test_a_clock_that_steps_back_does_not_let_a_grant_win(world: World) -> None:
    desk = Desk(world)
    desk.say(sign_up(), NOW_MS)
    link = desk.asked()[-1]
    desk.accept(desk.delivery(confirmation(link), "confirm:1"), NOW_MS + HOUR_MS)
    world.record()
    assert desk.check() == "given"
    desk.accept(desk.delivery(withdrawal()), NOW_MS)
    world.record()
    assert desk.check() == "withdrawn"


def test_a_withdrawal_stops_before_it_is_recorded_also_when_it_conflicts(any_world: World) -> None:
    desk = Desk(any_world)
    desk.give("kari@example.no", NOW_MS)
    desk.give("ola@example.no", NOW_MS)
    first = desk.delivery(withdrawal("kari@example.no"), "msg_1")
    assert [desk.check("kari@example.no"), desk.check("ola@example.no")] == ["given", "given"]
    assert desk.accept(first, NOW_MS + 5_000) is ACCEPTED
    assert [desk.check("kari@example.no"), desk.check("ola@example.no")] == ["withdrawal_pending", "given"]
    assert desk.accept(desk.delivery(withdrawal("ola@example.no"), "msg_1"), NOW_MS + 6_000) is CONFLICT
    any_world.record()
    assert [desk.check("kari@example.no"), desk.check("ola@example.no")] == ["withdrawn", "withdrawal_pending"]


def test_a_box_opens_with_the_private_key_and_in_its_own_row_only(world: World) -> None:
    desk = Desk(world)
    desk.accept(desk.delivery(sign_up("kari@example.no"), "msg_1"), NOW_MS)
    desk.accept(desk.delivery(sign_up("ola@example.no"), "msg_2"), NOW_MS)
    first, second = rows(desk)
    assert parse_message(open_box(desk.keyring, first)).email == "kari@example.no"
    assert b"kari" not in first.box
    with pytest.raises(KeyringError):
        open_box(desk.web, first)
    with desk.database.write() as connection:
        connection.execute(inbox.update().where(inbox.c.id == first.id).values(box=second.box))
    with pytest.raises(SealError):
        open_box(desk.keyring, rows(desk)[0])


def test_a_delivery_shows_nothing_of_what_it_carries(world: World) -> None:
    desk = Desk(world)
    shown = repr(desk.delivery(withdrawal("kari@example.no"), "msg_1"))
    assert "msg_1" in shown
    assert "kari" not in shown


def test_the_web_process_holds_no_key_that_opens_a_box(world: World) -> None:
    for name in ("inbox_private", "kek"):
        with pytest.raises(KeyringError):
            load_keyring("web", world.settings.keys_dir)[name]


def test_a_parked_delivery_keeps_its_box_and_its_attempts_are_counted(world: World) -> None:
    desk = Desk(world)
    desk.accept(desk.delivery(sign_up(), "msg_1"), NOW_MS)
    with desk.database.write() as connection:
        park(connection, rows(desk)[0].id, "record_failed")
    (row,) = rows(desk)
    assert (row.status, row.reason, row.attempts, row.box is not None) == ("parked", "record_failed", 1, True)


# In a rotation of the index pepper, processes that use its old version stand beside those that use the new one.


def before_and_after(world: World) -> tuple[Desk, Desk]:
    """Two doors: one uses the old version of the pepper still, the other the new one."""
    rotation(world, "index_pepper").begin()
    before = Desk(world)
    before.web = left_behind(world, "web")
    rotation(world, "index_pepper").finish(nothing)
    return before, Desk(world)


def test_a_row_tells_under_which_version_it_is_known(world: World) -> None:
    before, after = before_and_after(world)
    before.accept(before.delivery(sign_up(), "msg_1"), NOW_MS)
    after.accept(after.delivery(sign_up(), "msg_2"), NOW_MS)
    assert [row.key_version for row in rows(after)] == [1, 2]


def test_a_delivery_is_known_again_whichever_version_it_came_under(any_world: World) -> None:
    before, after = before_and_after(any_world)
    for number, (first, second) in enumerate([(before, after), (after, before)]):
        with_id = first.delivery(sign_up(), f"msg_{number}")
        without = first.delivery(sign_up(f"person{number}@example.no"))
        assert [first.accept(with_id, NOW_MS), first.accept(without, NOW_MS)] == [ACCEPTED, ACCEPTED]
        assert [second.accept(with_id, NOW_MS), second.accept(without, NOW_MS)] == [DUPLICATE, DUPLICATE]
    assert len(rows(after)) == 4


def test_a_conflict_is_parked_once_whichever_version_it_came_under(any_world: World) -> None:
    before, after = before_and_after(any_world)
    assert before.accept(before.delivery(sign_up("kari@example.no"), "msg_1"), NOW_MS) is ACCEPTED
    other, third = (before.delivery(sign_up(email), "msg_1") for email in ("ola@example.no", "per@example.no"))
    assert [after.accept(other, NOW_MS), before.accept(other, NOW_MS)] == [CONFLICT, DUPLICATE]
    assert [before.accept(third, NOW_MS), after.accept(third, NOW_MS)] == [CONFLICT, DUPLICATE]
    assert any_world.statuses() == [("new", None), ("parked", "conflict"), ("parked", "conflict")]


def test_twins_at_once_under_two_versions_are_one_row(any_world: World) -> None:
    before, after = before_and_after(any_world)
    for number in range(10):
        with_id = before.delivery(sign_up(), f"msg_{number}")
        without = before.delivery(sign_up(f"person{number}@example.no"))
        for delivery in (with_id, without):
            doors = [partial(door.accept, delivery, NOW_MS) for door in (before, after) * 3]
            assert Counter(at_once(doors)) == {ACCEPTED: 1, DUPLICATE: 5}
    assert len(rows(after)) == 20


def test_a_repeated_withdrawal_counts_if_something_was_said_since_under_another_version(any_world: World) -> None:
    before, after = before_and_after(any_world)
    again = before.delivery(withdrawal())
    assert before.accept(again, NOW_MS) is ACCEPTED
    any_world.record()
    assert after.accept(after.delivery(withdrawal()), NOW_MS + 1) is DUPLICATE
    after.say(sign_up(), NOW_MS + 2)
    assert before.accept(again, NOW_MS + 3) is ACCEPTED
