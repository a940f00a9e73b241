"""Rotation: known, used, left behind, destroyed; with old and new processes side by side, interrupted, and refused."""

import base64
import hashlib
import shutil
import stat
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.checkpoints import newest_checkpoint, note_verifiers
from ledger.database import Database
from ledger.erasure import erase
from ledger.errors import KeyringError, LedgerError, RefusedError, SealError
from ledger.keyring import Key, key_path, load_keyring, read_key, replace_key
from ledger.log import lock_head
from ledger.note import NoteError, open_note
from ledger.rotation import FILES, SETTLED_AFTER_MS, StillUsedError
from ledger.sealing import public_of
from ledger.vault import load_subject, open_payloads
from schemas.token import TokenRefused, parse_token
from tests.ledger.desk import NOW_MS, Desk, at_once, withdrawal
from tests.ledger.rotating import key_entries, left_behind, nothing, rotate, rotation, stands
from tests.world import ORIGIN, World


@pytest.mark.parametrize("name", FILES)
def test_a_version_is_known_first_and_then_used(world: World, name: str) -> None:
    keys_dir = world.settings.keys_dir
    before = [read_key(keys_dir, file) for file in FILES[name]]
    assert rotation(world, name).begin() == 2
    known = [read_key(keys_dir, file) for file in FILES[name]]
    assert [(key.current, sorted(key.versions)) for key in known] == [(1, [1, 2])] * len(known)
    rotation(world, name).finish(nothing)
    used = [read_key(keys_dir, file) for file in FILES[name]]
    assert [(key.current, sorted(key.versions)) for key in used] == [(2, [1, 2])] * len(used)
    assert [(key.versions[1], key.origin) for key in used] == [(key.value, key.origin) for key in before]
    assert [key.versions[2] for key in known] == [key.value for key in used]
    assert len({key.value for key in (*before, *used)}) == 2 * len(before)
    assert {stat.S_IMODE(key_path(keys_dir, file).stat().st_mode) for file in FILES[name]} == {0o400}
    assert key_entries(world) == [(name, 2, "added"), (name, 2, "in_use")]


def test_the_two_halves_of_the_inbox_key_belong_together_at_every_step(world: World) -> None:
    keys_dir = world.settings.keys_dir
    steps = [rotation(world, "inbox").begin, partial(rotation(world, "inbox").finish, nothing)]
    for step in [*steps, partial(rotation(world, "inbox").destroy, 1)]:
        step()
        assert read_key(keys_dir, "inbox_public") == public_of(read_key(keys_dir, "inbox_private"))


@pytest.mark.parametrize("name", ["checkpoint", "receipt", "inbox"])
def test_the_entry_announces_the_public_key(world: World, name: str) -> None:
    rotation(world, name).begin()
    value = read_key(world.settings.keys_dir, FILES[name][0]).versions[2]
    public = Ed25519PrivateKey.from_private_bytes(value).public_key().public_bytes_raw()
    if name == "inbox":
        public = read_key(world.settings.keys_dir, "inbox_public").versions[2]
    (leaf,) = world.leaves()
    assert leaf["public_key_sha256"] == hashlib.sha256(public).hexdigest()
    assert value.hex() not in str(leaf)


def test_a_rotation_that_is_not_finished_is_not_begun_again(world: World) -> None:
    rotation(world, "kek").begin()
    with pytest.raises(RefusedError, match="rotation_unfinished"):
        rotation(world, "kek").begin()
    assert sorted(read_key(world.settings.keys_dir, "kek").versions) == [1, 2]
    rotation(world, "kek").finish(nothing)
    assert rotation(world, "kek").begin() == 3


def test_a_version_number_never_comes_back_and_there_are_255(world: World) -> None:
    keys_dir = world.settings.keys_dir
    signing, secret = read_key(keys_dir, "checkpoint"), bytes([7]) * 32
    replace_key(keys_dir, "checkpoint", Key(4, {4: secret}, signing.origin, {5: bytes([8]) * 32}))
    assert rotation(world, "checkpoint").begin() == 6
    replace_key(keys_dir, "kek", Key(255, {255: secret}))
    with pytest.raises(RefusedError, match="key_versions_used_up"):
        rotation(world, "kek").begin()


def test_two_operators_at_once_add_one_version(any_world: World) -> None:
    def begin() -> str:
        try:
            return str(rotation(any_world, "kek").begin())
        except RefusedError as error:
            return error.reason

    assert sorted(at_once([begin] * 4)) == ["2", *["rotation_unfinished"] * 3]
    assert sorted(read_key(any_world.settings.keys_dir, "kek").versions) == [1, 2]
    at_once([partial(rotation(any_world, "kek").finish, nothing)] * 3)
    assert key_entries(any_world) == [("kek", 2, "added"), ("kek", 2, "in_use")]


