"""Every parser of the record, thrown mutated and random input: what comes out is a value or the declared error.

The cases are the same on every run: each parser has a generator with a fixed seed.
"""

import json
import random
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.canonical import CanonicalError, canonical_json, parse_canonical
from ledger.checkpoints import SignerState, read_state, write_state
from ledger.errors import KeyringError, LedgerError, SignerError
from ledger.keyring import Key, format_key, parse_key
from ledger.note import (
    Checkpoint,
    NoteError,
    NoteSigner,
    format_checkpoint,
    open_note,
    parse_checkpoint,
    parse_vkey,
    sign_note,
    unverified_text,
)
from ledger.tiles import (
    Tile,
    TileError,
    format_bundle,
    format_bundle_path,
    format_tile_path,
    parse_bundle,
    parse_bundle_path,
    parse_tile,
    parse_tile_path,
)
from ledger.tlog import Frontier, TreeStoreError

CASES = 3_000
RANDOM_CASES = 1_000
SIZE_MAX_BYTES = 300

SIGNER = NoteSigner("samtykke.example.org/test", Ed25519PrivateKey.from_private_bytes(bytes(32)))
CHECKPOINT = format_checkpoint(Checkpoint(SIGNER.name, 4_711, bytes(range(32)), ("extension",)))
NOTE = sign_note(CHECKPOINT, [SIGNER]) + "— witness.example.test AAAAAAAA\n"
ENTRY = {"id": "00" * 16, "kind": "consent.given", "n": [1, -2, None, True, {"a": "ø"}], "v": 1}
KEY = Key(2, {1: bytes(32), 2: bytes(range(32))}, SIGNER.name)
ENTRIES = [b"", b"{}", b"an entry" * 9]
# What has broken parsers before: numbers that are none, digits that are not ASCII, nesting, and the ends of alphabets.
TRICKS = [
    *(b"NaN", b"Infinity", b"-0", b"1e999", b"1" * 5_000, b"0x1", b"+1", b"1_0", b"\xd9\xa1", b"9223372036854775808"),
    *(b"null", b"true", b"[]", b"{}", b'""', b"[" * 3_000, b'{"a":' * 3_000, b'"\\ud800"', b"\\u0000"),
    *(b"\0", b"\n", b"\n\n", b"\r\n", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\x94 ", b"=", b"==", b"+"),
    *(b"/", b"x", b".p/", b"256", b"000", b"\xff\xff", b"\x85", b"\xc2\x85", b"\xe2\x80\xa8", b" "),
]


@dataclass(frozen=True, slots=True)
class Target:
    """`parse` takes bytes, as a file or a network gives them, and `valid` are some that it takes."""

    parse: Callable[[bytes], object]
    error: type[LedgerError]
    valid: tuple[bytes, ...]


def of_text(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    """A parser of text, given text that no decoder would have made as well: lone surrogates for stray bytes."""
    return lambda data: parse(data.decode(errors="surrogateescape"))


TARGETS = {
    "open_note": Target(partial(open_note, verifiers=[SIGNER.verifier()]), NoteError, (NOTE.encode(),)),
    "open_note, text": Target(of_text(partial(open_note, verifiers=[SIGNER.verifier()])), NoteError, (NOTE.encode(),)),
    "unverified_text": Target(unverified_text, NoteError, (NOTE.encode(),)),
    "parse_vkey": Target(of_text(parse_vkey), NoteError, (SIGNER.vkey().encode(),)),
    "parse_checkpoint": Target(of_text(parse_checkpoint), NoteError, (CHECKPOINT.encode(),)),
    "parse_canonical": Target(parse_canonical, CanonicalError, (canonical_json(ENTRY), b"{}")),
    "parse_tile_path": Target(
        of_text(parse_tile_path),
        TileError,
        (format_tile_path(Tile(1, 1_234_067, 17)).encode(), format_tile_path(Tile(0, 5)).encode()),
    ),
    "parse_bundle_path": Target(
        of_text(parse_bundle_path), TileError, (format_bundle_path(Tile(0, 1_234_067, 17)).encode(),)
    ),
    "parse_tile": Target(partial(parse_tile, width=3), TileError, (bytes(96),)),
    "parse_bundle": Target(partial(parse_bundle, width=len(ENTRIES)), TileError, (format_bundle(ENTRIES),)),
    "Frontier.from_bytes": Target(partial(Frontier.from_bytes, 0b1011), TreeStoreError, (bytes(96),)),
    "parse_key": Target(of_text(parse_key), KeyringError, (format_key(KEY).encode(),)),
}


def mutated(chance: random.Random, data: bytes) -> bytes:
    """The data with one to four changes: bits, cuts, repetitions, and tricks in the place of something."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(changed) + 1)
        end = min(len(changed), at + chance.choice((0, 1, 1, 2, 8)))
        match chance.randrange(6):
            case 0 if at < len(changed):
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                del changed[at:end]
            case 2:
                changed[at:end] = chance.randbytes(chance.choice((1, 2, 8)))
            case 3:
                changed[at:at] = changed[at : at + chance.randrange(1, 40)]
            case 4:
                del changed[at:]
            case _:
                changed[at:end] = chance.choice(TRICKS)
    return bytes(changed)


def cases(name: str, target: Target) -> list[bytes]:
    chance = random.Random(name)  # noqa: S311 - the same cases every time
    found = [mutated(chance, chance.choice(target.valid)) for _ in range(CASES)]
    found += [chance.randbytes(chance.randrange(SIZE_MAX_BYTES)) for _ in range(RANDOM_CASES)]
    found += [trick + valid for trick in TRICKS for valid in (b"", *target.valid)]
    return found


def throw(name: str, target: Target) -> tuple[int, int]:
    """How many cases were taken and how many refused. Any other error passes through, with the case that made it."""
    taken = refused = 0
    for case in cases(name, target):
        try:
            target.parse(case)
        except target.error as error:
            refused += 1
            assert type(error) in (target.error, *target.error.__subclasses__())
            assert error.reason.replace("_", "").isalnum()
        except Exception as error:
            raise AssertionError(f"{name}: {type(error).__name__} for {case[:200]!r}") from error
        else:
            taken += 1
    return taken, refused


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_the_declared_error_comes_out(name: str) -> None:
    target = TARGETS[name]
    for valid in target.valid:
        target.parse(valid)
    taken, refused = throw(name, target)
    assert refused > CASES / 2, "the mutations change nothing"
    assert taken + refused >= CASES + RANDOM_CASES


@pytest.mark.parametrize("size", [0, 1, 255, 2**62, 2**63 - 1, -1])
def test_a_frontier_of_any_size_takes_or_refuses_any_bytes(size: int) -> None:
    target = Target(partial(Frontier.from_bytes, size), TreeStoreError, (bytes(32 * size.bit_count()),))
    throw(f"frontier {size}", target)


def test_a_signer_reads_its_state_or_says_that_it_cannot(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.state.json"
    write_state(path, SignerState(4_711, bytes(range(32))))
    valid = path.read_bytes()

    def parse(data: bytes) -> object:
        path.write_bytes(data)
        return read_state(path)

    taken, refused = throw("read_state", Target(parse, SignerError, (valid,)))
    assert refused > CASES / 2
    assert taken
    for document in (None, [], 1, "a", {"size": []}, {"size": 1, "root": 1}, {"size": 1e400, "root": ""}):
        with pytest.raises(SignerError, match="^signer_state_malformed$"):
            parse(json.dumps(document).encode())


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {"keys": []},
        {"keys": {"1": 1}, "current": 1},
        {"keys": {"1": b64encode(bytes(32)).decode()}, "current": 1e400},
        {"keys": {"one": b64encode(bytes(32)).decode()}, "current": 1},
        {"keys": {"1": b64encode(bytes(31)).decode()}, "current": 1},
        {"keys": {"1": b64encode(bytes(32)).decode()}, "current": 2},
        {"keys": {}, "current": []},
    ],
)
def test_a_key_file_of_another_shape_is_refused(document: object) -> None:
    with pytest.raises(KeyringError, match="^key_malformed$"):
        parse_key(json.dumps(document))
