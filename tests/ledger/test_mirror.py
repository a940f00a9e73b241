"""The mirror holds every signed leaf, survives a kill at any byte, and is not changed when it is not of this ledger."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.checkpoints import newest_checkpoint, note_verifiers, store_cosignatures
from ledger.cosignature import CosignatureSigner
from ledger.durable_file import locked
from ledger.errors import LedgerError
from ledger.keyring import load_keyring
from ledger.log import read_entries
from ledger.mirror import (
    BOOKMARK,
    CHECKPOINT,
    ENTRIES,
    check_mirror,
    extend_mirror,
    open_mirror,
    read_leaves,
    verify_mirror,
)
from ledger.note import Checkpoint, NoteError, NoteVerifier, unverified_text
from tests.ledger.desk import NOW_MS, OVERLAP_S, append_purchases
from tests.ledger.tampering import change_leaf, cut, open_file
from tests.world import World, settings_for


def extend(world: World, folder: Path) -> int:
    with contextlib.suppress(FileExistsError):
        folder.mkdir(parents=True)
    with world.database.read() as connection:
        return extend_mirror(connection, folder)


def check(world: World, folder: Path) -> Checkpoint:
    with world.database.read() as connection:
        return check_mirror(connection, folder, verifiers(world))


def verifiers(world: World) -> tuple[NoteVerifier, ...]:
    return note_verifiers(load_keyring("clock", world.settings.keys_dir)["checkpoint"])


def leaves(world: World, end: int) -> list[bytes]:
    with world.database.read() as connection:
        return [entry.leaf for entry in read_entries(connection, 0, end)]


def grow(world: World, count: int) -> None:
    append_purchases(world.database, count)
    world.sign()


def lines(folder: Path) -> list[bytes]:
    return (folder / ENTRIES).read_bytes().splitlines()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "elsewhere" / "mirror"


def refuse(reason: str, deed: Callable[[], object]) -> None:
    with pytest.raises(LedgerError) as caught:
        deed()
    assert caught.value.reason == reason


def test_it_holds_what_is_signed_and_no_more(any_world: World, folder: Path) -> None:
    assert extend(any_world, folder) == 0
    grow(any_world, 3)
    append_purchases(any_world.database, 2)  # not yet signed
    assert extend(any_world, folder) == 3
    assert lines(folder) == leaves(any_world, 3)
    assert check(any_world, folder).size == 3
    any_world.sign()
    assert extend(any_world, folder) == 2
    assert extend(any_world, folder) == 0
    assert lines(folder) == leaves(any_world, 5)
    assert check(any_world, folder) == verify_mirror(folder, verifiers(any_world))


def test_what_was_read_is_not_read_again(world: World, folder: Path) -> None:
    """Of a mirror that is up to date, no leaf is looked at: the bookmark and the stored hashes are enough."""
    grow(world, 3)
    extend(world, folder)
    changed = (folder / ENTRIES).read_bytes().replace(b"contract", b"c0ntract")
    (folder / ENTRIES).write_bytes(changed)
    assert extend(world, folder) == 0
    refuse("mirror_differs", lambda: check(world, folder))


def test_the_checkpoint_gains_the_lines_of_its_witnesses(world: World, folder: Path) -> None:
    grow(world, 1)
    extend(world, folder)
    witness = CosignatureSigner("witness.example.test/w", Ed25519PrivateKey.from_private_bytes(bytes(32)))
    with world.database.write() as connection:
        size, note = newest_checkpoint(connection) or (0, "")
        store_cosignatures(connection, size, [witness.sign(unverified_text(note), NOW_MS)])
    assert extend(world, folder) == 0
    assert "— witness.example.test/w " in (folder / CHECKPOINT).read_text("utf-8")
    assert check(world, folder).size == 1


def test_it_goes_on_from_every_byte_at_which_a_run_may_have_ended(world: World, folder: Path) -> None:
    grow(world, 2)
    extend(world, folder)
    before = contents(folder)
    grow(world, 2)
    extend(world, folder)
    after = contents(folder)
    for end in range(len(before[ENTRIES]), len(after[ENTRIES])):
        (folder / ENTRIES).write_bytes(after[ENTRIES][:end])
        (folder / CHECKPOINT).write_bytes(before[CHECKPOINT])
        (folder / BOOKMARK).write_bytes(before[BOOKMARK])
        assert extend(world, folder) == 4 - after[ENTRIES][:end].count(b"\n")
        assert contents(folder) == after


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"size":1}', b'{"size":4,"size_bytes":1e9,"frontier":""}'])
def test_without_its_bookmark_it_compares_everything(world: World, folder: Path, damage: bytes) -> None:
    grow(world, 4)
    extend(world, folder)
    whole = contents(folder)
    (folder / BOOKMARK).write_bytes(damage)
    assert extend(world, folder) == 0
    assert contents(folder) == whole


def test_a_file_that_lost_its_end_gets_it_back(world: World, folder: Path) -> None:
    grow(world, 4)
    extend(world, folder)
    whole = contents(folder)
    for lost in (1, 2, 700):
        (folder / ENTRIES).write_bytes(whole[ENTRIES][:-lost])
        refuse("mirror_cut_short", lambda: verify_mirror(folder, verifiers(world)))
        assert extend(world, folder) > 0
        assert contents(folder) == whole


def test_half_a_line_after_the_last_one_is_cut_off(world: World, folder: Path) -> None:
    """The database lost what it had not yet signed, and the mirror had begun to get it: nothing anybody could use."""
    grow(world, 2)
    extend(world, folder)
    whole = contents(folder)
    (folder / ENTRIES).write_bytes(whole[ENTRIES] + b'{"basis":"con')
    assert verify_mirror(folder, verifiers(world)).size == 2
    assert extend(world, folder) == 0
    assert contents(folder) == whole


def test_two_runs_do_not_write_at_once(world: World, folder: Path) -> None:
    grow(world, 2)
    extend(world, folder)
    grow(world, 2)
    with ThreadPoolExecutor(1) as pool:
        with locked(folder / BOOKMARK):
            waiting = pool.submit(extend, world, folder)
            time.sleep(OVERLAP_S)
            assert len(lines(folder)) == 2
        assert waiting.result(timeout=30) == 2
    assert lines(folder) == leaves(world, 4)


def behind(world: World, _folder: Path) -> None:
    """An older copy of the database took the place of the newer one."""
    with open_file(world.database) as connection:
        cut(connection, 2)


def behind_and_without_bookmark(world: World, folder: Path) -> None:
    behind(world, folder)
    (folder / BOOKMARK).unlink()


def behind_and_without_checkpoint(world: World, folder: Path) -> None:
    behind(world, folder)
    (folder / CHECKPOINT).unlink()


def behind_and_interrupted(world: World, folder: Path) -> None:
    """The mirror had just got leaves whose checkpoint it had not, when the database was lost."""
    written = contents(folder)
    behind(world, folder)
    for name in (CHECKPOINT, BOOKMARK):
        (folder / name).unlink()
    assert written[ENTRIES] == (folder / ENTRIES).read_bytes()


def empty(world: World, _folder: Path) -> None:
    with open_file(world.database) as connection:
        cut(connection, 0)


def rewritten(world: World, folder: Path) -> None:
    """Another history from entry 1 on, of the same length, signed with the stolen key."""
    with open_file(world.database) as connection:
        cut(connection, 1)
    world.signer._state_path.write_text('{"size": 0, "root": ""}', encoding="ascii")
    grow(world, 3)


def rewritten_and_longer(world: World, folder: Path) -> None:
    rewritten(world, folder)
    grow(world, 3)


def rewritten_without_bookmark(world: World, folder: Path) -> None:
    rewritten(world, folder)
    for name in (CHECKPOINT, BOOKMARK):
        (folder / name).unlink()


def foreign_line(world: World, folder: Path) -> None:
    with open(folder / ENTRIES, "ab") as file:
        file.write(b'{"v":1}\n')


def foreign_line_where_ours_goes_next(world: World, folder: Path) -> None:
    foreign_line(world, folder)
    grow(world, 1)


def endless_line(world: World, folder: Path) -> None:
    with open(folder / ENTRIES, "ab") as file:
        file.write(b"x" * 200_000)
    grow(world, 1)


def no_checkpoint(world: World, folder: Path) -> None:
    (folder / CHECKPOINT).write_bytes(b"a shopping list\n")


@pytest.mark.parametrize(
    ("attack", "reason"),
    [
        (behind, "mirror_is_ahead"),
        (behind_and_without_bookmark, "mirror_is_ahead"),
        (behind_and_without_checkpoint, "mirror_is_ahead"),
        (behind_and_interrupted, "mirror_is_ahead"),
        (empty, "mirror_is_ahead"),
        (rewritten, "mirror_differs"),
        (rewritten_and_longer, "mirror_differs"),
        (rewritten_without_bookmark, "mirror_differs"),
        (foreign_line, "mirror_is_ahead"),
        (foreign_line_where_ours_goes_next, "mirror_differs"),
        (endless_line, "mirror_differs"),
        (no_checkpoint, "mirror_differs"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_not_of_this_ledger_is_never_changed(
    world: World, folder: Path, attack: Callable[[World, Path], None], reason: str
) -> None:
    grow(world, 4)
    extend(world, folder)
    attack(world, folder)
    there = contents(folder)
    refuse(reason, lambda: extend(world, folder))
    assert contents(folder) == there


def test_a_mirror_of_another_ledger_is_never_changed(world: World, folder: Path, tmp_path: Path) -> None:
    other = World(settings_for(tmp_path / "other"))
    grow(other, 2)
    extend(other, folder)
    there = contents(folder)
    grow(world, 3)
    refuse("mirror_differs", lambda: extend(world, folder))
    assert contents(folder) == there
    refuse("signature_invalid", lambda: _with_a_stolen_name(world, folder))
    other.close()


def _with_a_stolen_name(world: World, folder: Path) -> None:
    """Their note with our key's name and id on the line."""
    ours = world.command("ledger", "checkpoint").stdout.splitlines()[-1].split(" ")
    theirs = (folder / CHECKPOINT).read_text("utf-8")
    line = theirs.splitlines()[-1].split(" ")[-1]
    (folder / CHECKPOINT).write_text(theirs.replace(line, ours[-1]), "utf-8")
    verify_mirror(folder, verifiers(world))


