"""Checkpoints leave the house by every way that is set: none waits for another, and the daily ones come once a day."""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger import quarantine
from ledger.checkpoints import newest_checkpoint
from ledger.cosignature import CosignatureSigner, check_cosignatures
from ledger.note import NoteVerifier, open_note, unverified_text
from tests.ledger.desk import DAY_MS, HOUR_MS, MINUTE_MS, NOW_MS, append_purchases
from tests.workers.logged import errors
from tests.workers.witnessing import NAME, Backup, silent, witnessing
from tests.world import World, body_of
from workers import publishing, witnesses
from workers.outlets import FILE, MAIL, MIRROR, Outlet, Standing, standings, witness_name
from workers.publishing import Publisher

DAY, NEXT_DAY = "2096-10-02", "2096-10-03"  # of NOW_MS
WITNESS = f"witness {NAME}"


def grow(world: World, count: int = 3) -> None:
    append_purchases(world.database, count)
    assert world.sign() is not None


def set_up(world: World, **settings: object) -> Publisher:
    """A publisher that was just started."""
    world.settings = replace(world.settings, **settings)  # type: ignore[arg-type]
    return Publisher(world.context("clock"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "elsewhere"
    made.mkdir()
    return made


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def newest(world: World) -> str:
    with world.database.read() as connection:
        found = newest_checkpoint(connection)
    assert found is not None
    return found[1]


def reason(world: World) -> str | None:
    with world.database.read() as connection:
        return quarantine.reason_of(connection)


def standing(world: World, at_ms: int) -> dict[str, Standing]:
    with world.database.read() as connection:
        return {one.name: one for one in standings(connection, world.settings, at_ms)}


# All of them


def test_nothing_is_set_and_nothing_leaves(world: World) -> None:
    grow(world)
    set_up(world).publish(NOW_MS)
    assert world.mails() == []
    assert standing(world, NOW_MS) == {}


def test_every_way_out_carries_the_line_of_the_witness(any_world: World, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    with witnessing(any_world) as witness:
        publisher = set_up(
            any_world, checkpoint_drop_dir=folder, checkpoint_mail_to="dpo@example.no", mirror_dir=tmp_path / "mirror"
        )
        publisher.publish(NOW_MS)
        assert names(folder) == []  # nothing is signed yet
        assert witness.asked == 0
        grow(any_world)
        publisher.publish(NOW_MS)
        note = newest(any_world)
        text = open_note(note, [NoteVerifier.from_vkey(any_world.signer.vkey)]).text
        assert check_cosignatures(text, note.removeprefix(f"{text}\n"), witness.verifier).name == NAME
    assert (folder / f"checkpoint-{DAY}-3.txt").read_text(encoding="utf-8") == note
    (mail,) = any_world.mails()
    (attached,) = mail.iter_attachments()
    assert attached.get_filename() == f"checkpoint-{DAY}-3.txt"
    assert attached.get_content() == note.encode()
    assert (tmp_path / "mirror" / "checkpoint").read_text(encoding="utf-8") == note
    assert standing(any_world, NOW_MS) == {
        name: Standing(name, NOW_MS, False) for name in (WITNESS, FILE, MAIL, MIRROR)
    }


def test_one_that_hangs_and_one_that_fails_stop_no_other(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witnesses, "DEADLINE_S", 0.2)
    grow(world)
    mute = CosignatureSigner("witness.example.org/mute", Ed25519PrivateKey.generate()).verifier().vkey()
    with witnessing(world, "witness.example.org/away"):
        pass
    with witnessing(world) as witness, silent() as mute_witness, errors() as told:
        publisher = set_up(
            world,
            witnesses=((mute, mute_witness.url), *world.settings.witnesses),
            checkpoint_drop_dir=folder / "not-mounted",
            checkpoint_mail_to="dpo@example.no",
        )
        publisher.publish(NOW_MS)
        assert witness.size == 3
    assert len(world.mails()) == 1
    assert not (folder / "not-mounted").exists()
    expected = {
        "witness witness.example.org/away": "witness_connect",
        "witness witness.example.org/mute": "witness_deadline",
        FILE: "folder_missing",
    }
    assert {line["action"]: line for line in told} == {
        action: {"event": "clock_failed", "action": action, "reason": reason} for action, reason in expected.items()
    }


class Gate:
    """An outlet that hangs until it is opened, as a folder on a network can."""

    def __init__(self) -> None:
        self.asked = 0
        self._opened = threading.Event()

    def open(self) -> None:
        self._opened.set()

    def publish(self, _at_ms: int, _anew: bool) -> bool:
        self.asked += 1
        return self._opened.wait()


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open()


def test_what_hangs_for_ever_is_left_alone(world: World, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "PATIENCE_S", 0.1)
    published: list[int] = []

    def publish(at_ms: int, _anew: bool) -> bool:
        published.append(at_ms)
        return True

    beside, after = Outlet("beside", publish), Outlet("after", publish)
    publisher = Publisher(world.context("clock"), [[Outlet("hanging", gate.publish), beside], [after]])
    for at_ms in (NOW_MS, NOW_MS + 1):
        publisher.publish(at_ms)
    assert published == [NOW_MS, NOW_MS, NOW_MS + 1, NOW_MS + 1]
    assert gate.asked == 1
    gate.open()
    monkeypatch.undo()
    for at_ms in (NOW_MS + 2, NOW_MS + 3):  # the first of them may still wait for the one that hung
        publisher.publish(at_ms)
    assert gate.asked > 1


def test_after_a_failure_it_is_tried_again_ever_more_rarely(world: World) -> None:
    tried: list[int] = []
    broken = True

    def publish(at_ms: int, _anew: bool) -> bool:
        tried.append((at_ms - NOW_MS) // MINUTE_MS)
        if broken:
            raise OSError
        return True

    publisher = Publisher(world.context("clock"), [[Outlet("broken", publish)]])
    minutes = iter(range(24 * 60))
    for minute in minutes:
        publisher.publish(NOW_MS + minute * MINUTE_MS)
        if minute == 300:
            break
    assert tried == [0, 5, 15, 35, 75, 135, 195, 255]
    broken = False
    for minute in minutes:
        publisher.publish(NOW_MS + minute * MINUTE_MS)
        if minute == 317:
            break
    assert tried[8:] == [315, 316, 317]


# Witnesses


def test_a_witness_is_asked_at_most_24_times_a_day(world: World) -> None:
    with witnessing(world) as witness:
        publisher = set_up(world)
        for quarter in range(4 * 24):
            grow(world, 1)
            publisher.publish(NOW_MS + quarter * 15 * MINUTE_MS)
        assert (witness.asked, witness.size) == (24, 4 * 23 + 1)


def test_a_witness_is_asked_when_there_is_something_new_and_once_after_a_start(world: World) -> None:
    with witnessing(world) as witness:
        publisher = set_up(world)
        grow(world)
        for hour in range(3):
            publisher.publish(NOW_MS + hour * HOUR_MS)
        assert witness.asked == 1
        grow(world)
        publisher.publish(NOW_MS + 3 * HOUR_MS)
        assert witness.asked == 2
        restarted = set_up(world)
        for hour in range(4, 7):
            restarted.publish(NOW_MS + hour * HOUR_MS)
        assert witness.asked == 3


@pytest.mark.parametrize(
    ("written", "expected"), [(0, "witness_is_ahead"), (1, "witness_is_ahead"), (9, "witness_saw_another_tree")]
)
def test_a_restored_backup_is_noticed_by_the_witness_and_nothing_leaves_any_more(
    world: World, folder: Path, written: int, expected: str
) -> None:
    """The signer's memory came back with the database, so the signer itself cannot notice."""
    with witnessing(world) as witness:
        publisher = set_up(world, checkpoint_drop_dir=folder)
        grow(world)
        publisher.publish(NOW_MS)
        backup = Backup(world)
        grow(world)
        publisher.publish(NOW_MS + HOUR_MS)
        backup.restore()
        if written:
            grow(world, written)
        restarted = set_up(world, checkpoint_drop_dir=folder)
        with errors() as told:
            for day in (1, 2, 3):
                restarted.publish(NOW_MS + day * DAY_MS)
        assert reason(world) == expected
        assert told == [{"event": "quarantine_entered", "reason": expected}]
        assert names(folder) == [f"checkpoint-{DAY}-3.txt"]
        asked = witness.asked
        with world.database.write() as connection:
            quarantine.lift(connection)
        restarted.publish(NOW_MS + 4 * DAY_MS)
        assert reason(world) == expected
        assert witness.asked > asked


# A file and a mail a day


def test_a_file_and_a_mail_a_day_however_often_it_is_restarted(any_world: World, folder: Path) -> None:
    publish: Callable[[int], None] = lambda at_ms: set_up(  # noqa: E731
        any_world, checkpoint_drop_dir=folder, checkpoint_mail_to="dpo@example.no"
    ).publish(at_ms)
    grow(any_world)
    for minute in range(3):
        publish(NOW_MS + minute * MINUTE_MS)
    grow(any_world)
    publish(NOW_MS + HOUR_MS)
    assert names(folder) == [f"checkpoint-{DAY}-3.txt"]
    assert names(any_world.settings.mail_spool_dir) == [f"checkpoint-{DAY}.eml"]
    (any_world.settings.mail_spool_dir / f"checkpoint-{DAY}.eml").unlink()  # it is sent
    publish(NOW_MS + 2 * HOUR_MS)
    assert names(any_world.settings.mail_spool_dir) == []
    publish(NOW_MS + DAY_MS)
    publish(NOW_MS + DAY_MS + HOUR_MS)
    assert names(folder) == [f"checkpoint-{DAY}-3.txt", f"checkpoint-{NEXT_DAY}-6.txt"]
    assert names(any_world.settings.mail_spool_dir) == [f"checkpoint-{NEXT_DAY}.eml"]


def test_a_day_on_which_nothing_happened_has_its_file_too(world: World, folder: Path) -> None:
    publisher = set_up(world, checkpoint_drop_dir=folder)
    grow(world)
    for day in range(2):
        publisher.publish(NOW_MS + day * DAY_MS)
    first, second = (folder / name for name in names(folder))
    assert first.name == f"checkpoint-{DAY}-3.txt"
    assert second.name == f"checkpoint-{NEXT_DAY}-3.txt"
    assert first.read_bytes() == second.read_bytes()


def test_a_folder_that_comes_back_gets_its_file(world: World, folder: Path) -> None:
    away = folder / "disk"
    publisher = set_up(world, checkpoint_drop_dir=away)
    grow(world)
    publisher.publish(NOW_MS)
    away.mkdir()
    publisher.publish(NOW_MS + 5 * MINUTE_MS)
    assert names(away) == [f"checkpoint-{DAY}-3.txt"]


def test_a_file_that_is_there_is_never_replaced(world: World, folder: Path) -> None:
    kept = folder / f"checkpoint-{DAY}-3.txt"
    kept.write_text("what the first history was", encoding="ascii")
    grow(world)
    set_up(world, checkpoint_drop_dir=folder).publish(NOW_MS)
    assert kept.read_text(encoding="ascii") == "what the first history was"


def test_a_kept_file_verifies_and_names_what_was_changed(world: World, folder: Path) -> None:
    publisher = set_up(world, checkpoint_drop_dir=folder)
    backup = Backup(world)
    grow(world)
    publisher.publish(NOW_MS)
    (kept,) = folder.iterdir()
    verify = partial(world.command, "ledger", "verify", "--checkpoint", str(kept))
    assert verify().exit_code == 0
    assert re.search("verified +yes", verify().output)  # as the mail and the guide have it
    backup.restore()
    grow(world, 4)
    assert verify().exit_code == 1
    assert "checkpoint_differs" in verify().output


def test_the_mail_says_what_to_do_and_nothing_about_anybody(world: World) -> None:
    publisher = set_up(world, checkpoint_mail_to="dpo@example.no")
    world.give("kari@example.no")
    world.sign()
    publisher.publish(NOW_MS)
    mail = next(one for one in world.mails() if one["To"] == "dpo@example.no")
    assert mail["From"] == "post@example.no"
    assert mail["Message-ID"] == f"<checkpoint-{DAY}@example.no>"
    assert DAY in mail["Subject"]
    text = body_of(mail)
    assert f"flask ledger verify --checkpoint checkpoint-{DAY}-" in text
    assert world.policy.controller.name in text
    assert "kari" not in mail.as_string().lower()


# What an operator sees


def test_what_is_late_is_told(world: World, folder: Path, tmp_path: Path) -> None:
    with witnessing(world) as witness:
        setting = witness.setting()
    (tmp_path / "mirror").mkdir()
    settings = {"witnesses": (setting,), "mirror_dir": tmp_path / "mirror"}
    daily = {"checkpoint_drop_dir": folder, "checkpoint_mail_to": "dpo@example.no"}
    set_up(world, **settings, **daily)
    late = lambda at_ms: {name for name, one in standing(world, at_ms).items() if one.is_late}  # noqa: E731
    assert late(NOW_MS) == set()  # nothing was ever signed
    signed_at_ms = NOW_MS - HOUR_MS
    append_purchases(world.database, 1)
    world.signer.sign_if_grown(world.database, signed_at_ms)
    assert late(NOW_MS) == set()
    assert late(signed_at_ms + 2 * HOUR_MS + 1) == {witness_name(setting[0]), FILE, MAIL, MIRROR}
    Publisher(world.context("clock")).publish(NOW_MS)
    assert late(NOW_MS + 26 * HOUR_MS) == {WITNESS}
    assert late(NOW_MS + 26 * HOUR_MS + 1) == {WITNESS, FILE, MAIL}


def test_a_folder_that_cannot_be_written_has_its_own_reason(world: World, folder: Path) -> None:
    (folder / "file").touch()
    grow(world)
    with errors() as told:
        set_up(world, checkpoint_drop_dir=folder / "file").publish(NOW_MS)
    assert told == [{"event": "clock_failed", "action": FILE, "reason": "folder_not_written"}]


def test_the_note_in_every_copy_is_the_same_text(world: World, folder: Path) -> None:
    publisher = set_up(world, checkpoint_drop_dir=folder)
    grow(world)
    publisher.publish(NOW_MS)
    (kept,) = folder.iterdir()
    assert unverified_text(kept.read_bytes()) == unverified_text(newest(world))
