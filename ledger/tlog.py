"""An RFC 6962 Merkle log: stored subtree hashes in, roots and proofs out, and the checks of both.

The hash of every complete subtree is stored once and never changes, numbered in the order in which appends complete
them (Crosby and Wallach, "Efficient Data Structures for Tamper-Evident Logging", 2009, section 3.3). A subtree is named
(level, n) and covers the leaves [n << level, (n + 1) << level). Prover and checker walk the same ranges of leaves, so
the algebra of each proof stands here once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from hashlib import sha256
from itertools import islice

from ledger.errors import LedgerError

HASH_SIZE_BYTES = 32
# https://www.rfc-editor.org/rfc/rfc6962.html#section-2.1 "The hash of an empty list is the hash of an empty string"
EMPTY_ROOT = sha256(b"").digest()
# One batched read of the store: indexes in, hashes by index out.
HashReader = Callable[[Sequence[int]], Mapping[int, bytes]]
# The leaves [low, high).
Range = tuple[int, int]


class TreeProofError(LedgerError):
    """The proof does not show what it is said to show. It says no more: a prover may be an adversary."""

    def __init__(self) -> None:
        super().__init__("proof_failed")


class TreeStoreError(LedgerError):
    """The store lost or mangled a hash that this log once wrote."""


def leaf_hash(data: bytes) -> bytes:
    # https://www.rfc-editor.org/rfc/rfc6962.html#section-2.1 MTH({d(0)}) = SHA-256(0x00 || d(0)).
    # The prefix keeps leaves and nodes apart; without it a node's two hashes would pass as a leaf.
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    # https://www.rfc-editor.org/rfc/rfc6962.html#section-2.1 SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n]))
    return sha256(b"\x01" + left + right).digest()


def stored_count(size: int) -> int:
    """How many hashes a log of this size has stored.

    A complete subtree of s leaves has 2s - 1 nodes, and the log is one such subtree for each 1 bit of size.
    """
    return 2 * size - size.bit_count()


def stored_index(level: int, n: int) -> int:
    """The subtree is complete when its last leaf is: the leaves before that one have stored theirs, then
    the leaf itself comes at level 0 and everything it completes at the levels above.
    """
    last_leaf = ((n + 1) << level) - 1
    return stored_count(last_leaf) + level


def split_stored_index(index: int) -> tuple[int, int]:
    """The (level, n) with this stored index."""
    if index < 0:
        raise ValueError("a stored index is never negative")
    last_leaf = index // 2  # stored_count(n) <= 2n: it is here or, by at most half the bits of n, to the right
    while stored_count(last_leaf + 1) <= index:
        last_leaf += 1
    level = index - stored_count(last_leaf)
    return level, last_leaf >> level


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that an append needs of the past: the roots of the complete subtrees, highest first."""

    size: int
    peaks: tuple[bytes, ...]

    def __post_init__(self) -> None:
        has_a_peak_for_each_bit = self.size >= 0 and len(self.peaks) == self.size.bit_count()
        if not has_a_peak_for_each_bit or any(len(peak) != HASH_SIZE_BYTES for peak in self.peaks):
            raise TreeStoreError("frontier_malformed")

    def append(self, *leaf_hashes: bytes) -> tuple["Frontier", list[tuple[int, bytes]]]:
        """The log with these leaves more, and the (stored index, hash) of each node they complete, in order."""
        size, peaks, completed = self.size, list(self.peaks), []
        for node in leaf_hashes:
            assert len(node) == HASH_SIZE_BYTES
            completed.append(node)
            # Each low 1 bit of the size is a subtree waiting for just this leaf, as in a carry.
            waiting = size
            while waiting & 1:
                node = node_hash(peaks.pop(), node)
                completed.append(node)
                waiting >>= 1
            peaks.append(node)
            size += 1
        return Frontier(size, tuple(peaks)), list(enumerate(completed, start=stored_count(self.size)))

    def root(self) -> bytes:
        return _join(self.peaks)

    def to_bytes(self) -> bytes:
        return b"".join(self.peaks)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> "Frontier":
        """Raises TreeStoreError unless data is one hash for each 1 bit of size."""
        return cls(size, tuple(data[at : at + HASH_SIZE_BYTES] for at in range(0, len(data), HASH_SIZE_BYTES)))


def read_hashes(indexes: Sequence[int], read: HashReader) -> list[bytes]:
    """The hashes with these stored indexes, in order, by one read. Raises TreeStoreError if one is lost or cut."""
    stored = read(indexes) if indexes else {}
    for index in indexes:
        if index not in stored:
            raise TreeStoreError("stored_hash_missing")
        if len(stored[index]) != HASH_SIZE_BYTES:
            raise TreeStoreError("stored_hash_malformed")
    return [stored[index] for index in indexes]


def tree_root(size: int, read: HashReader) -> bytes:
    if size < 0:
        raise ValueError("a log has no negative size")
    return _range_hashes([(0, size)], read)[0]


def prove_inclusion(index: int, size: int, read: HashReader) -> list[bytes]:
    """The proof that leaf `index` is in the log of this size, the leaf's own sibling first.

    A hash that changed in the store makes a proof that fails its check: check it before handing it out.
    """
    return prove_inclusions([index], size, read)[0]


