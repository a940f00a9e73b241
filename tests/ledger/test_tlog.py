"""The Merkle log against published vectors, the recursions of RFC 6962 read aloud and the algorithms of RFC 9162.

Exhaustive up to 130 leaves: every tree, every proof, and every hash of every proof changed, lost, doubled and moved.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import tlog
from ledger.tlog import EMPTY_ROOT, Frontier, Range, TreeProofError, TreeStoreError, leaf_hash, node_hash

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


# https://www.rfc-editor.org/rfc/rfc9162.html#section-2.1.3.2 and 2.1.4.2: how to verify, by other means than ours.


def rfc9162_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    if index >= size:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def rfc9162_consistency(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """For 0 < old_size; the RFC gives no algorithm for equal sizes, whose proof is empty."""
    if old_size >= size:
        return old_size == size and not proof and old_root == root
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else [*proof]
    if not proof:
        return False
    fn, sn = old_size - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return (fr, sr, sn) == (old_root, root, 0)


def damaged(proof: Sequence[bytes]) -> Iterator[list[bytes]]:
    """The proof with each hash changed, cut, left out, doubled and moved in its turn, and with one too many."""
    for at, hash_ in enumerate(proof):
        changed = [bytes([hash_[0] ^ 1]) + hash_[1:]], [hash_[:-1] + bytes([hash_[-1] ^ 128])], [hash_[:-1]], []
        for instead in (*changed, [hash_, hash_]):
            yield [*proof[:at], *instead, *proof[at + 1 :]]
        if at:
            yield [*proof[: at - 1], hash_, proof[at - 1], *proof[at + 1 :]]
    yield [*proof, mth(0, 1)]
    yield [mth(0, 1), *proof]


def others(number: int, end: int) -> set[int]:
    """Numbers from 0 on, below `end`, that a prover could have meant instead: all of the few, or those nearest by."""
    near = {number - 1, number + 1, number * 2, number // 2, 0, end - 1, *(number ^ 1 << bit for bit in range(8))}
    return {other for other in (range(end) if end <= 40 else near) if 0 <= other < end} - {number}


def is_taken(check: Callable[..., None], *arguments: object) -> bool:
    try:
        check(*arguments)
    except TreeProofError as error:
        assert error.reason == "proof_failed"
        return False
    return True


def refuse_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    assert not is_taken(tlog.check_inclusion, leaf, index, size, proof, root)


def refuse_consistency(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    assert not is_taken(tlog.check_consistency, old_size, old_root, size, root, proof)


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


# https://datatracker.ietf.org/doc/draft-ietf-plants-merkle-tree-certs/, appendix "Subtree Test Vectors": one hash over
# every output up to 130 leaves. A subtree [start, end) of the log is there what the log of those leaves is to us.
DRAFT_LEAVES = [bytes([n]) for n in range(SIZE_MAX)]
DRAFT_SUBTREES = "94a95384a8c69acea9b50d035a58285b3a777cb7a724005faa5e1f1e1190007f"
DRAFT_INCLUSION = "ac2a8f989e44d99e399db448050ff5f19757df53cfb716aa81015d3955d8163f"
DRAFT_CONSISTENCY = "c586ebbb73a5621baf2140095d87dde934e3b6503a562a1a5215b8209edd083d"


def draft_subtrees(size: int) -> Iterator[Range]:
    """ "start is a multiple of BIT_CEIL(end - start)", in the order of the vectors."""
    for end in range(1, size + 1):
        for start in range(end):
            if start % (1 << (end - start - 1).bit_length()) == 0:
                yield start, end


def line_of(name: str, hashes: Sequence[bytes]) -> bytes:
    return f"{' '.join([name, *(hash_.hex() for hash_ in hashes)])}\n".encode()


def test_every_root_and_inclusion_proof_is_the_one_of_the_draft_for_merkle_tree_certificates() -> None:
    roots, proofs = sha256(), sha256()
    for start, end in draft_subtrees(SIZE_MAX):
        store, size = Store(DRAFT_LEAVES[start:end]), end - start
        roots.update(line_of(f"[{start}, {end})", [tlog.tree_root(size, store.read)]))
        for index in range(size):
            proof = tlog.prove_inclusion(index, size, store.read)
            proofs.update(line_of(f"{start + index} [{start}, {end})", proof))
    assert (roots.hexdigest(), proofs.hexdigest()) == (DRAFT_SUBTREES, DRAFT_INCLUSION)


def test_every_consistency_proof_is_the_one_of_the_draft_for_merkle_tree_certificates() -> None:
    """Those of a subtree that begins in the middle, for which we have no use, are made by the draft's recursion."""
    store, proofs = Store(DRAFT_LEAVES), sha256()
    for size in range(SIZE_MAX + 1):
        for start, end in draft_subtrees(size):
            proof = draft_proof(start, end, 0, size, True) if start else tlog.prove_consistency(end, size, store.read)
            proofs.update(line_of(f"[{start}, {end}) {size}", proof))
    assert proofs.hexdigest() == DRAFT_CONSISTENCY


@cache
def draft_mth(low: int, high: int) -> bytes:
    return Store(DRAFT_LEAVES[low:high]).frontiers[-1].root()