def test_what_an_interruption_left_out_is_done_by_the_next_run(world: World) -> None:
    keys_dir = world.settings.keys_dir
    private = read_key(keys_dir, "inbox_private")
    replace_key(keys_dir, "inbox_private", Key(1, {**private.versions, 2: bytes([2]) * 32}))
    assert key_entries(world) == [], "killed before the other half and the entry"
    with pytest.raises(RefusedError, match="rotation_unfinished"):
        rotation(world, "inbox").begin()
    assert read_key(keys_dir, "inbox_public") == public_of(read_key(keys_dir, "inbox_private"))
    assert key_entries(world) == [("inbox", 2, "added")]
    replace_key(keys_dir, "inbox_private", Key(2, read_key(keys_dir, "inbox_private").versions))
    rotation(world, "inbox").finish(nothing)
    assert read_key(keys_dir, "inbox_public").current == 2
    assert key_entries(world)[1:] == [("inbox", 2, "in_use")]
    replace_key(keys_dir, "inbox_private", Key(2, {2: bytes([2]) * 32}))
    rotation(world, "inbox").destroy(1)
    assert key_entries(world)[2:] == [("inbox", 1, "destroyed")]
    rotation(world, "inbox").destroy(1)
    assert len(key_entries(world)) == 3, "said once"


def test_nothing_is_changed_when_the_files_or_the_database_cannot_be(world: World) -> None:
    keys_dir = world.settings.keys_dir
    (keys_dir / "rotation.lock").mkdir()
    with pytest.raises(KeyringError, match="key_files_not_writable"):
        rotation(world, "kek").begin()
    (keys_dir / "rotation.lock").rmdir()
    key_path(keys_dir, "inbox_public").unlink()
    with pytest.raises(KeyringError, match="key_missing_inbox_public"):
        rotation(world, "inbox").begin()
    assert sorted(read_key(keys_dir, "kek").versions) == [1]
    assert key_entries(world) == []


def refusals(world: World, name: str, *versions: int) -> list[str]:
    found = []
    for version in versions:
        with pytest.raises(LedgerError) as refused:
            rotation(world, name).destroy(version)
        found.append(refused.value.reason)
    return found


def test_only_an_older_version_can_be_destroyed(world: World) -> None:
    rotation(world, "kek").begin()
    in_use, unknown = "key_version_in_use", "key_version_unknown"
    assert refusals(world, "kek", 1, 2, 3, 0, -1) == [in_use, in_use, unknown, unknown, unknown]
    assert key_entries(world) == [("kek", 2, "added")]


def test_a_version_is_not_destroyed_before_the_last_transaction_that_sealed_with_it_has_ended(world: World) -> None:
    rotate(world, "kek")
    changed_at_ms = key_path(world.settings.keys_dir, "kek").stat().st_mtime_ns // 1_000_000
    for at_ms in (changed_at_ms, changed_at_ms + SETTLED_AFTER_MS - 1):
        with pytest.raises(RefusedError, match="key_changed_just_now"):
            rotation(world, "kek", at_ms).destroy(1)
    rotation(world, "kek", changed_at_ms + SETTLED_AFTER_MS).destroy(1)
    assert sorted(read_key(world.settings.keys_dir, "kek").versions) == [2]


def test_a_mailed_link_works_after_every_rotation_and_its_key_is_never_destroyed(world: World) -> None:
    world.give("kari@example.no")
    old_link = world.link("w")
    rotate(world, "token_mac")
    world.give("ola@example.no")
    world.carry()
    new_link = world.link("w")
    assert new_link != old_link
    assert refusals(world, "token_mac", 1) == ["mailed_links_work_for_ever"]
    for link in (old_link, new_link):
        assert world.client.post(link, data={"confirm": "1"}).status_code == 200
    world.record()
    assert [world.check(email)["reason"] for email in ("kari@example.no", "ola@example.no")] == ["withdrawn"] * 2


def test_a_web_process_of_before_knows_the_links_that_a_relay_of_after_mails(world: World) -> None:
    rotation(world, "token_mac").begin()
    web = left_behind(world, "web")
    rotation(world, "token_mac").finish(nothing)
    world.give("kari@example.no")
    world.carry()
    token = world.link("w").removeprefix("/w/")
    assert parse_token(token, web["token_mac"].versions)
    with pytest.raises(TokenRefused):
        parse_token(token, {1: web["token_mac"].versions[1]})


