"""The client against real witnesses: a note gains their line, and what a witness knows is never overlooked."""

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.checkpoints import newest_checkpoint, newest_cosigned
from ledger.cosignature import CosignatureSigner, check_cosignatures
from ledger.note import NoteError, NoteVerifier, open_note, unverified_text
from tests.ledger.desk import NOW_MS, append_purchases
from tests.ledger.tampering import open_file
from tests.workers.witnessing import NAME, Backup, Served, silent, witnessing
from tests.world import World
from workers import witnesses
from workers.witnesses import WitnessClient, WitnessError


@pytest.fixture
def witness(world: World) -> Iterator[Served]:
    with witnessing(world) as served:
        yield served


def grow(world: World, count: int) -> None:
    append_purchases(world.database, count)
    assert world.sign() is not None


def client(served: Served) -> WitnessClient:
    return WitnessClient(*served.setting(), allow_loopback=True)


def refusal(world: World, asked: WitnessClient) -> str:
    before = cosigned(world)
    with pytest.raises((WitnessError, NoteError)) as caught:
        asked.cosign(world.database)
    assert cosigned(world) == before
    return caught.value.reason


def cosigned(world: World, name: str = NAME) -> int | None:
    with world.database.read() as connection:
        return newest_cosigned(connection, name)


def test_a_note_gains_the_line_of_the_witness(any_world: World) -> None:
    with witnessing(any_world) as served:
        for count, size in ((3, 3), (1, 4), (300, 304)):
            grow(any_world, count)
            assert client(served).cosign(any_world.database) == size == served.size == cosigned(any_world)
        assert served.asked == 3
        with any_world.database.read() as connection:
            newest = newest_checkpoint(connection)
        assert newest is not None
        text = open_note(newest[1], [NoteVerifier.from_vkey(any_world.signer.vkey)]).text
        lines = newest[1].removeprefix(f"{text}\n")
        assert check_cosignatures(text, lines, served.verifier).timestamp_s == NOW_MS // 1000


def test_what_is_cosigned_can_be_asked_for_again(world: World, witness: Served) -> None:
    grow(world, 3)
    assert [client(witness).cosign(world.database) for _ in range(2)] == [3, 3]


def test_two_witnesses_each_sign_the_line_of_their_own(world: World, witness: Served) -> None:
    with witnessing(world, "witness.example.org/w2") as other:
        grow(world, 3)
        for each in (witness, other):
            assert client(each).cosign(world.database) == 3
        with world.database.read() as connection:
            newest = newest_checkpoint(connection)
        assert newest is not None
        assert newest[1].count("witness.example.org/w") == 2


def test_from_what_it_knows_it_is_asked_again_at_once(world: World, witness: Served) -> None:
    """Its lines may be lost here: a ledger that was made anew from its mirror has none."""
    grow(world, 3)
    client(witness).cosign(world.database)
    with open_file(world.database) as file:
        file.execute("DELETE FROM ledger_cosignature")
    grow(world, 4)
    assert client(witness).cosign(world.database) == 7
    assert witness.asked == 3
    assert witness.size == 7


def test_more_than_there_is_was_seen(world: World, witness: Served) -> None:
    grow(world, 3)
    backup = Backup(world)
    grow(world, 3)
    client(witness).cosign(world.database)
    backup.restore()
    assert refusal(world, client(witness)) == "witness_is_ahead"
    assert witness.size == 6


@pytest.mark.parametrize("more", [3, 5])
def test_another_tree_of_the_same_or_a_smaller_size_was_seen(world: World, witness: Served, more: int) -> None:
    grow(world, 3)
    client(witness).cosign(world.database)
    backup = Backup(world)
    grow(world, 3)
    client(witness).cosign(world.database)
    backup.restore()
    grow(world, more)
    assert refusal(world, client(witness)) == "witness_saw_another_tree"
    assert witness.size == 6


