"""Tiles: names and bytes against the formulas of C2SP tlog-tiles, and a stranger who has nothing but tiles."""

from collections.abc import Sequence
from functools import cache
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import tlog
from ledger.tiles import (
    ENTRY_SIZE_MAX_BYTES,
    TILE_INDEX_MAX,
    TILE_LEVEL_MAX,
    TILE_WIDTH_MAX,
    Tile,
    TileError,
    TileReader,
    format_bundle,
    format_bundle_path,
    format_tile,
    format_tile_path,
    parse_bundle,
    parse_bundle_path,
    parse_tile,
    parse_tile_path,
    read_tile,
    tiles_of_tree,
)

# https://c2sp.org/tlog-tiles#partial-tiles "For example, a tree of size 70,000 will be represented by ..."
SIZE_MAX = 70_000
SIZES = [0, 1, 2, 3, 255, 256, 257, 511, 512, 513, 1_000, 65_535, 65_536, 65_537, 65_792, 65_793, SIZE_MAX]
TILES = st.builds(Tile, st.integers(0, TILE_LEVEL_MAX), st.integers(0, TILE_INDEX_MAX), st.integers(1, TILE_WIDTH_MAX))
ENTRIES = st.lists(st.binary(max_size=300), max_size=TILE_WIDTH_MAX)


def leaf_of(position: int) -> bytes:
    return b"leaf %d" % position


@cache
def mth(low: int, high: int) -> bytes:
    """https://www.rfc-editor.org/rfc/rfc6962.html#section-2.1 with D[low:high] for D[n]."""
    if low == high:
        return sha256(b"").digest()
    if high - low == 1:
        return sha256(b"\x00" + leaf_of(low)).digest()
    k = 1
    while 2 * k < high - low:
        k *= 2
    return sha256(b"\x01" + mth(low, low + k) + mth(low + k, high)).digest()


def tile_of_the_formula(tile: Tile) -> bytes:
    """https://c2sp.org/tlog-tiles#merkle-tree MTH(D[(n * 256 + i) * 256**l : (n * 256 + i + 1) * 256**l])."""
    n, level = tile.index, tile.level
    spans = [((n * 256 + i) * 256**level, (n * 256 + i + 1) * 256**level) for i in range(tile.width)]
    return b"".join(mth(*span) for span in spans)


@pytest.fixture(scope="module")
def hashes() -> dict[int, bytes]:
    """What a log of SIZE_MAX leaves has stored."""
    frontier, stored = tlog.Frontier(0, ()), {}
    for position in range(SIZE_MAX):
        frontier, completed = frontier.append(tlog.leaf_hash(leaf_of(position)))
        stored.update(completed)
    return stored


class Shelf:
    """All that a stranger has: the tiles of a tree, and a record of which were fetched."""

    def __init__(self, size: int, hashes: dict[int, bytes]) -> None:
        self.tiles = {tile: read_tile(tile, lambda _: hashes) for tile in tiles_of_tree(size)}
        self.fetched: list[Tile] = []

    def fetch(self, tile: Tile) -> bytes:
        self.fetched.append(tile)
        return self.tiles[tile]


# Names


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 999), "tile/0/999"),
        (Tile(0, 1_000), "tile/0/x001/000"),
        (Tile(0, 1_234_067), "tile/0/x001/x234/067"),  # the example of the specification
        (Tile(1, 1_234_067, 17), "tile/1/x001/x234/067.p/17"),
        (Tile(63, 0, 1), "tile/63/000.p/1"),
        (Tile(7, 5, 255), "tile/7/005.p/255"),
        (Tile(0, 2**63 - 1), "tile/0/x009/x223/x372/x036/x854/x775/807"),
    ],
)
def test_a_tile_has_its_published_name(tile: Tile, path: str) -> None:
    assert format_tile_path(tile) == path
    assert parse_tile_path(path) == tile


@given(TILES)
def test_parsing_a_tile_path_undoes_formatting_it(tile: Tile) -> None:
    assert parse_tile_path(format_tile_path(tile)) == tile
    bundle = Tile(0, tile.index, tile.width)
    assert parse_bundle_path(format_bundle_path(bundle)) == bundle


