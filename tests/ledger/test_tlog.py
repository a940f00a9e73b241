"""The Merkle log against published vectors and against the recursions of RFC 6962 read aloud."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import tlog
from ledger.tlog import EMPTY_ROOT, Frontier, TreeProofError, TreeStoreError, leaf_hash, node_hash

FIXTURES = Path(__file__).parents[1] / "fixtures"
VECTORS = json.loads((FIXTURES / "vectors" / "rfc6962-and-notes.json").read_text("utf-8"))
EIGHT = VECTORS["rfc6962_eight_leaves"]
EIGHT_LEAVES = [bytes.fromhex(leaf) for leaf in EIGHT["leaves"]]
EIGHT_ROOTS = [bytes.fromhex(root) for root in EIGHT["roots_by_size"]]
SIZE_MAX = 130  # two leaves beyond the complete subtree of 128: peaks of every shape
LEAVES = [b"leaf %d" % n for n in range(SIZE_MAX)]


class Store:
    """The stored hashes of a log as the database keeps them, a frontier for each size, and the reads."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.hashes: dict[int, bytes] = {}
        self.frontiers = [Frontier(0, ())]
        self.reads: list[Sequence[int]] = []
        for leaf in leaves:
            frontier, completed = self.frontiers[-1].append(leaf_hash(leaf))
            assert [index for index, _ in completed] == list(range(len(self.hashes), tlog.stored_count(frontier.size)))
            self.frontiers.append(frontier)
            self.hashes.update(completed)

    def read(self, indexes: Sequence[int]) -> Mapping[int, bytes]:
        self.reads.append(indexes)
        return {index: self.hashes[index] for index in indexes if index in self.hashes}


STORE = Store(LEAVES)
EIGHT_STORE = Store(EIGHT_LEAVES)


# https://www.rfc-editor.org/rfc/rfc6962.html#section-2.1 with D[low:high] for D[n]; otherwise as it stands there.


def largest_power_of_two_below(n: int) -> int:
    return next(1 << e for e in range(n) if n <= 2 << e)


@cache
def mth(low: int, high: int) -> bytes:
    if low == high:
        return sha256(b"").digest()
    if high - low == 1:
        return sha256(b"\x00" + LEAVES[low]).digest()
    k = largest_power_of_two_below(high - low)
    return sha256(b"\x01" + mth(low, low + k) + mth(low + k, high)).digest()


@cache
def path(m: int, low: int, high: int) -> list[bytes]:
    if high - low == 1:
        return []
    k = largest_power_of_two_below(high - low)
    if m < k:
        return [*path(m, low, low + k), mth(low + k, high)]
    return [*path(m - k, low + k, high), mth(low, low + k)]


@cache
def subproof(m: int, low: int, high: int, complete: bool) -> list[bytes]:
    if m == high - low:
        return [] if complete else [mth(low, high)]
    k = largest_power_of_two_below(high - low)
    if m <= k:
        return [*subproof(m, low, low + k, complete), mth(low + k, high)]
    return [*subproof(m - k, low + k, high, False), mth(low, low + k)]


def damaged(proof: Sequence[bytes]) -> Iterator[list[bytes]]:
    """The proof with each hash changed, cut short and left out in its turn, and with one hash too many."""
    for at, hash_ in enumerate(proof):
        for changed in ([bytes([hash_[0] ^ 1]) + hash_[1:]], [hash_[:-1] + bytes([hash_[-1] ^ 128])], [hash_[:-1]], []):
            yield [*proof[:at], *changed, *proof[at + 1 :]]
    yield [*proof, mth(0, 1)]
    yield [mth(0, 1), *proof]


def refuse_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    with pytest.raises(TreeProofError, match="^proof_failed$"):
        tlog.check_inclusion(leaf, index, size, proof, root)


