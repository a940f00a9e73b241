"""A Merkle log as tiles (https://c2sp.org/tlog-tiles): names, hash tiles and entry bundles, and proofs from them alone.

A tile holds up to 256 neighbouring hashes of one height, a multiple of 8, so whoever has tiles computes every hash
between two heights. An entry bundle has the name of the level 0 tile that holds its leaf hashes.
Whatever a parser takes, the formatter writes back byte for byte; everything else is refused.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ledger.errors import LedgerError
from ledger.tlog import HASH_SIZE_BYTES, Frontier, HashReader, read_hashes, split_stored_index, stored_index

TILE_HEIGHT = 8
TILE_WIDTH_MAX = 1 << TILE_HEIGHT
# https://c2sp.org/tlog-tiles "MUST be a decimal ASCII integer between 0 and 63"
TILE_LEVEL_MAX = 63
# A database BIGINT and a Go int64; no tree that a checkpoint can name has a tile beyond it.
TILE_INDEX_MAX = 2**63 - 1
# https://c2sp.org/tlog-tiles "big-endian uint16 length-prefixed log entries"
ENTRY_SIZE_MAX_BYTES = 2**16 - 1
_LENGTH_SIZE_BYTES = 2

# Seven elements of three digits are enough for TILE_INDEX_MAX.
_NAME = r"(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[0-9]{1,3}))?"
_TILE_PATH = re.compile(r"tile/(?P<level>[0-9]{1,2})/" + _NAME)
_BUNDLE_PATH = re.compile(r"tile/entries/" + _NAME)


class TileError(LedgerError):
    """The path, tile or bundle is malformed, or the tile is not of the tree that it is said to be of."""


@dataclass(frozen=True, slots=True)
class Tile:
    """`width` hashes of complete subtrees with 256**level leaves each; the first one is number 256 * index of them."""

    level: int
    index: int
    width: int = TILE_WIDTH_MAX

    def __post_init__(self) -> None:
        if (
            not 0 <= self.level <= TILE_LEVEL_MAX
            or not 0 <= self.index <= TILE_INDEX_MAX
            or not 1 <= self.width <= TILE_WIDTH_MAX
        ):
            raise TileError("tile_malformed")

    @property
    def first(self) -> int:
        """The number of its first hash among those of its height; in a bundle, the position of its first entry."""
        return self.index << TILE_HEIGHT

    @property
    def tree_size_min(self) -> int:
        """The size of the smallest tree that has all of its hashes."""
        return (self.first + self.width) << (TILE_HEIGHT * self.level)

    @property
    def stored_indexes(self) -> list[int]:
        # https://c2sp.org/tlog-tiles#merkle-tree MTH(D[(n * 256 + i) * 256**l : (n * 256 + i + 1) * 256**l]):
        # the complete subtree number 256n + i at level 8l of the tree.
        return [stored_index(TILE_HEIGHT * self.level, self.first + at) for at in range(self.width)]


def format_tile_path(tile: Tile) -> str:
    return _format_path(str(tile.level), tile)


def parse_tile_path(path: str) -> Tile:
    """The tile of `tile/<L>/<N>[.p/<W>]`. Raises TileError for any other spelling of it."""
    return _parse_path(path, _TILE_PATH, format_tile_path)


def format_bundle_path(tile: Tile) -> str:
    assert tile.level == 0, "a bundle is named as a tile of leaf hashes is"
    return _format_path("entries", tile)


def parse_bundle_path(path: str) -> Tile:
    """The level 0 tile of the bundle `tile/entries/<N>[.p/<W>]`. Raises TileError for any other spelling of it."""
    return _parse_path(path, _BUNDLE_PATH, format_bundle_path)


def format_tile(hashes: Sequence[bytes]) -> bytes:
    assert 1 <= len(hashes) <= TILE_WIDTH_MAX
    assert all(len(hash_) == HASH_SIZE_BYTES for hash_ in hashes)
    return b"".join(hashes)


def parse_tile(data: bytes, width: int) -> list[bytes]:
    """The hashes of a tile of this width. Raises TileError unless there are just so many."""
    if len(data) != width * HASH_SIZE_BYTES:
        raise TileError("tile_malformed")
    return [data[at : at + HASH_SIZE_BYTES] for at in range(0, len(data), HASH_SIZE_BYTES)]


def format_bundle(entries: Iterable[bytes]) -> bytes:
    """https://c2sp.org/tlog-tiles#log-entries Raises TileError for an entry whose length has no place in 16 bits."""
    parts = []
    for entry in entries:
        if len(entry) > ENTRY_SIZE_MAX_BYTES:
            raise TileError("entry_too_large")
        parts += [len(entry).to_bytes(_LENGTH_SIZE_BYTES), entry]
    return b"".join(parts)


def parse_bundle(data: bytes, width: int) -> list[bytes]:
    """The entries of a bundle. Raises TileError unless there are `width` of them and nothing else."""
    entries: list[bytes] = []
    at = 0
    while at < len(data) and len(entries) < width:
        start = at + _LENGTH_SIZE_BYTES
        at = start + int.from_bytes(data[at:start])
        entries.append(data[start:at])
    # Where a length or an entry was cut off, `at` lies behind the end.
    if at != len(data) or len(entries) != width:
        raise TileError("bundle_malformed")
    return entries


