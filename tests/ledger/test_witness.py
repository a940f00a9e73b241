"""The witness: every answer of the specification, and never two histories under its name."""

from base64 import b64decode, b64encode
from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger import tlog
from ledger.cosignature import CosignatureSigner, check_cosignatures
from ledger.note import Checkpoint, NoteSigner, NoteVerifier, format_checkpoint, format_vkey, sign_note
from ledger.witness import (
    EMPTY_HEAD,
    PROOF_LINES_MAX,
    REQUEST_SIZE_MAX_BYTES,
    AddCheckpoint,
    TreeHead,
    Witness,
    WitnessRefusal,
    format_request,
    format_size,
    parse_request,
    parse_size,
)

NOW_MS = 4_000_000_000_000
ORIGIN = "log.example.org/1"
LOG = NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"l" * 32))
STRANGER = NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"s" * 32))
COSIGNER = CosignatureSigner("witness.example.org/w1", Ed25519PrivateKey.from_private_bytes(b"w" * 32))

# The first requests that the witness of filippo.io/torchwood is tested with (internal/witness/witness_test.go).
SIGSUM_ORIGIN = "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562"
SIGSUM_KEY = bytes.fromhex("ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f")
SIGSUM_SIZE_1 = f"""old 0

{SIGSUM_ORIGIN}
1
KgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=

— {SIGSUM_ORIGIN} UgIom7fPZTqpxWWhyjWduBvTvGVqsokMbqTArsQilegKoFBJQjUFAmQ0+YeSPM3wfUQMFSzVnnNuWRTYrajXpNUbIQY=
"""
SIGSUM_SIZE_3 = f"""old 1
KgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
KgIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=

{SIGSUM_ORIGIN}
3
RcCI1Nk56ZcSmIEfIn0SleqtV7uvrlXNccFx595Iwl0=

— {SIGSUM_ORIGIN} UgIom2VbtIcdFbwFAy1n7s6IkAxIY6J/GQOTuZF2ORV39d75cbAj2aQYwyJre36kezNobZs4SUUdrcawfAB8WVrx6go=
"""
SIGSUM_SIZE_5 = f"""old 1
KgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
+fUDV+k970B4I3uKrqJM4aP1lloPZP8mvr2Z4wRw2LI=
KgQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=

{SIGSUM_ORIGIN}
5
QrtXrQZCCvpIgsSmOsah7HdICzMLLyDfxToMql9WTjY=

— {SIGSUM_ORIGIN} UgIomw/EOJmWi0i1FQsOj+etB7F8IccFam/jgd6wzRns4QPVmyEZtdvl1U2KEmLOZ/ASRcWJi0tW90dJWAShei7sDww=
"""


class MemoryStore:
    """What a witness knows, in a dictionary; `meanwhile` is put in between its reading and its writing."""

    def __init__(self, verifiers: dict[str, list[NoteVerifier]]) -> None:
        self._verifiers = verifiers
        self.heads: dict[str, TreeHead] = {}
        self.meanwhile: TreeHead | None = None

    def verifiers(self, origin: str) -> Sequence[NoteVerifier]:
        return self._verifiers.get(origin, [])

    def head(self, origin: str) -> TreeHead:
        return self.heads.get(origin, EMPTY_HEAD)

    def replace_head(self, origin: str, old: TreeHead, new: TreeHead) -> TreeHead:
        if self.meanwhile is not None:
            self.heads[origin] = self.meanwhile
        if self.head(origin) == old:
            self.heads[origin] = new
        return self.head(origin)


class Tree:
    """A log in memory; two with another `salt` are forks of each other from the start."""

    def __init__(self, salt: bytes = b"") -> None:
        frontier, self.nodes = tlog.Frontier(0, ()), dict[int, bytes]()
        for position in range(20):
            frontier, completed = frontier.append(tlog.leaf_hash(salt + bytes([position])))
            self.nodes |= dict(completed)

    def read(self, indexes: Sequence[int]) -> dict[int, bytes]:
        return {index: self.nodes[index] for index in indexes}

    def head(self, size: int) -> TreeHead:
        return TreeHead(size, tlog.tree_root(size, self.read))

    def note(self, size: int, signers: Sequence[NoteSigner] = (LOG,), **changes: object) -> str:
        fields = {"origin": ORIGIN, "size": size, "root": self.head(size).root} | changes
        return sign_note(format_checkpoint(Checkpoint(**fields)), signers)  # type: ignore[arg-type]

    def request(self, old: int, size: int, **changes: object) -> bytes:
        proof = tuple(tlog.prove_consistency(old, size, self.read)) if old <= size else ()
        fields = {"old_size": old, "proof": proof, "note": self.note(size)} | changes
        return format_request(AddCheckpoint(**fields))  # type: ignore[arg-type]


TREE, FORK = Tree(), Tree(b"fork")


def witness_at(size: int) -> tuple[Witness, MemoryStore]:
    store = MemoryStore({ORIGIN: [LOG.verifier()]})
    if size:
        store.heads[ORIGIN] = TREE.head(size)
    return Witness(COSIGNER, store), store