def refuse_consistency(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    with pytest.raises(TreeProofError, match="^proof_failed$"):
        tlog.check_consistency(old_size, old_root, size, root, proof)


def test_it_has_the_published_roots_and_nodes() -> None:
    assert [frontier.root() for frontier in EIGHT_STORE.frontiers] == EIGHT_ROOTS
    assert [tlog.tree_root(size, EIGHT_STORE.read) for size in range(9)] == EIGHT_ROOTS
    assert EIGHT_ROOTS[0] == EMPTY_ROOT
    named = {tlog.stored_index(*map(int, name.split("/"))): node for name, node in EIGHT["nodes"].items()}
    assert named == {index: hash_.hex() for index, hash_ in EIGHT_STORE.hashes.items()}


@pytest.mark.parametrize("case", EIGHT["inclusion"], ids=lambda case: f"{case['index']} in {case['size']}")
def test_it_gives_and_takes_the_published_inclusion_proof(case: dict[str, Any]) -> None:
    index, size, proof = case["index"], case["size"], [bytes.fromhex(hash_) for hash_ in case["proof"]]
    assert tlog.prove_inclusion(index, size, EIGHT_STORE.read) == proof
    tlog.check_inclusion(leaf_hash(EIGHT_LEAVES[index]), index, size, proof, EIGHT_ROOTS[size])


@pytest.mark.parametrize("case", EIGHT["consistency"], ids=lambda case: f"{case['size1']} to {case['size2']}")
def test_it_gives_and_takes_the_published_consistency_proof(case: dict[str, Any]) -> None:
    old_size, size, proof = case["size1"], case["size2"], [bytes.fromhex(hash_) for hash_ in case["proof"]]
    assert tlog.prove_consistency(old_size, size, EIGHT_STORE.read) == proof
    tlog.check_consistency(old_size, EIGHT_ROOTS[old_size], size, EIGHT_ROOTS[size], proof)


def test_it_numbers_stored_hashes_as_published() -> None:
    for level, n, index in VECTORS["stored_index"]["level_n_index"]:
        assert tlog.stored_index(level, n) == index
        assert tlog.split_stored_index(index) == (level, n)
    for size, count in VECTORS["stored_index"]["count"]:
        assert tlog.stored_count(size) == count


@given(st.integers(0, 2**64))
def test_splitting_a_stored_index_undoes_numbering_it(index: int) -> None:
    assert tlog.stored_index(*tlog.split_stored_index(index)) == index


@pytest.mark.parametrize("size", range(SIZE_MAX + 1))
def test_a_tree_of_any_shape_is_the_tree_of_the_rfc(size: int) -> None:
    frontier, root = STORE.frontiers[size], mth(0, size)
    assert frontier.root() == root
    assert tlog.tree_root(size, STORE.read) == root
    assert Frontier.from_bytes(size, frontier.to_bytes()) == frontier
    for index in range(size):
        proof = tlog.prove_inclusion(index, size, STORE.read)
        assert proof == path(index, 0, size)
        tlog.check_inclusion(mth(index, index + 1), index, size, proof, root)
    for old_size in range(1, size + 1):
        proof = tlog.prove_consistency(old_size, size, STORE.read)
        assert proof == subproof(old_size, 0, size, True)
        tlog.check_consistency(old_size, mth(0, old_size), size, root, proof)


@pytest.mark.parametrize("size", range(1, SIZE_MAX + 1))
def test_it_refuses_every_damaged_proof(size: int) -> None:
    root, other = mth(0, size), leaf_hash(b"another leaf")
    for index in range(size):
        leaf, proof = mth(index, index + 1), path(index, 0, size)
        for wrong in damaged(proof):
            refuse_inclusion(leaf, index, size, wrong, root)
        refuse_inclusion(other, index, size, proof, root)
        refuse_inclusion(leaf, index, size, proof, other)
        if size > 1:
            refuse_inclusion(leaf, index ^ 1, size, proof, root)
    for old_size in range(1, size + 1):
        old_root, proof = mth(0, old_size), subproof(old_size, 0, size, True)
        for wrong in damaged(proof):
            refuse_consistency(old_size, old_root, size, root, wrong)
        refuse_consistency(old_size, other, size, root, proof)
        refuse_consistency(old_size, old_root, size, other, proof)
        if proof:
            refuse_consistency(old_size - 1, mth(0, old_size - 1), size, root, proof)


def test_a_node_does_not_pass_as_a_leaf() -> None:
    refuse_inclusion(leaf_hash(mth(0, 1) + mth(1, 2)), 0, 1, [], mth(0, 2))
    assert leaf_hash(mth(0, 1) + mth(1, 2)) != node_hash(mth(0, 1), mth(1, 2))


@pytest.mark.parametrize(("index", "size"), [(-1, 4), (4, 4), (5, 4), (-1, 1), (1, 1), (0, 0), (0, -1)])
def test_there_is_no_proof_of_a_leaf_outside_the_log(index: int, size: int) -> None:
    for nearest in range(size):
        refuse_inclusion(mth(nearest, nearest + 1), index, size, path(nearest, 0, size), mth(0, size))
    refuse_inclusion(EMPTY_ROOT, index, size, [], EMPTY_ROOT)
    with pytest.raises(ValueError, match="^no such leaf in a log of this size$"):
        tlog.prove_inclusion(index, size, STORE.read)


@pytest.mark.parametrize(("old_size", "size"), [(5, 4), (-1, 4), (1, 0), (-2, -1)])
def test_there_is_no_proof_that_a_log_shrank(old_size: int, size: int) -> None:
    refuse_consistency(old_size, mth(0, 1), size, mth(0, 1), [])
    with pytest.raises(ValueError, match="^a log only grows$"):
        tlog.prove_consistency(old_size, size, STORE.read)


def test_every_log_continues_the_empty_one_and_the_proof_is_empty() -> None:
    assert tlog.prove_consistency(0, 5, STORE.read) == []
    tlog.check_consistency(0, EMPTY_ROOT, 5, mth(0, 5), [])
    tlog.check_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    refuse_consistency(0, mth(0, 1), 5, mth(0, 5), [])
    refuse_consistency(0, EMPTY_ROOT, 5, mth(0, 5), [mth(0, 5)])
    refuse_consistency(0, EMPTY_ROOT, 0, mth(0, 1), [])


def test_two_logs_of_one_size_are_consistent_only_if_they_are_equal() -> None:
    tlog.check_consistency(7, mth(0, 7), 7, mth(0, 7), [])
    refuse_consistency(7, mth(0, 7), 7, mth(1, 8), [])
    refuse_consistency(7, b"short", 7, b"short", [])


@given(st.data())
def test_each_proof_is_one_read_of_a_few_hashes_however_long_the_log(data: st.DataObject) -> None:
    """A log of equal leaves: a stored hash depends on its level alone, so any size can be had."""
    levels = [leaf_hash(b"")]
    for _ in range(62):
        levels.append(node_hash(levels[-1], levels[-1]))
    reads: list[Sequence[int]] = []

    def read(indexes: Sequence[int]) -> dict[int, bytes]:
        reads.append(indexes)
        return {index: levels[tlog.split_stored_index(index)[0]] for index in indexes}

    size = data.draw(st.integers(2, 2**62))
    old_size, index = data.draw(st.integers(1, size - 1)), data.draw(st.integers(0, size - 1))
    root, old_root = tlog.tree_root(size, read), tlog.tree_root(old_size, read)
    tlog.check_inclusion(levels[0], index, size, tlog.prove_inclusion(index, size, read), root)
    tlog.check_consistency(old_size, old_root, size, root, tlog.prove_consistency(old_size, size, read))
    assert len(reads) == 4
    assert max(map(len, reads)) <= 2 * size.bit_length()


@pytest.mark.parametrize(("stored", "reason"), [({}, "stored_hash_missing"), ({0: b"cut"}, "stored_hash_malformed")])
def test_it_names_a_store_that_lost_or_cut_a_hash(stored: dict[int, bytes], reason: str) -> None:
    with pytest.raises(TreeStoreError, match=f"^{reason}$"):
        tlog.tree_root(1, lambda indexes: stored)


@pytest.mark.parametrize("length", [0, 31, 32, 63, 65, 96])
def test_it_refuses_a_frontier_that_does_not_fit_its_size(length: int) -> None:
    with pytest.raises(TreeStoreError, match="^frontier_malformed$"):
        Frontier.from_bytes(6, bytes(length))


def test_no_log_has_a_negative_size_or_index() -> None:
    with pytest.raises(ValueError):
        tlog.split_stored_index(-1)
    with pytest.raises(TreeStoreError):
        Frontier.from_bytes(-1, bytes(32))
    with pytest.raises(ValueError):
        tlog.tree_root(-1, STORE.read)