def tiles_of_tree(size: int) -> Iterator[Tile]:
    """Every tile of the tree, lowest level first; the last one of a level may be partial."""
    if size < 0:
        raise ValueError("a log has no negative size")
    level = 0
    while hashes := size >> (TILE_HEIGHT * level):
        for index in range(0, hashes, TILE_WIDTH_MAX):
            yield Tile(level, index >> TILE_HEIGHT, min(TILE_WIDTH_MAX, hashes - index))
        level += 1


def read_tile(tile: Tile, read: HashReader) -> bytes:
    """The tile of a log whose stored hashes `read` gives, in one read."""
    return format_tile(read_hashes(tile.stored_indexes, read))


class TileReader:
    """A HashReader for the tree with this size and root, out of tiles that come from anywhere.

    `fetch` gives the bytes of a tile. No hash is given out before its tile was found to be of this tree: TileError if
    it is not. What was found is kept, so one reader serves many proofs and fetches no tile twice.
    """

    def __init__(self, size: int, root: bytes, fetch: Callable[[Tile], bytes]) -> None:
        self._size = size
        self._fetch = fetch
        self._known: dict[Tile, list[bytes]] = {}
        self._check_edge(root)

    def __call__(self, indexes: Sequence[int]) -> Mapping[int, bytes]:
        """An index outside the tree is left out."""
        found = {}
        for index in indexes:
            level, n = split_stored_index(index)
            if (n + 1) << level <= self._size:
                found[index] = self._hash(level, n)
        return found

    def _hash(self, level: int, n: int) -> bytes:
        tile_level, height = divmod(level, TILE_HEIGHT)
        # 2**height hashes of the tile are its leaves.
        first = n << height
        at = first % TILE_WIDTH_MAX
        (subtree,) = _peaks(self._hashes(self._tile(tile_level, first >> TILE_HEIGHT))[at : at + (1 << height)])
        return subtree

    def _tile(self, level: int, index: int) -> Tile:
        """As wide as the tree has it."""
        hashes = self._size >> (TILE_HEIGHT * level)
        return Tile(level, index, min(TILE_WIDTH_MAX, hashes - (index << TILE_HEIGHT)))

    def _hashes(self, tile: Tile) -> list[bytes]:
        """Of a tile of the tree. A partial one is known from the start; a full one is one hash of the level above."""
        if tile not in self._known:
            hashes = parse_tile(self._fetch(tile), tile.width)
            (subtree,) = _peaks(hashes)
            if subtree != self._hash(TILE_HEIGHT * (tile.level + 1), tile.index):
                raise TileError("tile_not_of_this_tree")
            self._known[tile] = hashes
        return self._known[tile]

    def _check_edge(self, root: bytes) -> None:
        """The partial tiles, all at once: together they hold the peaks of the tree, and its root is made of those.

        https://c2sp.org/tlog-tiles#partial-tiles "The partial tile at level l for a tree of size s has
        floor(s / 256**l) mod 256 entries": eight bits of the size, and each 1 bit of the size is a peak.
        """
        peaks: tuple[bytes, ...] = ()
        level = 0
        while hashes := self._size >> (TILE_HEIGHT * level):
            if width := hashes % TILE_WIDTH_MAX:
                tile = Tile(level, hashes >> TILE_HEIGHT, width)
                self._known[tile] = parse_tile(self._fetch(tile), width)
                peaks = _peaks(self._known[tile]) + peaks
            level += 1
        if Frontier(self._size, peaks).root() != root:
            raise TileError("tile_not_of_this_tree")


def _peaks(hashes: Iterable[bytes]) -> tuple[bytes, ...]:
    """Of the tree that has these hashes for leaf hashes."""
    frontier, _ = Frontier(0, ()).append(*hashes)
    return frontier.peaks


def _format_path(level: str, tile: Tile) -> str:
    # https://c2sp.org/tlog-tiles#merkle-tree "zero-padded 3-digit path elements. All but the last path element MUST
    # begin with an x"
    digits = str(tile.index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    *elements, last = (digits[at : at + 3] for at in range(0, len(digits), 3))
    partial = "" if tile.width == TILE_WIDTH_MAX else f".p/{tile.width}"
    return "/".join(["tile", level, *(f"x{element}" for element in elements), last]) + partial


def _parse_path(path: str, pattern: re.Pattern[str], format_path: Callable[[Tile], str]) -> Tile:
    found = pattern.fullmatch(path)
    if found is None:
        raise TileError("tile_path_malformed")
    parts = found.groupdict()
    try:
        index = int(re.sub("[x/]", "", parts["index"]))
        tile = Tile(int(parts.get("level") or 0), index, int(parts["width"] or TILE_WIDTH_MAX))
    except TileError:
        raise TileError("tile_path_malformed") from None
    # Leading zeroes, a needless x000/, and a full tile that is called partial: none of them survives the way back.
    if format_path(tile) != path:
        raise TileError("tile_path_malformed")
    return tile