NUMBERS = ["", "0", "00", "0000", "1234", "x00", "x000", "x000/000", "x001/x000", "x001/00", "x001/0000", "001/000"]
NUMBERS += [
    "X001/000",
    "x1/000",
    "x001000",
    "x001//000",
    "/000",
    "000/",
    "-01",
    "+01",
    " 00",
    "00 ",
    "0x0",
    "1e2",
    "٠٠٠",
]
NUMBERS += ["x000/x001/000", "000/x001", "..", "x../000", "000\n", "000.p", "000.p/", "000.p/0", "000.p/00", "000.p/01"]
NUMBERS += ["000.p/256", "000.p/999", "000.p/1000", "000.p/-1", "000.p/+1", "000.p/1/", "000.p/1.p/1", "000.P/1"]
NUMBERS += ["000.p/x1", "000.p/١", "000p/1", "000.p//1", "x001.p/1/000", "000.p/ 1", "000.p/1\n", "000.p/1_0"]
NUMBERS += [
    "x009/x223/x372/x036/x854/x775/808",
    "x999/x999/x999/x999/x999/x999/999",
    "x001/" * 7 + "000",
    "x001/" * 999,
]


@pytest.mark.parametrize("number", NUMBERS)
def test_it_refuses_every_other_spelling_of_a_number(number: str) -> None:
    for parse, level in ((parse_tile_path, "0"), (parse_bundle_path, "entries")):
        with pytest.raises(TileError, match="^tile_path_malformed$"):
            parse(f"tile/{level}/{number}")


@pytest.mark.parametrize(
    "path",
    ["", "tile", "tile/", "tile/0", "/tile/0/000", "tiles/0/000", "Tile/0/000", "tile//000", "0/000", "tile/0/000/000"]
    + [f"tile/{level}/000" for level in ("", "00", "01", "64", "99", "100", "-1", "+1", " 1", "1 ", "1_0", "x0", "٣")]
    + ["tile/data/000", "tile/entries/000", "tile/entries/000.p/1", "tile/Entries/000"],
)
def test_it_refuses_what_is_not_the_path_of_a_hash_tile(path: str) -> None:
    with pytest.raises(TileError, match="^tile_path_malformed$"):
        parse_tile_path(path)


@pytest.mark.parametrize(
    "path", ["", "tile/entries", "tile/0/000", "tile/entries/0/000", "tile/Entries/000", "entries/000"]
)
def test_it_refuses_what_is_not_the_path_of_a_bundle(path: str) -> None:
    with pytest.raises(TileError, match="^tile_path_malformed$"):
        parse_bundle_path(path)


@pytest.mark.parametrize(
    ("level", "index", "width"), [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, 2**63, 1), (0, 0, 0), (0, 0, 257), (0, 0, -1)]
)
def test_no_tile_lies_outside_every_tree(level: int, index: int, width: int) -> None:
    with pytest.raises(TileError, match="^tile_malformed$"):
        Tile(level, index, width)


# Which tiles there are, and what is in them


def test_a_tree_of_70000_has_the_published_tiles() -> None:
    tiles = list(tiles_of_tree(SIZE_MAX))
    assert [tile for tile in tiles if tile.width < TILE_WIDTH_MAX] == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert [tile for tile in tiles if tile.width == TILE_WIDTH_MAX] == [*(Tile(0, n) for n in range(273)), Tile(1, 0)]
    assert list(tiles_of_tree(256)) == [Tile(0, 0), Tile(1, 0, 1)]