def test_it_cosigns_every_step_of_a_log_that_grows() -> None:
    witness, store = witness_at(0)
    for old, size in ((0, 0), (0, 1), (1, 1), (1, 2), (2, 7), (7, 7), (7, 16), (16, 20)):
        line = witness.add_checkpoint(TREE.request(old, size), NOW_MS)
        text = TREE.note(size).partition("\n\n")[0] + "\n"
        assert check_cosignatures(text, line, COSIGNER.verifier()).timestamp_s == NOW_MS // 1000
        assert store.heads[ORIGIN] == TREE.head(size)


HASH = b64encode(bytes(32)).decode()
GOOD = TREE.request(4, 9).decode()
REFUSED: list[tuple[str, int, bytes, int, str, int | None]] = [
    # What is said; the size that the witness has; the request; status, reason and size of the answer.
    ("nothing", 4, b"", 400, "request_malformed", None),
    ("no blank line", 4, b"old 4\n", 400, "request_malformed", None),
    ("no old line", 4, GOOD.replace("old 4\n", "").encode(), 400, "request_malformed", None),
    ("another word", 4, GOOD.replace("old 4", "Old 4").encode(), 400, "request_malformed", None),
    ("two spaces", 4, GOOD.replace("old 4", "old  4").encode(), 400, "request_malformed", None),
    ("a leading zero", 4, GOOD.replace("old 4", "old 04").encode(), 400, "request_malformed", None),
    ("a sign", 4, GOOD.replace("old 4", "old +4").encode(), 400, "request_malformed", None),
    ("another digit", 4, GOOD.replace("old 4", "old ٤").encode(), 400, "request_malformed", None),
    ("a huge size", 4, GOOD.replace("old 4", f"old {2**63}").encode(), 400, "request_malformed", None),
    ("a carriage return", 4, GOOD.replace("old 4\n", "old 4\r\n").encode(), 400, "request_malformed", None),
    ("a proof line of another size", 4, f"old 4\nAAAA\n\n{TREE.note(9)}".encode(), 400, "request_malformed", None),
    (
        "not the one spelling",
        4,
        GOOD.replace("old 4\n", f"old 4\n{HASH[:42]}B=\n").encode(),
        400,
        "request_malformed",
        None,
    ),
    ("64 proof lines", 4, TREE.request(4, 9, proof=(bytes(32),) * 64), 400, "proof_too_long", None),
    ("not UTF-8", 4, b"old 4\n\n\xff", 400, "request_malformed", None),
    ("no note", 4, b"old 4\n\n", 400, "note_malformed", None),
    (
        "no checkpoint",
        4,
        format_request(AddCheckpoint(4, (), sign_note("text\n", [LOG]))),
        400,
        "checkpoint_malformed",
        None,
    ),
    ("a broken signature line", 4, GOOD.replace("— ", "- ").encode(), 400, "signature_line_malformed", None),
    (
        "an unknown log",
        4,
        TREE.request(4, 9, note=TREE.note(9, origin="other.example.org")),
        404,
        "origin_unknown",
        None,
    ),
    ("an unknown key", 4, TREE.request(4, 9, note=TREE.note(9, [STRANGER])), 403, "not_signed_by_known_key", None),
    ("a changed size", 4, GOOD.replace("\n9\n", "\n8\n").encode(), 403, "signature_invalid", None),
    ("an old size above the new", 9, TREE.request(9, 4), 400, "old_size_too_large", None),
    ("an old size that is too small", 5, TREE.request(4, 9), 409, "old_size_differs", 5),
    ("an old size that is too large", 3, TREE.request(4, 9), 409, "old_size_differs", 3),
    ("a log that was never cosigned", 0, TREE.request(4, 9), 409, "old_size_differs", 0),
    ("a smaller tree", 9, TREE.request(4, 8), 409, "old_size_differs", 9),
    ("another root of the same size", 9, FORK.request(9, 9), 409, "root_differs", 9),
    ("an empty tree with a root", 0, TREE.request(0, 0, note=TREE.note(0, root=bytes(32))), 409, "root_differs", 0),
    ("a fork", 4, FORK.request(4, 9), 422, "proof_failed", None),
    ("no proof", 4, TREE.request(4, 9, proof=()), 422, "proof_failed", None),
    ("a proof from nothing", 0, TREE.request(0, 9, proof=(bytes(32),)), 422, "proof_failed", None),
    ("a proof of what is the same", 9, TREE.request(9, 9, proof=(bytes(32),)), 422, "proof_failed", None),
    ("63 proof lines", 4, TREE.request(4, 9, proof=(bytes(32),) * PROOF_LINES_MAX), 422, "proof_failed", None),
]


@pytest.mark.parametrize("case", REFUSED, ids=[case[0] for case in REFUSED])
def test_it_refuses_and_forgets_nothing(case: tuple[str, int, bytes, int, str, int | None]) -> None:
    _, known, body, status, reason, size = case
    witness, store = witness_at(known)
    before = dict(store.heads)
    with pytest.raises(WitnessRefusal) as caught:
        witness.add_checkpoint(body, NOW_MS)
    assert (caught.value.status, caught.value.reason, caught.value.size) == (status, reason, size)
    assert store.heads == before


