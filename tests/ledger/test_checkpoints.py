"""The signer signs what continues what it signed, and nothing else: never two roots for one size."""

import shutil
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from ledger import checkpoints as checkpoints_module
from ledger import tlog
from ledger.checkpoints import (
    Signer,
    SignerState,
    newest_checkpoint,
    newest_cosigned,
    note_signer,
    note_signers,
    note_verifiers,
    read_state,
    store_cosignatures,
    write_state,
)
from ledger.cosignature import CosignatureSigner, check_cosignatures
from ledger.errors import DatabaseAwayError, SignerError
from ledger.keyring import SIGNER_STATE, Key, load_keyring
from ledger.log import node_reader, root
from ledger.note import Checkpoint, NoteError, NoteVerifier, open_note, parse_checkpoint, unverified_text
from ledger.tables import ledger_checkpoint, ledger_cosignature
from tests.ledger.desk import NOW_MS, append_purchases, at_once
from tests.ledger.tampering import change_leaf, cut, open_file
from tests.world import ORIGIN, World


def state_file(world: World) -> Path:
    return world.settings.keys_dir / SIGNER_STATE


def checkpoints(world: World) -> list[Checkpoint]:
    verifiers = [NoteVerifier.from_vkey(world.signer.vkey)]
    with world.database.read() as connection:
        notes = connection.execute(select(ledger_checkpoint.c.note).order_by(ledger_checkpoint.c.size)).scalars()
        return [parse_checkpoint(open_note(note, verifiers).text) for note in notes]


def newest(world: World) -> tuple[int, str]:
    with world.database.read() as connection:
        found = newest_checkpoint(connection)
    assert found is not None
    return found


def refusal(world: World) -> str:
    before = state_file(world).read_bytes() if state_file(world).exists() else None
    signed = checkpoints(world)
    with pytest.raises(SignerError) as caught:
        world.sign()
    assert (state_file(world).read_bytes() if state_file(world).exists() else None) == before
    assert checkpoints(world) == signed
    return caught.value.reason


def test_it_signs_when_the_ledger_has_grown_and_only_then(any_world: World) -> None:
    assert any_world.sign() is None
    append_purchases(any_world.database, 2)
    assert [any_world.sign(), any_world.sign()] == [2, None]
    append_purchases(any_world.database, 5)
    assert any_world.sign() == 7
    first, second = checkpoints(any_world)
    with any_world.database.read() as connection:
        proof = tlog.prove_consistency(2, 7, node_reader(connection))
        assert newest_checkpoint(connection, at_least=8) is None
    tlog.check_consistency(first.size, first.root, second.size, second.root, proof)
    assert read_state(state_file(any_world)) == SignerState(second.size, second.root)


def test_it_refuses_a_ledger_that_is_behind(world: World) -> None:
    append_purchases(world.database, 4)
    world.sign()
    with open_file(world.database) as file:
        cut(file, 3)
    assert refusal(world) == "ledger_behind_signer"


def test_it_refuses_a_restored_backup_that_was_written_on(world: World) -> None:
    append_purchases(world.database, 2)
    world.sign()
    append_purchases(world.database, 2)
    world.sign()
    with open_file(world.database) as file:
        cut(file, 2)
    append_purchases(world.database, 6)
    assert refusal(world) == "ledger_forked"


def test_it_refuses_a_new_leaf_that_is_not_what_was_hashed(world: World) -> None:
    append_purchases(world.database, 2)
    world.sign()
    append_purchases(world.database, 2)
    with open_file(world.database) as file:
        change_leaf(file, 3, b"contract", b"consent")
    assert refusal(world) == "ledger_leaf_changed"


def test_it_refuses_a_new_leaf_that_is_gone(world: World) -> None:
    append_purchases(world.database, 4)
    with open_file(world.database) as file:
        file.execute("DELETE FROM ledger_entry WHERE position = 2")
    assert refusal(world) == "ledger_leaf_changed"