@given(st.integers(0, 2_000))
def test_a_tree_has_just_the_tiles_of_the_formula(size: int) -> None:
    # https://c2sp.org/tlog-tiles#partial-tiles floor(s / 256**l) full hashes, 256 in a tile; empty tiles do not exist.
    expected = set()
    for level in range(3):
        full, partial = divmod(size // 256**level, 256)
        expected |= {Tile(level, n) for n in range(full)} | ({Tile(level, full, partial)} if partial else set())
    tiles = list(tiles_of_tree(size))
    assert set(tiles) == expected
    assert len(tiles) == len(expected)
    assert all(tile.tree_size_min <= size for tile in tiles)


def test_no_tree_has_a_negative_size() -> None:
    with pytest.raises(ValueError, match="^a log has no negative size$"):
        list(tiles_of_tree(-1))


@given(TILES)
def test_a_tile_needs_the_tree_that_just_completes_its_last_hash(tile: Tile) -> None:
    first = tlog.stored_count(tile.tree_size_min - 1)
    assert first <= tile.stored_indexes[-1] < tlog.stored_count(tile.tree_size_min)


@pytest.mark.parametrize("size", SIZES)
def test_a_tile_holds_the_hashes_of_the_formula(size: int, hashes: dict[int, bytes]) -> None:
    reads: list[Sequence[int]] = []

    def read(indexes: Sequence[int]) -> dict[int, bytes]:
        reads.append(indexes)
        return {index: hashes[index] for index in indexes}

    tiles = list(tiles_of_tree(size))
    for tile in tiles:
        data = read_tile(tile, read)
        assert data == tile_of_the_formula(tile)
        assert format_tile(parse_tile(data, tile.width)) == data
    assert len(reads) == len(tiles)
    assert max(map(len, reads), default=0) <= TILE_WIDTH_MAX


def test_a_tile_of_a_store_that_lost_a_hash_is_not_made(hashes: dict[int, bytes]) -> None:
    tile = Tile(0, 0, 3)
    with pytest.raises(tlog.TreeStoreError, match="^stored_hash_missing$"):
        read_tile(tile, lambda indexes: {index: hashes[index] for index in indexes[1:]})
    with pytest.raises(tlog.TreeStoreError, match="^stored_hash_malformed$"):
        read_tile(tile, lambda indexes: {index: hashes[index][1:] for index in indexes})


@pytest.mark.parametrize(("size", "width"), [(0, 1), (31, 1), (33, 1), (64, 1), (32, 2), (8_191, 256), (8_193, 256)])
def test_it_refuses_a_tile_of_another_width(size: int, width: int) -> None:
    with pytest.raises(TileError, match="^tile_malformed$"):
        parse_tile(bytes(size), width)


# Entry bundles


@given(ENTRIES)
def test_parsing_a_bundle_undoes_formatting_it(entries: list[bytes]) -> None:
    assert parse_bundle(format_bundle(entries), len(entries)) == entries


def test_a_length_has_two_bytes_the_greater_one_first() -> None:
    assert format_bundle([b"", b"ab", bytes(258)]) == b"\0\0" + b"\0\2ab" + b"\1\2" + bytes(258)
    largest = bytes(ENTRY_SIZE_MAX_BYTES)
    assert parse_bundle(format_bundle([largest]), 1) == [largest]
    with pytest.raises(TileError, match="^entry_too_large$"):
        format_bundle([largest + b"\0"])


@given(st.binary(max_size=40), st.integers(0, 10))
def test_bytes_are_either_refused_or_the_one_spelling_of_their_entries(data: bytes, width: int) -> None:
    try:
        entries = parse_bundle(data, width)
    except TileError:
        return
    assert format_bundle(entries) == data
    assert len(entries) == width


@pytest.mark.parametrize(
    ("data", "width"),
    [
        (b"", 1),
        (b"\0", 1),
        (b"\1", 1),
        (b"\0\1", 1),
        (b"\0\2a", 1),
        (b"\0\0", 0),
        (b"\0\0", 2),
        (b"\0\1a", 2),
        (b"\0\1a\0\1b", 1),
        (b"\0\1a\0", 1),
        (b"\0\1a\0", 2),
        (b"\0\1a\0\1", 2),
        (b"\1\0a", 1),
        (b"\xff\xff", 1),
    ],
)
def test_it_refuses_a_bundle(data: bytes, width: int) -> None:
    with pytest.raises(TileError, match="^bundle_malformed$"):
        parse_bundle(data, width)


def test_it_refuses_a_bundle_that_was_cut_anywhere() -> None:
    data = format_bundle([b"", b"a", b"bc" * 200])
    for end in range(len(data)):
        with pytest.raises(TileError, match="^bundle_malformed$"):
            parse_bundle(data[:end], 3)


# A stranger's proofs


def read_everything(size: int, shelf: Shelf) -> None:
    reader = TileReader(size, mth(0, size), shelf.fetch)
    reader([index for tile in tiles_of_tree(size) for index in tile.stored_indexes])


@pytest.mark.parametrize("size", SIZES)
def test_a_stranger_makes_every_proof_from_tiles_alone(size: int, hashes: dict[int, bytes]) -> None:
    shelf, root = Shelf(size, hashes), mth(0, size)
    reader = TileReader(size, root, shelf.fetch)
    assert tlog.tree_root(size, reader) == root
    for position in {0, 1, 254, 255, 256, 511, size // 2, size - 2, size - 1} & set(range(size)):
        proof = tlog.prove_inclusion(position, size, reader)
        assert proof == tlog.prove_inclusion(position, size, lambda _: hashes)
        tlog.check_inclusion(mth(position, position + 1), position, size, proof, root)
    for old_size in {1, 2, 255, 256, 257, 512, size // 2, size - 1, size} & set(range(size + 1)):
        assert tlog.tree_root(old_size, reader) == mth(0, old_size)
        proof = tlog.prove_consistency(old_size, size, reader)
        tlog.check_consistency(old_size, mth(0, old_size), size, root, proof)
    assert len(shelf.fetched) == len(set(shelf.fetched))


@given(st.integers(1, 1_300), st.data())
def test_tiles_prove_what_the_log_itself_proves(hashes: dict[int, bytes], size: int, data: st.DataObject) -> None:
    position, old_size = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    reader = TileReader(size, mth(0, size), Shelf(size, hashes).fetch)

    def read(_: Sequence[int]) -> dict[int, bytes]:
        return hashes

    assert tlog.prove_inclusion(position, size, reader) == tlog.prove_inclusion(position, size, read)
    assert tlog.prove_consistency(old_size, size, reader) == tlog.prove_consistency(old_size, size, read)


def test_one_proof_in_a_long_log_takes_few_tiles(hashes: dict[int, bytes]) -> None:
    shelf = Shelf(SIZE_MAX, hashes)
    tlog.prove_inclusion(300, SIZE_MAX, TileReader(SIZE_MAX, mth(0, SIZE_MAX), shelf.fetch))
    assert set(shelf.fetched) == {Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1), Tile(1, 0), Tile(0, 1)}


@pytest.mark.parametrize("size", [1, 255, 256, 257, 600])
def test_a_stranger_believes_no_tile_that_was_changed(size: int, hashes: dict[int, bytes]) -> None:
    for tile in tiles_of_tree(size):
        for at in {0, tile.width // 2, tile.width - 1}:
            shelf = Shelf(size, hashes)
            data = bytearray(shelf.tiles[tile])
            data[at * 32] ^= 1
            shelf.tiles[tile] = bytes(data)
            with pytest.raises(TileError, match="^tile_not_of_this_tree$"):
                read_everything(size, shelf)


def test_a_stranger_believes_no_tile_that_stands_in_for_another(hashes: dict[int, bytes]) -> None:
    shelf = Shelf(600, hashes)
    shelf.tiles[Tile(0, 1)] = shelf.tiles[Tile(0, 0)]
    reader = TileReader(600, mth(0, 600), shelf.fetch)
    assert tlog.prove_inclusion(0, 600, reader)
    with pytest.raises(TileError, match="^tile_not_of_this_tree$"):
        tlog.prove_inclusion(256, 600, reader)


@pytest.mark.parametrize(("size", "root"), [(0, bytes(32)), (600, bytes(32)), (600, mth(0, 599)), (600, b"")])
def test_a_stranger_believes_no_tiles_under_another_root(size: int, root: bytes, hashes: dict[int, bytes]) -> None:
    with pytest.raises(TileError, match="^tile_not_of_this_tree$"):
        TileReader(size, root, Shelf(size, hashes).fetch)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + bytes(32), lambda data: b""])
def test_a_stranger_believes_no_tile_of_another_width(change: object, hashes: dict[int, bytes]) -> None:
    shelf = Shelf(600, hashes)
    shelf.tiles[Tile(0, 2, 88)] = change(shelf.tiles[Tile(0, 2, 88)])  # type: ignore[operator]
    with pytest.raises(TileError, match="^tile_malformed$"):
        TileReader(600, mth(0, 600), shelf.fetch)


def test_tiles_say_nothing_of_hashes_that_the_tree_has_not(hashes: dict[int, bytes]) -> None:
    reader = TileReader(600, mth(0, 600), Shelf(600, hashes).fetch)
    assert reader([tlog.stored_index(0, 600), tlog.stored_index(10, 0)]) == {}
    with pytest.raises(tlog.TreeStoreError, match="^stored_hash_missing$"):
        tlog.tree_root(601, reader)