def prove_inclusions(indexes: Sequence[int], size: int, read: HashReader) -> list[list[bytes]]:
    """The proof of each of these leaves, as prove_inclusion makes it; all of them by one read."""
    if not all(0 <= index < size for index in indexes):
        raise ValueError("no such leaf in a log of this size")
    paths = [_inclusion_path(index, size) for index in indexes]
    hashes = iter(_range_hashes([leaves for path in paths for leaves in path], read))
    return [list(islice(hashes, len(path))) for path in paths]


def check_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Returns only if the proof shows this leaf at `index` in the log with this size and root."""
    if not 0 <= index < size:
        raise TreeProofError
    computed = leaf_hash
    for (_, high), sibling in _pair(_inclusion_path(index, size), proof):
        computed = node_hash(sibling, computed) if high <= index else node_hash(computed, sibling)
    if computed != root:
        raise TreeProofError


def prove_consistency(old_size: int, new_size: int, read: HashReader) -> list[bytes]:
    """The proof that the log of `old_size` is the beginning of the log of `new_size`."""
    if not 0 <= old_size <= new_size:
        raise ValueError("a log only grows")
    if old_size == 0:
        return []
    shared, *siblings = _consistency_path(old_size, new_size)
    return _range_hashes(siblings if shared == (0, old_size) else [shared, *siblings], read)


def check_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Returns only if the proof shows that the new log continues the old one."""
    if not 0 <= old_size <= new_size:
        raise TreeProofError
    if old_size == 0:
        # https://c2sp.org/tlog-witness "The proof MUST be empty if the old size is zero."
        if proof or old_root != EMPTY_ROOT or (new_size == 0 and new_root != EMPTY_ROOT):
            raise TreeProofError
        return
    path = _consistency_path(old_size, new_size)
    # An old log that is one complete subtree is itself the shared range: the checker has its root already.
    known = [old_root] if path[0] == (0, old_size) else []
    (_, shared), *siblings = _pair(path, [*known, *proof])
    old = new = shared
    for (_, high), sibling in siblings:
        if high <= old_size:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
        else:
            new = node_hash(new, sibling)
    if (old, new) != (old_root, new_root):
        raise TreeProofError


def _inclusion_path(index: int, size: int) -> list[Range]:
    # https://www.rfc-editor.org/rfc/rfc6962.html#section-2.1.1 PATH(m, D[n]): down to the leaf itself, which
    # is not part of its own proof.
    return _path_up(index, size, lambda low, high: high - low == 1)[1:]


def _consistency_path(old_size: int, new_size: int) -> list[Range]:
    # https://www.rfc-editor.org/rfc/rfc6962.html#section-2.1.2 PROOF(m, D[n]): down towards the last leaf of
    # the old log, as far as the first subtree that ends with it. Both logs have that one; it comes first.
    return _path_up(old_size - 1, new_size, lambda low, high: high == old_size)


def _path_up(leaf: int, size: int, arrived: Callable[[int, int], bool]) -> list[Range]:
    """The range where the walk from the root towards `leaf` arrives, then the siblings on the way back up."""
    low, high, siblings = 0, size, []
    while not arrived(low, high):
        # https://www.rfc-editor.org/rfc/rfc6962.html#section-2.1 "let k be the largest power of two smaller
        # than n (i.e., k < n <= 2k)": the left child has k leaves.
        middle = low + (1 << (high - low - 1).bit_length() - 1)
        if leaf < middle:
            siblings.append((middle, high))
            high = middle
        else:
            siblings.append((low, middle))
            low = middle
    return [(low, high), *reversed(siblings)]


def _subtrees(low: int, high: int) -> list[tuple[int, int]]:
    """The complete subtrees, as (level, n), that tile the range, largest first."""
    subtrees = []
    while low < high:
        level = (high - low).bit_length() - 1
        assert low & ((1 << level) - 1) == 0, "no range of the log begins in the middle of a subtree"
        subtrees.append((level, low >> level))
        low += 1 << level
    return subtrees


def _join(peaks: Sequence[bytes]) -> bytes:
    # https://www.rfc-editor.org/rfc/rfc6962.html#section-2.1 MTH over ranges that are not a power of two:
    # the first peak is the left child, all the others together are the right one.
    if not peaks:
        return EMPTY_ROOT
    return reduce(lambda right, left: node_hash(left, right), reversed(peaks))


def _range_hashes(ranges: Sequence[Range], read: HashReader) -> list[bytes]:
    tilings = [[stored_index(*subtree) for subtree in _subtrees(*leaves)] for leaves in ranges]
    hashes = iter(read_hashes([index for tiling in tilings for index in tiling], read))
    return [_join(list(islice(hashes, len(tiling)))) for tiling in tilings]


def _pair(path: Sequence[Range], proof: Sequence[bytes]) -> list[tuple[Range, bytes]]:
    """Each range with the hash that the proof gives for it."""
    if len(path) != len(proof) or any(len(hash_) != HASH_SIZE_BYTES for hash_ in proof):
        raise TreeProofError
    return list(zip(path, proof, strict=True))