@pytest.mark.parametrize("position", [2, 3, 4, 5, 6, 8])
def test_it_finds_a_changed_leaf_in_whatever_batch_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch, position: int
) -> None:
    monkeypatch.setattr(checkpoints_module, "LEAF_BATCH", 3)
    append_purchases(world.database, 2)
    world.sign()
    append_purchases(world.database, 7)
    with open_file(world.database) as file:
        change_leaf(file, position, b"contract", b"consent")
    assert refusal(world) == "ledger_leaf_changed"
    with open_file(world.database) as file:
        change_leaf(file, position, b"consent", b"contract")
    assert world.sign() == 9


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "signer_state_missing"),
        ("", "signer_state_malformed"),
        ('{"size": 1}', "signer_state_malformed"),
        ('{"size": 1, "root": "*"}', "signer_state_malformed"),
    ],
)
def test_it_refuses_without_its_memory(world: World, content: str | None, reason: str) -> None:
    append_purchases(world.database, 1)
    state_file(world).unlink()
    if content is not None:
        state_file(world).write_text(content, encoding="ascii")
    assert refusal(world) == reason


def test_it_recovers_from_a_crash_between_its_memory_and_the_note(world: World) -> None:
    append_purchases(world.database, 3)
    with world.database.read() as connection:
        write_state(state_file(world), SignerState(3, root(connection, 3)))
    assert world.sign() == 3
    assert [(one.size, one.root) for one in checkpoints(world)] == [(3, read_state(state_file(world)).root)]


def test_it_recovers_also_when_the_ledger_has_grown_since_the_crash(world: World) -> None:
    append_purchases(world.database, 3)
    with world.database.read() as connection:
        write_state(state_file(world), SignerState(3, root(connection, 3)))
    append_purchases(world.database, 2)
    assert world.sign() == 5
    assert [one.size for one in checkpoints(world)] == [5]


def test_it_remembers_before_it_publishes(world: World) -> None:
    append_purchases(world.database, 3)
    with world.database.read() as connection:  # one connection in the pool: SQLite cannot write on it
        connection.exec_driver_sql("PRAGMA query_only = ON")
    with pytest.raises(DatabaseAwayError):
        world.sign()
    with world.database.read() as connection:
        connection.exec_driver_sql("PRAGMA query_only = OFF")
    remembered = read_state(state_file(world))
    assert (remembered.size, checkpoints(world)) == (3, [])
    assert world.sign() == 3
    assert [one.root for one in checkpoints(world)] == [remembered.root]


def test_it_accepts_a_memory_that_is_older_than_the_notes(world: World, tmp_path: Path) -> None:
    append_purchases(world.database, 2)
    world.sign()
    shutil.copy(state_file(world), tmp_path / "older")
    append_purchases(world.database, 2)
    world.sign()
    signed = checkpoints(world)
    shutil.copy(tmp_path / "older", state_file(world))
    world.sign()
    assert checkpoints(world) == signed
    assert read_state(state_file(world)).size == 4


def test_signers_at_once_sign_once(any_world: World) -> None:
    append_purchases(any_world.database, 4)
    key = load_keyring("clock", any_world.settings.keys_dir)["checkpoint"]
    signers = [Signer(key, any_world.settings.keys_dir) for _ in range(4)]
    signed = at_once([partial(signer.sign_if_grown, any_world.database, 1) for signer in signers])
    assert sorted(signed, key=str) == [4, None, None, None]
    assert [one.size for one in checkpoints(any_world)] == [4]


# Several keys


def rotated(world: World, *live: int) -> Key:
    """The checkpoint key in version 1, which the world has, and later ones; the newest live one is current."""
    first = load_keyring("clock", world.settings.keys_dir)["checkpoint"].value
    return Key(max(live), {version: first if version == 1 else bytes([version]) * 32 for version in live}, ORIGIN)


def sign_with(world: World, key: Key) -> str:
    """The newest note, after one more entry."""
    append_purchases(world.database, 1)
    assert Signer(key, world.settings.keys_dir).sign_if_grown(world.database, 1) is not None
    return newest(world)[1]


def test_in_a_rotation_the_readers_of_either_key_read_the_same_note(world: World) -> None:
    old, overlap, new = rotated(world, 1), rotated(world, 1, 2), rotated(world, 2)
    notes = [sign_with(world, key) for key in (old, overlap, new)]
    by_old, by_new = note_signer(old).verifier(), note_signer(new).verifier()
    assert open_note(notes[1], [by_old]).text == open_note(notes[1], [by_new]).text
    assert open_note(notes[1], [by_new, by_old]).signed_by == (by_new, by_old)
    for note, unknown in ((notes[0], by_new), (notes[2], by_old)):
        with pytest.raises(NoteError, match="not_signed_by_known_key"):
            open_note(note, [unknown])


