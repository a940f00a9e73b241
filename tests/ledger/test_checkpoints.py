"""The signer signs what continues what it signed, and nothing else: never two roots for one size."""

import shutil
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from ledger import tlog
from ledger.checkpoints import Signer, SignerState, newest_checkpoint, read_state, write_state
from ledger.errors import DatabaseAwayError, SignerError
from ledger.keyring import SIGNER_STATE, load_keyring
from ledger.log import node_reader, root
from ledger.note import Checkpoint, NoteVerifier, open_note, parse_checkpoint
from ledger.tables import ledger_checkpoint
from tests.ledger.desk import append_purchases, at_once
from tests.ledger.tampering import change_leaf, cut, open_file
from tests.world import World


def state_file(world: World) -> Path:
    return world.settings.keys_dir / SIGNER_STATE


def checkpoints(world: World) -> list[Checkpoint]:
    verifiers = [NoteVerifier.from_vkey(world.signer.vkey)]
    with world.database.read() as connection:
        notes = connection.execute(select(ledger_checkpoint.c.note).order_by(ledger_checkpoint.c.size)).scalars()
        return [parse_checkpoint(open_note(note, verifiers).text) for note in notes]


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