def test_the_recorded_requests_of_another_witness_get_the_same_answers() -> None:
    store = MemoryStore({SIGSUM_ORIGIN: [NoteVerifier.from_vkey(format_vkey(SIGSUM_ORIGIN, SIGSUM_KEY))]})
    witness = Witness(COSIGNER, store)
    witness.add_checkpoint(SIGSUM_SIZE_1.encode(), NOW_MS)
    witness.add_checkpoint(SIGSUM_SIZE_5.encode(), NOW_MS)
    with pytest.raises(WitnessRefusal) as caught:
        witness.add_checkpoint(SIGSUM_SIZE_3.encode(), NOW_MS)
    assert (caught.value.status, caught.value.size) == (409, 5)
    expected = "42bb57ad06420afa4882c4a63ac6a1ec77480b330b2f20dfc53a0caa5f564e36"
    assert store.heads[SIGSUM_ORIGIN] == TreeHead(5, bytes.fromhex(expected))


def test_a_larger_tree_that_was_cosigned_meanwhile_is_not_rolled_back() -> None:
    """The race that https://c2sp.org/tlog-witness tells: a request of size N must not undo one of size N + K."""
    witness, store = witness_at(4)
    store.meanwhile = TREE.head(12)
    with pytest.raises(WitnessRefusal) as caught:
        witness.add_checkpoint(TREE.request(4, 9), NOW_MS)
    assert (caught.value.status, caught.value.size) == (409, 12)
    assert store.heads[ORIGIN] == TREE.head(12)


def test_a_smaller_tree_is_not_cosigned_again_when_a_larger_one_came_meanwhile() -> None:
    """A cosignature says that nothing larger was seen at its time, so repeating one asks the store too."""
    witness, store = witness_at(9)
    store.meanwhile = TREE.head(12)
    with pytest.raises(WitnessRefusal):
        witness.add_checkpoint(TREE.request(9, 9), NOW_MS)


def test_a_log_may_sign_with_a_new_key_beside_the_old_one() -> None:
    for trusted in ([LOG], [STRANGER], [LOG, STRANGER]):
        store = MemoryStore({ORIGIN: [one.verifier() for one in trusted]})
        body = TREE.request(0, 3, note=TREE.note(3, [LOG, STRANGER]))
        assert Witness(COSIGNER, store).add_checkpoint(body, NOW_MS).startswith(f"— {COSIGNER.name} ")


def test_the_largest_request_is_within_the_limit() -> None:
    """63 lines of proof, and a note of 16 signatures of the largest kind there is."""
    line = f"— {'n' * 100} {b64encode(bytes(5000)).decode()}\n"
    body = format_request(AddCheckpoint(4, (bytes(32),) * PROOF_LINES_MAX, TREE.note(9) + line * 16))
    assert len(body) < REQUEST_SIZE_MAX_BYTES
    with pytest.raises(WitnessRefusal, match="proof_failed"):
        witness_at(4)[0].add_checkpoint(body, NOW_MS)


NOTES = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.integers(0, 2**63 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63), NOTES)
def test_parsing_a_request_undoes_formatting_it(old_size: int, proof: list[bytes], note: str) -> None:
    request = AddCheckpoint(old_size, tuple(proof), note)
    assert parse_request(format_request(request)) == request


PIECES = st.sampled_from(["old 4", "old ", "\n", "\n\n", HASH, ORIGIN, "9", "— ", LOG.vkey(), GOOD[:120], GOOD[120:]])


@given(st.binary() | st.lists(PIECES, max_size=12).map(lambda pieces: "".join(pieces).encode()))
def test_a_request_is_either_refused_or_the_one_spelling_of_what_it_says(body: bytes) -> None:
    try:
        request = parse_request(body)
    except WitnessRefusal as refusal:
        assert refusal.status == 400
        return
    assert format_request(request) == body


@given(st.binary() | st.lists(PIECES, max_size=12).map(lambda pieces: "".join(pieces).encode()))
def test_whatever_is_sent_is_answered_in_declared_ways(body: bytes) -> None:
    witness, _ = witness_at(4)
    try:
        witness.add_checkpoint(body, NOW_MS)
    except WitnessRefusal as refusal:
        assert refusal.status in {400, 403, 404, 409, 422}


@given(st.integers(0, 2**63 - 1))
def test_parsing_a_size_undoes_formatting_it(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize("body", ["", "\n", "5", "05\n", "5\n\n", " 5\n", "+5\n", "5\r\n", "٥\n", f"{2**63}\n", "-1\n"])
def test_a_size_of_another_spelling_is_none(body: str) -> None:
    assert parse_size(body) is None


def test_the_hash_in_the_example_of_the_specification_is_read() -> None:
    example = "old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\nnote\n"
    hashes = (b64decode("PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw="),)
    assert parse_request(example.encode()) == AddCheckpoint(20852014, hashes, "note\n")