def test_the_current_version_comes_first_whatever_its_number(world: World) -> None:
    key = Key(2, {version: bytes([version]) * 32 for version in (1, 2, 3)}, ORIGIN)
    assert note_signers(key)[0].vkey() == note_signer(key).vkey() == Signer(key, world.settings.keys_dir).vkey
    expected = [note_signer(Key(version, key.versions, ORIGIN)).vkey() for version in (2, 3, 1)]
    assert [signer.vkey() for signer in note_signers(key)] == expected


def test_what_a_retired_version_signed_still_verifies(world: World) -> None:
    old = rotated(world, 1)
    note = sign_with(world, old)
    public = note_signer(old).verifier().public_key
    new = Key(3, {2: b"2" * 32, 3: b"3" * 32}, ORIGIN, retired={1: public})
    verifiers = note_verifiers(new)
    assert verifiers == (*(signer.verifier() for signer in note_signers(new)), note_signer(old).verifier())
    assert open_note(note, verifiers).signed_by == (note_signer(old).verifier(),)
    with pytest.raises(NoteError, match="not_signed_by_known_key"):
        open_note(note, note_verifiers(Key(3, new.versions, ORIGIN)))


# The lines of witnesses


def witness(name: str) -> CosignatureSigner:
    return CosignatureSigner(name, Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32)))


def cosign(world: World, *witnesses: CosignatureSigner, at_ms: int = NOW_MS) -> None:
    size, note = newest(world)
    lines = [one.sign(unverified_text(note), at_ms) for one in witnesses]
    with world.database.write() as connection:
        store_cosignatures(connection, size, lines)


def test_the_newest_note_carries_the_lines_of_its_own_witnesses(any_world: World) -> None:
    one, two = witness("w.example.org/1"), witness("w.example.org/2")
    append_purchases(any_world.database, 1)
    any_world.sign()
    cosign(any_world, two, one)
    text, _, lines = newest(any_world)[1].partition("\n\n")
    assert open_note(newest(any_world)[1], [NoteVerifier.from_vkey(any_world.signer.vkey)]).text == text + "\n"
    assert [line.split()[1] for line in lines.splitlines()] == [ORIGIN, one.name, two.name]
    for each in (one, two):
        assert check_cosignatures(text + "\n", lines, each.verifier()).timestamp_s == NOW_MS // 1000
    append_purchases(any_world.database, 1)
    any_world.sign()
    assert newest(any_world)[1].count("\N{EM DASH}") == 1  # nobody has seen this one yet
    cosign(any_world, one)
    with any_world.database.read() as connection:
        assert [newest_cosigned(connection, name) for name in (one.name, two.name, "w.example.org/3")] == [2, 1, None]


def test_a_witness_says_one_thing_of_one_size_and_the_first_stays(any_world: World) -> None:
    one, two = witness("w.example.org/1"), witness("w.example.org/2")
    append_purchases(any_world.database, 1)
    any_world.sign()
    cosign(any_world, one)
    cosigned = newest(any_world)[1]
    cosign(any_world, one, two, at_ms=NOW_MS + 1_000)
    assert newest(any_world)[1].startswith(cosigned)
    assert [newest(any_world)[1].count(each.name) for each in (one, two)] == [1, 1]


def test_two_that_keep_a_line_at_once_keep_one(any_world: World) -> None:
    append_purchases(any_world.database, 1)
    any_world.sign()
    at_once([partial(cosign, any_world, witness("w.example.org/1"), at_ms=NOW_MS + 1_000 * n) for n in range(4)])
    assert newest(any_world)[1].count("w.example.org/1") == 1


def test_what_a_witness_said_cannot_be_changed(any_world: World) -> None:
    append_purchases(any_world.database, 1)
    any_world.sign()
    cosign(any_world, witness("w.example.org/1"))
    for change in (ledger_cosignature.delete(), ledger_cosignature.update().values(line="")):
        with pytest.raises(DBAPIError, match="append-only"), any_world.database.write() as connection:
            connection.execute(change)


def test_what_is_no_signature_line_is_not_kept(world: World) -> None:
    with pytest.raises(NoteError, match="signature_line_malformed"), world.database.write() as connection:
        store_cosignatures(connection, 1, ["nonsense\n"])
