"""Rework: everything made under an older version is made anew, interrupted anywhere, while old processes go on."""

import signal
import subprocess
import sys

import pytest
from sqlalchemy import select, update

from ledger import rework
from ledger.audit import audit
from ledger.inbox import Acceptance
from ledger.keyring import read_key
from ledger.restriction import restrict
from ledger.rotation import StillUsedError
from ledger.sealing import seal_versioned, unseal_versioned
from ledger.tables import inbox, pending_withdrawal, relay, subject, subject_address
from schemas.message import Decision
from tests.ledger.desk import DAY_MS, NOW_MS, Desk, link_withdrawal, sign_up, withdrawal
from tests.ledger.rotating import (
    Interrupted,
    interrupt_after,
    key_entries,
    left_behind,
    nothing,
    rotate,
    rotation,
    stands,
)
from tests.world import ROOT, World
from workers.relay import carry_due

PEOPLE = [f"person{number}@example.no" for number in range(7)]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a handful of people are several transactions."""
    monkeypatch.setattr(rework, "BOX_BATCH", 2)
    monkeypatch.setattr(rework, "PERSON_BATCH", 2)


def finish_with_interruptions(world: World, name: str) -> int:
    """Each run is ended after its first transaction; how many runs it took."""
    for run in range(1, 20):
        try:
            rotation(world, name).finish(interrupt_after(1))
        except Interrupted:
            continue
        return run
    raise AssertionError("it never ends")


# Finishes one rotation in a process that is killed as soon as a transaction is committed.
KILLED = """
import os, signal, sys
from pathlib import Path
from ledger import rework
from ledger.database import Database
from ledger.rotation import Rotation
url, keys_dir, name, now_ms = sys.argv[1:]
rework.BOX_BATCH = rework.PERSON_BATCH = 2
kill = lambda _done: os.kill(os.getpid(), signal.SIGKILL)
Rotation(Database(url), Path(keys_dir), name, int(now_ms)).finish(kill)
"""


@pytest.mark.parametrize(("name", "what"), [("kek", "data_keys"), ("index_pepper", "persons")])
def test_killed_after_each_transaction_it_still_gets_done(any_world: World, name: str, what: str) -> None:
    desk = Desk(any_world)
    for email in PEOPLE[:3]:
        desk.give(email, NOW_MS)
    rotation(any_world, name).begin()
    arguments = [any_world.settings.database_url, str(any_world.settings.keys_dir), name, str(NOW_MS)]
    ended = [subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=ROOT).returncode for _ in range(3)]
    assert ended == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert stands(any_world, name).uses == {2: {what: 3}}
    assert {desk.check(email) for email in PEOPLE[:3]} == {"given"}
    assert key_entries(any_world) == [(name, 2, "added"), (name, 2, "in_use")]


# The key-encryption key.


def test_data_keys_and_relays_are_wrapped_anew_whatever_interrupts(any_world: World) -> None:
    desk = Desk(any_world)
    for email in PEOPLE:
        desk.give(email, NOW_MS)
    desk.say(withdrawal("stranger@example.no", "newsletter"), NOW_MS)
    boxes = len([row for row in desk.relays() if row.box])
    assert stands(any_world, "kek").uses == {1: {"data_keys": 7, "relays": boxes}}
    rotation(any_world, "kek").begin()
    assert finish_with_interruptions(any_world, "kek") == 4 + (boxes + 1) // 2 + 1
    assert stands(any_world, "kek").uses == {2: {"data_keys": 7, "relays": boxes}}
    assert stands(any_world, "kek").is_finished
    rotation(any_world, "kek").destroy(1)
    assert [desk.payloads(email)[0]["email"] for email in PEOPLE] == PEOPLE
    with any_world.database.read() as connection:
        assert audit(connection, kek=desk.keyring["kek"]).problems == []


def test_a_relay_whose_box_was_wrapped_anew_is_carried_to_the_same_address(world: World) -> None:
    desk = Desk(world)
    desk.say(withdrawal("stranger@example.no", "newsletter"), 1_000)
    rotate(world, "kek")
    rotation(world, "kek").destroy(1)
    assert carry_due(world.context("relay"), urgent=True) > 0
    assert {row.reason for row in desk.relays()} == {"processor_not_connected"}, "the address was read"


def test_a_recorder_of_before_and_one_of_after_work_side_by_side(any_world: World) -> None:
    desk = Desk(any_world)
    desk.give("kari@example.no", NOW_MS)
    rotation(any_world, "kek").begin()
    old, new = Desk(any_world), Desk(any_world)
    old.keyring = left_behind(any_world, "record")
    rotation(any_world, "kek").finish(nothing)
    old.give("ola@example.no", NOW_MS)
    new.give("per@example.no", NOW_MS)
    for reading in (old, new):
        for email in ("kari@example.no", "ola@example.no", "per@example.no"):
            assert reading.payloads(email)[0]["email"] == email
            reading.say(withdrawal(email), NOW_MS + 5_000)
    assert stands(any_world, "kek").uses == {1: {"data_keys": 1}, 2: {"data_keys": 2}}
    assert not stands(any_world, "kek").is_finished
    with pytest.raises(StillUsedError) as refused:
        rotation(any_world, "kek").destroy(1)
    assert refused.value.uses == {"data_keys": 1}
    rotation(any_world, "kek").finish(nothing)
    rotation(any_world, "kek").destroy(1)
    assert new.payloads("ola@example.no")[0]["email"] == "ola@example.no"


def test_what_changes_while_it_is_wrapped_anew_is_left_as_it_was_made(any_world: World) -> None:
    desk = Desk(any_world)
    desk.give("kari@example.no", NOW_MS)
    rotation(any_world, "kek").begin()
    kek = read_key(any_world.settings.keys_dir, "kek")
    handle, changed = desk.handle(), seal_versioned(kek, bytes(32), desk.handle())
    real = rework.seal_versioned

    def overtaken(key: object, plaintext: bytes, context: bytes) -> bytes:
        with any_world.database.write() as connection:
            connection.execute(update(subject).values(data_key=changed))
        return real(kek, plaintext, context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rework, "seal_versioned", overtaken)
        rotation(any_world, "kek").finish(nothing)
    with any_world.database.read() as connection:
        assert connection.execute(select(subject.c.data_key)).scalar_one() == changed
    assert handle == desk.handle()


def test_a_box_that_does_not_open_stays_and_keeps_its_version_from_being_destroyed(any_world: World) -> None:
    desk = Desk(any_world)
    for email in PEOPLE[:3]:
        desk.give(email, NOW_MS)
    with any_world.database.write() as connection:
        broken = subject.c.handle == desk.handle(PEOPLE[1])
        connection.execute(update(subject).where(broken).values(data_key=b"\x01" + bytes(60)))
    rotate(any_world, "kek")
    assert stands(any_world, "kek").uses == {1: {"data_keys": 1}, 2: {"data_keys": 2}}
    with pytest.raises(StillUsedError):
        rotation(any_world, "kek").destroy(1)


# The inbox key.


def test_deliveries_that_wait_and_parked_ones_are_sealed_anew(any_world: World) -> None:
    desk = Desk(any_world)
    for number, email in enumerate(PEOPLE):
        desk.accept(desk.delivery(sign_up(email), f"msg_{number}"), NOW_MS)
    desk.accept(desk.delivery(sign_up("other@example.no"), "msg_0"), NOW_MS)
    rotation(any_world, "inbox").begin()
    desk.web = left_behind(any_world, "web")
    assert stands(any_world, "inbox").uses == {1: {"boxes": 8}}
    assert finish_with_interruptions(any_world, "inbox") == 5
    assert stands(any_world, "inbox").uses == {2: {"boxes": 8}}
    desk.accept(desk.delivery(sign_up("late@example.no"), "msg_late"), NOW_MS)  # by a web process of before
    Desk(any_world).accept(desk.delivery(sign_up("later@example.no"), "msg_later"), NOW_MS)
    assert stands(any_world, "inbox").uses == {1: {"boxes": 1}, 2: {"boxes": 9}}
    with pytest.raises(StillUsedError):
        rotation(any_world, "inbox").destroy(1)
    any_world.record()
    assert stands(any_world, "inbox").uses == {2: {"boxes": 1}}
    rotation(any_world, "inbox").destroy(1)
    with any_world.database.read() as connection:
        parked = connection.execute(select(inbox.c.id).where(inbox.c.status == "parked")).scalar_one()
    replayed = any_world.command("deliveries", "replay", str(parked))
    assert replayed.exit_code == 0, replayed.output
    any_world.record()
    assert any_world.statuses() == [("recorded", None)] * 10
    assert desk.kinds().count("consent.requested") == 10


def test_a_recorder_of_before_opens_what_a_web_process_of_after_has_sealed(world: World) -> None:
    rotation(world, "inbox").begin()
    old = left_behind(world, "record")
    rotation(world, "inbox").finish(nothing)
    desk = Desk(world)
    desk.accept(desk.delivery(sign_up(), "msg_1"), NOW_MS)
    with world.database.read() as connection:
        (row,) = connection.execute(select(inbox))
    assert row.box[0] == 2
    assert b"kari@example.no" in rework.open_box(old, row)


# The index pepper.


def versions(world: World) -> list[int]:
    with world.database.read() as connection:
        return sorted(connection.execute(select(subject_address.c.key_version)).scalars())


def test_people_are_found_by_every_spelling_at_every_moment_of_a_rotation(any_world: World) -> None:
    """Three spellings of one mailbox, three people: an interruption after any of them loses no sibling."""
    spellings = ["kari.nordmann@gmail.com", "karinordmann@gmail.com", "kari.nordmann+news@gmail.com"]
    desk = Desk(any_world)
    for email in [*spellings, *PEOPLE]:
        desk.give(email, NOW_MS)
    handles = {desk.handle(email) for email in spellings}
    links = [desk.withdraw_link(email, NOW_MS) for email in spellings]
    rotation(any_world, "index_pepper").begin()
    old = Desk(any_world)
    old.keyring = left_behind(any_world, "record")

    def assert_found() -> None:
        for asking in (old, desk):
            assert {asking.handle(email) for email in spellings} == handles
            assert {asking.check(email) for email in [*spellings, *PEOPLE]} == {"given"}
        for handle in handles:
            with any_world.database.read() as connection:
                assert set(rework.vault.siblings(connection, handle)) == handles

    assert_found()
    done = []

    def look(count: int) -> None:
        done.append(count)
        assert_found()

    rotation(any_world, "index_pepper").finish(look)
    assert done == [2, 2, 2, 2, 2]
    assert versions(any_world) == [2] * 10
    assert_found()
    old.say(link_withdrawal(links[0]), NOW_MS + 5_000)
    assert {desk.check(email) for email in spellings} == {"withdrawn"}
    assert {desk.check(email) for email in PEOPLE} == {"given"}


def test_a_rotation_of_the_pepper_goes_on_after_every_interruption(any_world: World) -> None:
    desk = Desk(any_world)
    for email in PEOPLE:
        desk.give(email, NOW_MS)
    rotation(any_world, "index_pepper").begin()
    assert finish_with_interruptions(any_world, "index_pepper") == 5
    assert versions(any_world) == [2] * 7
    assert {desk.check(email) for email in PEOPLE} == {"given"}


def test_a_new_spelling_finds_the_others_whichever_process_records_it(any_world: World) -> None:
    desk = Desk(any_world)
    desk.give("kari@example.no", NOW_MS)
    rotation(any_world, "index_pepper").begin()
    old, new = Desk(any_world), Desk(any_world)
    old.keyring = left_behind(any_world, "record")
    rotation(any_world, "index_pepper").finish(nothing)
    old.give("kari+old@example.no", NOW_MS)
    new.give("kari+new@example.no", NOW_MS)
    rotation(any_world, "index_pepper").finish(nothing)
    assert versions(any_world) == [2, 2, 2]
    new.say(link_withdrawal(new.withdraw_link("kari@example.no", NOW_MS)), NOW_MS + 5_000)
    for email in ("kari@example.no", "kari+old@example.no", "kari+new@example.no"):
        assert (old.check(email), new.check(email)) == ("withdrawn", "withdrawn")


def test_a_withdrawal_that_is_not_recorded_yet_stops_at_every_moment(any_world: World) -> None:
    desk = Desk(any_world)
    for email in ("kari@example.no", "ola@example.no"):
        desk.give(email, NOW_MS)
    desk.accept(desk.delivery(withdrawal("kari@example.no")), NOW_MS + 5_000)
    rotation(any_world, "index_pepper").begin()
    old = Desk(any_world)
    old.web = left_behind(any_world, "web")
    rotation(any_world, "index_pepper").finish(nothing)
    old.accept(old.delivery(withdrawal("ola@example.no")), NOW_MS + 5_000)  # by a web process of before
    with any_world.database.read() as connection:
        pending = set(connection.execute(select(pending_withdrawal.c.wide)).scalars())
        assert pending == set(connection.execute(select(subject_address.c.wide)).scalars()), "what relays compare"
    assert [desk.check(email) for email in ("kari@example.no", "ola@example.no")] == ["withdrawal_pending"] * 2
    any_world.record()
    assert [desk.check(email) for email in ("kari@example.no", "ola@example.no")] == ["withdrawn"] * 2


def test_opening_a_restricted_person_leaves_an_entry_and_nobody_else_does(any_world: World) -> None:
    desk = Desk(any_world)
    for email in ("kari@example.no", "ola@example.no"):
        desk.give(email, NOW_MS)
    with any_world.database.write() as connection:
        restrict(connection, desk.handle("kari@example.no"), "claims", NOW_MS, "operator")
    rotate(any_world, "index_pepper")
    opened = [leaf for leaf in any_world.leaves() if leaf["kind"] == "payload.opened"]
    assert [(leaf["subject"], leaf["reason"]) for leaf in opened] == [(desk.handle().hex(), "key_rotation")]
    assert versions(any_world) == [2, 2]
    rotation(any_world, "index_pepper").finish(nothing)
    assert desk.kinds().count("payload.opened") == 1, "there was nothing left to open"


def test_somebody_whose_address_we_do_not_keep_stays_under_the_old_version_and_is_found(any_world: World) -> None:
    desk = Desk(any_world)
    desk.give("kari@example.no", NOW_MS)
    desk.say(sign_up("no@example.no", decisions=(Decision("newsletter", "refused"),)), NOW_MS)
    rotate(any_world, "index_pepper")
    assert versions(any_world) == [1, 2]
    assert (stands(any_world, "index_pepper").outstanding, stands(any_world, "index_pepper").is_finished) == (1, False)
    handle = desk.handle("no@example.no")
    desk.say(sign_up("no@example.no"), NOW_MS + DAY_MS)  # now it is sealed
    rotation(any_world, "index_pepper").finish(nothing)
    assert versions(any_world) == [2, 2]
    assert desk.handle("no@example.no") == handle


def test_the_old_pepper_is_kept_for_deliveries_that_may_come_again(any_world: World) -> None:
    desk = Desk(any_world)
    again = desk.delivery(sign_up(), "msg_1")
    assert desk.accept(again, NOW_MS) is Acceptance.ACCEPTED
    any_world.record()
    rotate(any_world, "index_pepper")
    with pytest.raises(StillUsedError) as refused:
        rotation(any_world, "index_pepper").destroy(1)
    assert refused.value.uses == {"deliveries": 1}
    assert desk.accept(again, NOW_MS + 100 * DAY_MS) is Acceptance.DUPLICATE
    rotate(any_world, "index_pepper")
    assert desk.accept(again, NOW_MS + 200 * DAY_MS) is Acceptance.DUPLICATE


def test_two_people_of_one_address_do_not_end_the_run(any_world: World) -> None:
    """As a recorder that was never told of the new version would have made them."""
    desk = Desk(any_world)
    desk.give("kari@example.no", NOW_MS)
    stranger = left_behind(any_world, "record")
    rotate(any_world, "index_pepper")
    lost = Desk(any_world)
    lost.keyring = stranger
    lost.give("kari@example.no", NOW_MS)
    rotation(any_world, "index_pepper").finish(nothing)
    assert versions(any_world) == [1, 2]


def test_the_notes_of_an_erasure_that_takes_months_can_still_be_opened(any_world: World) -> None:
    desk = Desk(any_world)
    desk.say(withdrawal("nobody@example.no"), NOW_MS)  # three relays
    relay_id = desk.relays()[0].id
    with desk.database.write() as connection:
        notes = seal_versioned(desk.keyring["kek"], b'{"job":"prv_1"}', rework.NOTES_CONTEXT + relay_id)
        connection.execute(update(relay).where(relay.c.id == relay_id).values(notes=notes))
    assert stands(any_world, "kek").uses[1]["notes"] == 1
    rotate(any_world, "kek")
    assert "notes" not in stands(any_world, "kek").uses.get(1, {})
    kek = read_key(any_world.settings.keys_dir, "kek")
    (row,) = [row for row in desk.relays() if row.notes is not None]
    assert unseal_versioned(kek, row.notes, rework.NOTES_CONTEXT + relay_id) == b'{"job":"prv_1"}'
