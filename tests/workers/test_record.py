"""The recorder: every accepted delivery has its effect once, in order, and none holds up the others."""

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import select, update

from ledger.audit import audit
from ledger.errors import DatabaseAwayError
from ledger.tables import inbox, ledger_entry, pending_withdrawal, subject, unread_field
from ledger.unread import NAMES_MAX
from schemas.message import UNREAD_MAX, Decision, Message, MessageType
from tests.ledger.desk import DAY_MS, MINUTE_MS, NOW_MS, Desk, at_once, meanwhile, sign_up, unconfirmed, withdrawal
from tests.world import World
from workers import record
from workers.context import now_ms


def accept_all(desk: Desk, *messages: Message) -> None:
    for number, message in enumerate(messages):
        desk.accept(desk.delivery(message, f"msg_{number}"), NOW_MS + number)


def test_a_delivery_that_cannot_be_recorded_is_parked_and_holds_up_nobody(any_world: World) -> None:
    desk = Desk(any_world)
    strange = replace(sign_up("ola@example.no"), decisions=(Decision("no_such_purpose", "given"),))
    accept_all(desk, sign_up("kari@example.no"), strange, sign_up("per@example.no"))
    assert any_world.record() == 3
    assert any_world.statuses() == [("recorded", None), ("parked", "record_failed"), ("recorded", None)]
    assert [desk.check("kari@example.no"), desk.check("per@example.no")] == ["requested", "requested"]


def test_a_delivery_that_does_not_open_is_parked(world: World) -> None:
    desk = Desk(world)
    accept_all(desk, sign_up("kari@example.no"), sign_up("ola@example.no"))
    with desk.database.write() as connection:
        connection.execute(update(inbox).where(inbox.c.id == 1).values(box=b"\x01nonsense"))
    world.record()
    assert world.statuses() == [("parked", "unreadable"), ("recorded", None)]


def test_a_delivery_that_fails_half_way_leaves_nothing_behind_and_still_stops(world: World) -> None:
    desk = Desk(world)
    desk.say(sign_up("kari@example.no"), NOW_MS - MINUTE_MS)
    desk.say(sign_up("kari+news@example.no"), NOW_MS - MINUTE_MS)
    broken = desk.handle("kari+news@example.no")
    with desk.database.write() as connection:
        connection.execute(update(subject).where(subject.c.handle == broken).values(data_key=b"\x01nonsense"))
    before = world.kinds()
    accept_all(desk, withdrawal("kari@example.no"))
    world.record()
    assert world.statuses() == [("parked", "box_does_not_open")]
    assert world.kinds() == before
    assert [link.status for link in desk.asked("kari@example.no")] == ["open"]
    assert desk.check("kari@example.no") == "withdrawal_pending"


def test_withdrawals_are_recorded_first(world: World) -> None:
    desk = Desk(world)
    accept_all(desk, sign_up("kari@example.no"), sign_up("ola@example.no"), withdrawal("per@example.no", "newsletter"))
    world.record()
    assert desk.kinds() == ["consent.withdrawn", "consent.requested", "consent.requested"]


def test_recording_wipes_the_box_and_what_was_pending(any_world: World) -> None:
    desk = Desk(any_world)
    accept_all(desk, sign_up(), withdrawal())
    assert desk.count(pending_withdrawal) == 1
    any_world.record()
    with desk.database.read() as connection:
        assert [row.box for row in connection.execute(select(inbox.c.box))] == [None, None]
    assert desk.count(pending_withdrawal) == 0


def test_what_means_nothing_to_us_is_recorded_without_an_entry(world: World) -> None:
    desk = Desk(world)
    accept_all(desk, Message(type=MessageType.IGNORED, source="stripe", method="stripe"))
    world.record()
    assert (world.statuses(), world.leaves()) == ([("recorded", None)], [])