def test_old_suppressions_stop_under_the_new_version_and_keep_theirs(any_world: World) -> None:
    desk = Desk(any_world)
    desk.say(withdrawal("kari@example.no", "newsletter"), NOW_MS)
    rotation(any_world, "suppression").begin()
    desk.keyring = left_behind(any_world, "record")
    rotation(any_world, "suppression").finish(nothing)
    desk.say(withdrawal("ola@example.no", "newsletter"), NOW_MS)  # by a recorder of before
    new = Desk(any_world)
    new.say(withdrawal("per@example.no", "newsletter"), NOW_MS)
    for asking in (desk, new):
        people = ["kari@example.no", "ola@example.no", "per@example.no"]
        assert [asking.check(email) for email in people] == ["suppressed"] * 3
    assert stands(any_world, "suppression").uses == {1: {"suppressions": 2}, 2: {"suppressions": 1}}
    with pytest.raises(StillUsedError) as refused:
        rotation(any_world, "suppression").destroy(1)
    assert (refused.value.reason, refused.value.uses) == ("key_version_still_used", {"suppressions": 2})
    for email in ("kari@example.no", "ola@example.no"):  # said again, each is kept under the new version
        new.say(withdrawal(email, "newsletter"), NOW_MS + 1)
    rotation(any_world, "suppression").destroy(1)
    assert [new.check(email) for email in people] == ["suppressed"] * 3


def test_both_versions_sign_in_the_overlap_and_a_retired_one_still_verifies(world: World) -> None:
    keys_dir = world.settings.keys_dir

    def signed() -> str:
        world.signer = type(world.signer)(load_keyring("clock", keys_dir)["checkpoint"], keys_dir)
        assert world.sign() is not None
        with world.database.read() as connection:
            newest = newest_checkpoint(connection)
        assert newest is not None
        return newest[1]

    world.give("kari@example.no")
    old = note_verifiers(read_key(keys_dir, "checkpoint"))
    notes = [signed()]
    rotation(world, "checkpoint").begin()
    notes.append(signed())
    rotation(world, "checkpoint").finish(nothing)
    notes.append(signed())
    rotation(world, "checkpoint").destroy(1)
    notes.append(signed())
    key = read_key(keys_dir, "checkpoint")
    assert (sorted(key.versions), dict(key.retired), key.origin) == ([2], {1: old[0].public_key}, ORIGIN)
    new = note_verifiers(key)
    assert [len(open_note(note, new).signed_by) for note in notes] == [1, 2, 2, 1]
    assert [len(open_note(note, old).signed_by) for note in notes[:3]] == [1, 1, 1]
    with pytest.raises(NoteError, match="not_signed_by_known_key"):
        open_note(notes[3], old)
    said = [(2, "added"), (2, "in_use"), (1, "retired")]
    assert key_entries(world) == [("checkpoint", *each) for each in said]
    assert world.leaves()[-1]["public_key_sha256"] == hashlib.sha256(old[0].public_key).hexdigest()


def test_a_secret_that_is_destroyed_is_in_no_file_any_more(world: World) -> None:
    keys_dir = world.settings.keys_dir
    for name, files in FILES.items():
        if name == "token_mac":
            continue
        secret = read_key(keys_dir, files[0]).value
        draft = keys_dir / f".{files[0]}.json.0123abcd"  # as a kill leaves it
        draft.write_bytes(key_path(keys_dir, files[0]).read_bytes())
        rotate(world, name)
        rotation(world, name).destroy(1)
        left = b"".join(file.read_bytes() for file in keys_dir.iterdir())
        assert base64.b64encode(secret) not in left


def test_after_its_epoch_a_backup_tells_nothing_of_an_erased_person_whoever_has_all_keys(
    world: World, tmp_path: Path
) -> None:
    world.give("kari@example.no")
    world.give("ola@example.no")
    desk, kek = Desk(world), partial(read_key, world.settings.keys_dir, "kek")
    handle = desk.handle("kari@example.no")
    backup = tmp_path / "backup.db"
    with world.database.write():  # nobody writes while it is copied
        for suffix in ("", "-wal"):
            shutil.copy(f"{world.database.url.database}{suffix}", f"{backup}{suffix}")
    rotate(world, "kek")
    with world.database.write() as connection:
        lock_head(connection)
        erase(connection, desk.recorder(NOW_MS), handle, "consent_withdrawn")
    restored = Database(f"sqlite:///{backup}")
    with restored.read() as connection:  # the person is gone here, and there still for as long as the version lives
        person = load_subject(connection, kek(), handle)
        assert open_payloads(connection, person)[0]["email"] == "kari@example.no"
    rotation(world, "kek").destroy(1)
    with restored.read() as connection, pytest.raises(SealError, match="key_version_unknown"):
        load_subject(connection, kek(), handle)
    restored.close()
    assert desk.payloads("ola@example.no")[0]["email"] == "ola@example.no"