def test_more_than_is_signed_is_not_yet_more_than_there_is(world: World, witness: Served) -> None:
    grow(world, 3)
    backup = Backup(world)
    grow(world, 3)
    client(witness).cosign(world.database)
    backup.restore()
    append_purchases(world.database, 3)
    assert refusal(world, client(witness)) == "checkpoint_awaited"
    world.sign()
    assert refusal(world, client(witness)) == "witness_saw_another_tree"


def test_a_damaged_node_of_ours_is_no_other_tree(world: World, witness: Served) -> None:
    grow(world, 3)
    client(witness).cosign(world.database)
    grow(world, 3)
    with open_file(world.database) as file:
        file.execute("UPDATE ledger_node SET hash = zeroblob(32)")
    with pytest.raises(Exception, match="proof_failed"):
        client(witness).cosign(world.database)
    assert witness.asked == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (("", 200), "not_signed_by_known_key"),
        (("nothing to sign", 200), "cosignature_malformed"),
        (("\N{EM DASH} nonsense\n", 200), "signature_line_malformed"),
        (("<html>", 403), "witness_has_another_key"),
        (("", 404), "witness_does_not_know_the_log"),
        (("", 422), "witness_saw_another_tree"),
        (("", 429), "witness_is_busy"),
        (("", 500), "witness_failed"),
        (("", 301), "witness_redirect"),
        (("", 409), "witness_failed"),
        (("0\n", 409), "witness_failed"),
        (("4\n", 409), "witness_is_ahead"),
        (("9223372036854775808\n", 409), "witness_failed"),
        (("x" * 70_000, 200), "witness_response_too_large"),
    ],
)
def test_no_other_answer_is_kept(world: World, witness: Served, answer: tuple[str, int], reason: str) -> None:
    grow(world, 3)
    witness.answers = [answer]
    assert refusal(world, client(witness)) == reason
    assert client(witness).cosign(world.database) == 3


def test_whoever_disagrees_twice_is_asked_another_time(world: World, witness: Served) -> None:
    grow(world, 3)
    witness.answers = [("2\n", 409), ("1\n", 409)]
    assert refusal(world, client(witness)) == "witness_has_another_size"
    assert witness.asked == 2


@pytest.mark.parametrize("body", ["3\n", "", "not what our witness says"])
def test_at_the_same_size_any_conflict_is_about_the_tree(world: World, witness: Served, body: str) -> None:
    grow(world, 3)
    client(witness).cosign(world.database)
    witness.answers = [(body, 409)]
    assert refusal(world, client(witness)) == "witness_saw_another_tree"


def test_a_line_of_somebody_else_or_about_something_else_is_not_kept(world: World, witness: Served) -> None:
    grow(world, 3)
    client(witness).cosign(world.database)
    with world.database.read() as connection:
        newest = newest_checkpoint(connection)
    assert newest is not None
    stale = newest[1].splitlines(keepends=True)[-1]
    grow(world, 1)
    witness.answers = [(stale, 200)]
    assert refusal(world, client(witness)) == "signature_invalid"
    stranger = CosignatureSigner("witness.example.org/w9", Ed25519PrivateKey.generate())
    witness.answers = [(stranger.sign(unverified_text(newest[1]), NOW_MS), 200)]
    assert refusal(world, client(witness)) == "not_signed_by_known_key"


def test_a_witness_that_is_away_or_silent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witnesses, "DEADLINE_S", 0.2)
    grow(world, 3)
    with witnessing(world) as served:
        vkey, url = served.setting()
    assert refusal(world, WitnessClient(vkey, url, allow_loopback=True)) == "witness_connect"
    with silent() as mute:
        assert refusal(world, WitnessClient(vkey, mute.url, allow_loopback=True)) == "witness_deadline"
    assert refusal(world, WitnessClient(vkey, url)) == "witness_scheme_not_allowed"


def test_without_a_checkpoint_there_is_nothing_to_show(world: World, witness: Served) -> None:
    assert refusal(world, client(witness)) == "checkpoint_awaited"
    assert witness.asked == 0