def draft_proof(start: int, end: int, low: int, high: int, is_known: bool) -> list[bytes]:
    """SUBTREE_SUBPROOF with D[low:high] for D[n], and start and end counted from the first leaf of all."""
    if (start, end) == (low, high):
        return [] if is_known else [draft_mth(low, high)]
    middle = low + largest_power_of_two_below(high - low)
    if end <= middle:
        return [*draft_proof(start, end, low, middle, is_known), draft_mth(middle, high)]
    if start >= middle:
        return [*draft_proof(start, end, middle, high, is_known), draft_mth(low, middle)]
    return [*draft_proof(middle, end, middle, high, False), draft_mth(low, middle)]


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
def test_it_refuses_every_damaged_inclusion_proof(size: int) -> None:
    root, stranger = mth(0, size), leaf_hash(b"another leaf")
    for index in range(size):
        leaf, proof = mth(index, index + 1), path(index, 0, size)
        for wrong in damaged(proof):
            refuse_inclusion(leaf, index, size, wrong, root)
        refuse_inclusion(stranger, index, size, proof, root)
        refuse_inclusion(leaf, index, size, proof, stranger)
        for other in others(index, size):
            refuse_inclusion(leaf, other, size, proof, root)
            refuse_inclusion(mth(other, other + 1), index, size, proof, root)
            refuse_inclusion(leaf, index, size, path(other, 0, size), root)
        for other in others(size, SIZE_MAX + 1):
            refuse_inclusion(leaf, index, other, proof, mth(0, other))


@pytest.mark.parametrize("size", range(1, SIZE_MAX + 1))
def test_it_refuses_every_damaged_consistency_proof(size: int) -> None:
    root, stranger = mth(0, size), leaf_hash(b"another leaf")
    for old_size in range(1, size + 1):
        old_root, proof = mth(0, old_size), subproof(old_size, 0, size, True)
        for wrong in damaged(proof):
            refuse_consistency(old_size, old_root, size, root, wrong)
        refuse_consistency(old_size, stranger, size, root, proof)
        refuse_consistency(old_size, old_root, size, stranger, proof)
        for other in others(old_size, size + 1) - {0}:
            refuse_consistency(other, mth(0, other), size, root, proof)
            refuse_consistency(old_size, mth(0, other), size, root, proof)
            refuse_consistency(old_size, old_root, size, root, subproof(other, 0, size, True))
        if proof:
            refuse_consistency(0, EMPTY_ROOT, size, root, proof)
        for other in others(size, SIZE_MAX + 1):
            refuse_consistency(old_size, old_root, other, mth(0, other), proof)
        if old_size < size:
            refuse_consistency(size, root, old_size, old_root, proof)
            refuse_consistency(old_size, root, size, old_root, proof)


@pytest.mark.parametrize("size", range(1, 33))
def test_it_takes_just_what_rfc_9162_takes_under_a_size_that_nobody_signed(size: int) -> None:
    """A proof shows the way from leaf to root, and two sizes may share it: it is the checkpoint that binds a size."""
    for claimed in range(1, 65):
        for index in range(size):
            claim = (mth(index, index + 1), index, claimed, path(index, 0, size), mth(0, size))
            assert is_taken(tlog.check_inclusion, *claim) is rfc9162_inclusion(*claim)
        for old_size in range(1, size + 1):
            growth = (old_size, mth(0, old_size), claimed, mth(0, size), subproof(old_size, 0, size, True))
            assert is_taken(tlog.check_consistency, *growth) is rfc9162_consistency(*growth)
    assert is_taken(tlog.check_inclusion, mth(0, 1), 0, 4, path(0, 0, 3), mth(0, 3))


HASHES = st.sampled_from([mth(low, low + width) for low in range(16) for width in (1, 2, 3, 4, 8)])
NUMBERS = st.integers(0, SIZE_MAX + 2)


@given(st.data())
def test_it_takes_just_what_rfc_9162_takes(data: st.DataObject) -> None:
    """Of proofs that were put together out of true hashes, and some of them in the right order."""
    size = data.draw(st.integers(1, SIZE_MAX))
    number = data.draw(st.integers(1, size))
    true_proof = data.draw(st.sampled_from([path(number - 1, 0, size), subproof(number, 0, size, True)]))
    proof = data.draw(st.just(true_proof) | st.lists(HASHES | st.sampled_from([*true_proof, EMPTY_ROOT]), max_size=9))
    size = data.draw(st.just(size) | NUMBERS)
    root = data.draw(st.just(mth(0, min(size, SIZE_MAX))) | HASHES)
    index = data.draw(st.just(number - 1) | NUMBERS)
    leaf = data.draw(st.just(mth(number - 1, number)) | HASHES)
    claim = (leaf, index, size, proof, root)
    assert is_taken(tlog.check_inclusion, *claim) is rfc9162_inclusion(*claim)
    old_size = data.draw(st.just(number) | NUMBERS.filter(bool))
    old_root = data.draw(st.just(mth(0, number)) | HASHES)
    growth = (old_size, old_root, size, root, proof)
    assert is_taken(tlog.check_consistency, *growth) is rfc9162_consistency(*growth)


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


@given(st.data())
def test_many_proofs_are_one_read_too(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, SIZE_MAX))
    indexes = data.draw(st.lists(st.integers(0, size - 1), max_size=10))
    store = Store(LEAVES[:size])
    assert tlog.prove_inclusions(indexes, size, store.read) == [path(index, 0, size) for index in indexes]
    assert len(store.reads) <= 1
    with pytest.raises(ValueError, match="^no such leaf in a log of this size$"):
        tlog.prove_inclusions([*indexes, size], size, store.read)


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