def test_a_full_disk_parks_nothing_and_loses_nothing(world: World) -> None:
    desk = Desk(world)
    accept_all(desk, *(sign_up(f"kari{number}@example.no") for number in range(10)))
    with desk.database.read() as connection:  # one connection in the pool: SQLite refuses to grow on it
        roomy = connection.exec_driver_sql("PRAGMA max_page_count").scalar_one()
        connection.exec_driver_sql("PRAGMA max_page_count=1")
    with pytest.raises(DatabaseAwayError):
        world.record()
    assert (set(world.statuses()), world.leaves()) == ({("new", None)}, [])
    with desk.database.read() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count={roomy}")
    assert world.record() == 10
    assert set(world.statuses()) == {("recorded", None)}


def test_recorders_at_once_have_each_effect_once(any_world: World) -> None:
    desk = Desk(any_world)
    accept_all(desk, *(sign_up(f"kari+{number % 7}@example.no") for number in range(40)), withdrawal())
    context = any_world.context("record")
    at_once([partial(record.drain, context)] * 4)
    assert set(any_world.statuses()) == {("recorded", None)}
    with desk.database.read() as connection:
        caused = list(connection.execute(select(ledger_entry.c.inbox_id, ledger_entry.c.kind)))
        assert audit(connection).problems == []
    assert sorted(row.inbox_id for row in caused if row.kind == "consent.requested") == list(range(1, 41))


def test_two_recorders_that_meet_in_another_order_do_not_miss_a_person(any_world: World) -> None:
    desk = Desk(any_world)
    unconfirmed(any_world)
    desk.accept(desk.delivery(withdrawal("kari@example.no"), "msg_1"), NOW_MS)
    with meanwhile(desk.database, any_world.record) as connection:
        desk.say_in(connection, sign_up("kari@example.no"), NOW_MS - DAY_MS)
    assert desk.check("kari@example.no") == "withdrawn"


def test_a_clock_that_was_ahead_does_not_put_off_what_is_due(world: World) -> None:
    desk = Desk(world)
    desk.accept(desk.delivery(withdrawal()), now_ms() + 30 * DAY_MS)
    world.record()
    assert all(row.next_attempt_at_ms <= now_ms() for row in desk.relays(action="withdraw"))
    assert desk.check() == "suppressed"


def test_names_of_unread_fields_are_counted_and_no_value_and_not_for_ever(any_world: World) -> None:
    desk = Desk(any_world)
    accept_all(
        desk,
        replace(sign_up("kari@example.no"), unread=("phone", "utm_source")),
        replace(sign_up("ola@example.no"), unread=("phone",)),
        Message(MessageType.IGNORED, "stripe", unread=("phone",)),
        replace(sign_up("per@example.no"), decisions=(Decision("no_such_purpose", "given"),), unread=("parked",)),
    )
    any_world.record()
    for batch in range(5):
        names = tuple(f"made_up_{batch}_{number}" for number in range(UNREAD_MAX))
        desk.accept(desk.delivery(replace(sign_up(), unread=("phone", *names[1:])), f"more_{batch}"), NOW_MS + 10)
        any_world.record()
    with desk.database.read() as connection:
        counts = {(row.source, row.name): row.count for row in connection.execute(select(unread_field))}
    of_form = {name: count for (source, name), count in counts.items() if source == "form:newsletter"}
    assert (of_form["phone"], of_form["utm_source"], counts["stripe", "phone"]) == (7, 1, 1)
    assert len(of_form) == NAMES_MAX
    assert "parked" not in of_form


def test_what_a_processor_reports_is_recorded_about_nobody(any_world: World) -> None:
    desk = Desk(any_world)
    accept_all(desk, Message(MessageType.REPORTED, "stripe", method="stripe", reported="charge_refunded", sent_at_ms=7))
    any_world.record()
    (leaf,) = any_world.leaves()
    assert {name: leaf[name] for name in ("kind", "processor", "reason", "source", "method")} == {
        "kind": "processor.reported",
        "processor": "stripe",
        "reason": "charge_refunded",
        "source": "stripe",
        "method": "stripe",
    }
    assert (leaf["occurred_at"], leaf.get("subject"), desk.problems()) == ("1970-01-01T00:00:00.007Z", None, [])