def test_a_leaf_that_is_not_the_signed_one_is_not_copied(world: World, folder: Path) -> None:
    grow(world, 2)
    extend(world, folder)
    grow(world, 2)
    there = contents(folder)
    with open_file(world.database) as connection:
        change_leaf(connection, 3, b"contract", b"consent")
    refuse("ledger_differs_from_checkpoint", lambda: extend(world, folder))
    assert contents(folder) == there


def test_who_reads_it_back_is_told_what_does_not_fit(world: World, folder: Path) -> None:
    refuse("mirror_without_checkpoint", lambda: verify_mirror(folder, verifiers(world)))
    grow(world, 5)
    extend(world, folder)
    assert list(read_leaves(folder, 1, 4)) == leaves(world, 5)[1:4]
    assert list(read_leaves(folder, 2, 2)) == []
    refuse("mirror_cut_short", lambda: list(read_leaves(folder, 2, 6)))
    checkpoint, found = open_mirror(folder, verifiers(world))
    assert (checkpoint.size, list(found)) == (5, leaves(world, 5))
    (folder / ENTRIES).write_bytes((folder / ENTRIES).read_bytes().replace(b"contract", b"c0ntract", 1))
    refuse("mirror_differs", lambda: verify_mirror(folder, verifiers(world)))
    with pytest.raises(NoteError):
        verify_mirror(folder, [NoteVerifier("samtykke.example.org/test", bytes(32))])


def test_a_disk_that_is_away_is_no_traceback(world: World, tmp_path: Path) -> None:
    grow(world, 1)
    (tmp_path / "file").write_bytes(b"")
    refuse("mirror_not_usable", lambda: extend(world, tmp_path / "file"))


VICTIM = """
import os, sys
from pathlib import Path
from ledger.database import Database
from ledger.mirror import extend_mirror
database = Database(sys.argv[1])
print("ready", flush=True)
with database.read() as connection:
    extend_mirror(connection, Path(sys.argv[2]))
"""


def test_kill_9_while_it_is_written(world: World, folder: Path) -> None:
    append_purchases(world.database, 3_000)
    world.sign()
    for delay_bytes in range(0, 600_000, 120_000):
        victim = subprocess.Popen(
            [sys.executable, "-c", VICTIM, world.settings.database_url, str(folder)], stdout=subprocess.PIPE, text=True
        )
        assert victim.stdout is not None
        victim.stdout.readline()
        entries = folder / ENTRIES
        while victim.poll() is None and (not entries.exists() or entries.stat().st_size <= delay_bytes):
            pass
        if victim.poll() is None:
            os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        victim.stdout.close()
    extend(world, folder)
    assert check(world, folder).size == 3_000
    assert lines(folder) == leaves(world, 3_000)


# The commands


def test_export_and_mirror_are_one_deed(world: World, folder: Path) -> None:
    result = world.command("ledger", "export", str(folder))
    assert (result.exit_code, result.stderr) == (1, "nothing_signed_yet\n")
    grow(world, 2)
    assert '"added": 2' in world.command("ledger", "export", str(folder), "--json").stdout
    grow(world, 1)
    assert '"added": 1' in world.command("ledger", "mirror", str(folder), "--json").stdout
    checked = world.command("ledger", "mirror", str(folder), "--check", "--json")
    assert (checked.exit_code, '"entries": 3' in checked.stdout) == (0, True)
    behind(world, folder)
    refused = world.command("ledger", "export", str(folder))
    assert (refused.exit_code, refused.stderr) == (4, "mirror_is_ahead\n")
    checked = world.command("ledger", "mirror", str(folder), "--check")
    assert (checked.exit_code, checked.stderr) == (1, "mirror_is_ahead\n")


def test_the_mirror_is_where_the_settings_say(world: World, tmp_path: Path) -> None:
    grow(world, 2)
    refused = world.command("ledger", "mirror")
    assert (refused.exit_code, refused.stderr) == (4, "mirror_dir_not_set\n")
    mirrored = World(settings_for(tmp_path / "mirrored", mirror_dir=tmp_path / "kept"))
    grow(mirrored, 2)
    away = mirrored.command("ledger", "mirror")
    assert (away.exit_code, away.stderr) == (5, "mirror_not_usable\n"), "its disk may not be mounted"
    (tmp_path / "kept").mkdir()
    assert mirrored.command("ledger", "mirror").exit_code == 0
    assert lines(tmp_path / "kept") == leaves(mirrored, 2)
    mirrored.close()
