"""Every parser of what comes from outside, thrown mutated and random input: a value comes out, or the declared error.

The cases are the same on every run: each parser has a generator with a fixed seed.
"""

import contextlib
import json
import random
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from marshmallow import ValidationError

from console.witness import WatchedLog, WitnessStateError, format_watched_log, parse_watched_log
from ledger.canonical import CanonicalError, canonical_json, parse_canonical
from ledger.checkpoints import SignerState, note_signers, note_verifiers, read_state, write_state
from ledger.cosignature import CosignatureSigner, check_cosignatures, parse_cosignature_vkey
from ledger.errors import KeyringError, NotFoundError, SealError, SignerError
from ledger.keyring import Key, format_key, load_keyring, parse_key
from ledger.mirror import BOOKMARK, MirrorError, extend_mirror, verify_mirror
from ledger.mirror import CHECKPOINT as CHECKPOINT_FILE
from ledger.mirror import ENTRIES as ENTRIES_FILE
from ledger.note import (
    Checkpoint,
    NoteError,
    NoteSigner,
    NoteVerifier,
    format_checkpoint,
    open_note,
    parse_checkpoint,
    parse_signature_line,
    parse_vkey,
    sign_note,
    unverified_text,
)
from ledger.receipt_facts import ReceiptError
from ledger.receipt_verification import signed_text, verify_receipt
from ledger.sealing import open_inbox_box, public_of, seal_for_inbox, seal_versioned, unseal_versioned
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
from ledger.tlog import EMPTY_ROOT, Frontier, TreeStoreError
from ledger.witness import (
    EMPTY_HEAD,
    AddCheckpoint,
    TreeHead,
    Witness,
    WitnessRefusal,
    format_request,
    format_size,
    parse_request,
    parse_size,
)
from schemas.address import AddressRefused, parse_address
from schemas.entry import LEAF_GRAMMAR, Entry, Kind, format_leaf, format_time, parse_leaf, parse_time
from schemas.form_body import parse_form
from schemas.message import Decision, Message, MessageType, format_message, parse_message
from schemas.policy import load_policy
from schemas.presented_receipt import PresentedReceiptRefused, read_presented_receipt
from schemas.refusal import NotUnderstood
from schemas.strict_json import SyntaxRefused, parse_json
from schemas.token import TokenRefused, format_token, parse_token
from schemas.understanding import format_parked, parse_parked, understand
from tests.world import ROOT, World, checkout_event, settings_for

CASES = 3_000
RANDOM_CASES = 1_000
SIZE_MAX_BYTES = 300
NOW_MS = 1_800_000_000_000

SIGNER = NoteSigner("samtykke.example.org/test", Ed25519PrivateKey.from_private_bytes(bytes(32)))
CHECKPOINT = format_checkpoint(Checkpoint(SIGNER.name, 4_711, bytes(range(32)), ("extension",)))
NOTE = sign_note(CHECKPOINT, [SIGNER]) + "— witness.example.test AAAAAAAA\n"
WITNESS = CosignatureSigner("witness.example.test/1", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
COSIGNATURES = WITNESS.sign(CHECKPOINT, NOW_MS) + SIGNER.sign(CHECKPOINT) + WITNESS.sign(CHECKPOINT, NOW_MS + 1_000)
DOCUMENT = {"id": "00" * 16, "kind": "consent.given", "n": [1, -2, None, True, {"a": "ø"}], "v": 1}
LEAF = format_leaf(
    Entry("00" * 16, Kind.GIVEN, NOW_MS, subject=bytes(16), purpose="newsletter", occurred_at_ms=NOW_MS, count=7)
)
KEY = Key(2, {1: bytes(32), 2: bytes(range(32))}, SIGNER.name)
INBOX_KEY = Key(1, {1: bytes(range(32))})
ENTRIES = [b"", b"{}", b"an entry" * 9]
MAC_KEYS = {7: bytes(range(32))}
MESSAGE = Message(
    MessageType.SIGN_UP, "form:newsletter", "kari@example.no", {"company": "Ø AS"}, (Decision("newsletter", "given"),)
)
RECEIPT = {"ledger": {"entries": [{"leaf": LEAF.decode(), "position": 7, "proof": []}], "checkpoint": NOTE}, "v": [2]}
POLICY = load_policy(ROOT / "policy.toml")
FORM = {"email": "kari@example.no", "newsletter": "yes", "first_name": "Kari", "entry_id": "17", "other": ["a", {}]}
# What has broken parsers before: numbers that are none, digits that are not ASCII, nesting, and the ends of alphabets.
TRICKS = [
    *(b"NaN", b"Infinity", b"-0", b"1e999", b"1" * 5_000, b"0x1", b"+1", b"1_0", b"\xd9\xa1", b"9223372036854775808"),
    *(b"null", b"true", b"[]", b"{}", b'""', b"[" * 3_000, b'{"a":' * 3_000, b'"\\ud800"', b"\\u0000"),
    *(b"\0", b"\n", b"\n\n", b"\r\n", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\x94 ", b"=", b"==", b"+"),
    *(b"/", b"x", b".p/", b"256", b"000", b"\xff\xff", b"\x85", b"\xc2\x85", b"\xe2\x80\xa8", b" "),
]


MISSING = object()
ODD_VALUES = [None, True, 0, -1, 2**53, 2**63, 2**64, 0.0, 1.5, 1e400, "", "1", "ø", "\ud800", [], {}, [None], {"": {}}]


@dataclass(frozen=True, slots=True)
class Target:
    """`parse` takes bytes, as a file or a network gives them, and `valid` are some that it takes."""

    parse: Callable[[bytes], object]
    errors: type[Exception] | tuple[type[Exception], ...]
    valid: tuple[bytes, ...]


def of_text(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    """A parser of text, given text that no decoder would have made as well: lone surrogates for stray bytes."""
    return lambda data: parse(data.decode(errors="surrogateescape"))


def or_refuse(parse: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """A parser that answers None to what it does not take."""

    def refuse(data: bytes) -> object:
        if (found := parse(data)) is None:
            raise NotFoundError("nothing_in_it")
        return found

    return refuse


def read_leaf(data: bytes) -> object:
    """Whatever is in the grammar of leaves is canonical, and is a leaf to whoever reads it as a document."""
    if not (found := LEAF_GRAMMAR.fullmatch(data)):
        raise NotFoundError("not_a_leaf")
    parse_canonical(data)
    return found


class OneLog:
    """A witness' memory of one log, forgotten after each request."""

    def verifiers(self, origin: str) -> Sequence[NoteVerifier]:
        return [SIGNER.verifier()] if origin == SIGNER.name else []

    def head(self, origin: str) -> TreeHead:
        return EMPTY_HEAD

    def replace_head(self, origin: str, old: TreeHead, new: TreeHead) -> TreeHead:
        return new


NOTES = {
    "open_note": Target(partial(open_note, verifiers=[SIGNER.verifier()]), NoteError, (NOTE.encode(),)),
    "open_note, text": Target(of_text(partial(open_note, verifiers=[SIGNER.verifier()])), NoteError, (NOTE.encode(),)),
    "unverified_text": Target(unverified_text, NoteError, (NOTE.encode(),)),
    "parse_signature_line": Target(of_text(parse_signature_line), NoteError, (SIGNER.sign("\n")[:-1].encode(),)),
    "parse_vkey": Target(of_text(parse_vkey), NoteError, (SIGNER.vkey().encode(),)),
    "parse_checkpoint": Target(of_text(parse_checkpoint), NoteError, (CHECKPOINT.encode(),)),
    "parse_cosignature_vkey": Target(of_text(parse_cosignature_vkey), NoteError, (WITNESS.verifier().vkey().encode(),)),
    "check_cosignatures": Target(
        of_text(partial(check_cosignatures, CHECKPOINT, verifier=WITNESS.verifier())),
        NoteError,
        (COSIGNATURES.encode(),),
    ),
    "check_cosignatures, text": Target(
        of_text(lambda text: check_cosignatures(text, COSIGNATURES, WITNESS.verifier())),
        NoteError,
        (CHECKPOINT.encode(),),
    ),
}
WITNESSES = {
    "parse_request": Target(
        parse_request, WitnessRefusal, (format_request(AddCheckpoint(3, (bytes(32), bytes(range(32))), NOTE)),)
    ),
    "add_checkpoint": Target(
        lambda body: Witness(WITNESS, OneLog()).add_checkpoint(body, NOW_MS),
        WitnessRefusal,
        (format_request(AddCheckpoint(0, (), NOTE)),),
    ),
    "parse_size": Target(of_text(or_refuse(parse_size)), NotFoundError, (format_size(4_711).encode(),)),
    "parse_watched_log": Target(
        parse_watched_log,
        WitnessStateError,
        (format_watched_log(WatchedLog(SIGNER.name, (SIGNER.vkey(),), TreeHead(4_711, EMPTY_ROOT))),),
    ),
}
TREES = {
    "parse_canonical": Target(parse_canonical, CanonicalError, (canonical_json(DOCUMENT), b"{}")),
    "leaf": Target(read_leaf, NotFoundError, (LEAF,)),
    "parse_leaf": Target(parse_leaf, ValueError, (LEAF,)),
    "parse_time": Target(of_text(parse_time), ValueError, (format_time(NOW_MS).encode(),)),
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
}
KEYS = {
    "parse_key": Target(of_text(parse_key), KeyringError, (format_key(KEY).encode(),)),
    "load_keyring": Target(
        of_text(lambda text: load_keyring("clock", Path("/nowhere"), text)["checkpoint"]),
        KeyringError,
        (f'{{"checkpoint": {format_key(KEY)}}}'.encode(),),
    ),
    "open_inbox_box": Target(
        lambda box: open_inbox_box(INBOX_KEY, box, b"context"),
        SealError,
        (seal_for_inbox(public_of(INBOX_KEY), b"a message", b"context", 0),),
    ),
    "unseal_versioned": Target(
        lambda box: unseal_versioned(KEY, box, b"context"), SealError, (seal_versioned(KEY, b"a key", b"context"),)
    ),
    "parse_token": Target(
        of_text(lambda text: parse_token(text, MAC_KEYS)),
        TokenRefused,
        (format_token(key_id=7, link_id=bytes(16), mac_key=MAC_KEYS[7]).encode(),),
    ),
}
BODIES = {
    "parse_json": Target(parse_json, SyntaxRefused, (json.dumps(FORM).encode(), canonical_json(DOCUMENT))),
    "parse_form": Target(parse_form, SyntaxRefused, (b"email=kari%40example.no&newsletter=yes&a=%C3%B8+b",)),
    "parse_address": Target(
        of_text(parse_address), AddressRefused, (b"Kari.Nordmann+post@bl\xc3\xa5b\xc3\xa6r.example",)
    ),
    "parse_message": Target(parse_message, ValidationError, (format_message(MESSAGE),)),
    "parse_parked": Target(parse_parked, NotUnderstood, (format_parked(FORM, NOW_MS),)),
    "presented receipt": Target(
        lambda data: read_presented_receipt(parse_json(data)),
        (SyntaxRefused, PresentedReceiptRefused),
        (json.dumps(RECEIPT).encode(),),
    ),
    "form": Target(
        lambda data: understand(POLICY, "form:newsletter", parse_json(data), None, "any"),
        (SyntaxRefused, NotUnderstood),
        (json.dumps(FORM).encode(),),
    ),
    "Stripe's event": Target(
        lambda data: understand(POLICY, "stripe", parse_json(data), NOW_MS, "any"),
        (SyntaxRefused, NotUnderstood),
        (json.dumps(checkout_event()).encode(),),
    ),
}
TARGETS = NOTES | WITNESSES | TREES | KEYS | BODIES


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


def places(value: object) -> Iterator[tuple[str | int, ...]]:
    """The way to every part of a document, itself first."""
    yield ()
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield from ((name, *rest) for rest in places(part))


def misshapen(document: Any, place: Sequence[str | int], odd: object) -> Any:
    """The document with something odd in one place; without the place at all if that is MISSING."""
    if not place:
        return odd
    copy = document.copy()
    if len(place) == 1 and odd is MISSING:
        del copy[place[0]]
    else:
        copy[place[0]] = misshapen(document[place[0]], place[1:], odd)
    return copy


def misshapen_forms(valid: bytes) -> Iterator[bytes]:
    """If it is JSON: with every odd value in the place of every part of it."""
    try:
        document = json.loads(valid)
    except ValueError:
        return
    for place in places(document):
        for odd in (*ODD_VALUES, MISSING)[: None if place else -1]:
            yield json.dumps(misshapen(document, place, odd), sort_keys=True, separators=(",", ":")).encode()


def cases(name: str, target: Target) -> list[bytes]:
    chance = random.Random(name)  # noqa: S311 - the same cases every time
    found = [mutated(chance, chance.choice(target.valid)) for _ in range(CASES)]
    found += [chance.randbytes(chance.randrange(SIZE_MAX_BYTES)) for _ in range(RANDOM_CASES)]
    found += [trick + valid for trick in TRICKS for valid in (b"", *target.valid)]
    found += [form for valid in target.valid for form in misshapen_forms(valid)]
    return found


def throw(name: str, target: Target, each: int = 1) -> tuple[int, int]:
    """How many cases were taken and how many refused. Any other error passes through, with the case that made it.

    `each`: only every so manieth case, for what is slow.
    """
    taken = refused = 0
    for case in cases(name, target)[::each]:
        try:
            target.parse(case)
        except target.errors as error:
            refused += 1
            assert getattr(error, "reason", "").replace("_", "a").isalnum() or not hasattr(error, "reason")
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


def in_file(path: Path, parse: Callable[[Path], object]) -> Callable[[bytes], object]:
    """A parser of a file, given the bytes in it."""

    def write_and_parse(data: bytes) -> object:
        path.write_bytes(data)
        return parse(path)

    return write_and_parse


def test_a_signer_reads_its_state_or_says_that_it_cannot(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.state.json"
    write_state(path, SignerState(4_711, bytes(range(32))))
    target = Target(in_file(path, read_state), SignerError, (path.read_bytes(),))
    taken, refused = throw("read_state", target, each=8)
    assert refused > CASES / 16
    assert taken
    for document in (None, [], 1, "a", {"size": []}, {"size": 1, "root": 1}, {"size": 1e400, "root": ""}):
        with pytest.raises(SignerError, match="^signer_state_malformed$"):
            target.parse(json.dumps(document).encode())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Kari has said yes and holds a receipt of it; everything is signed, and mirrored."""
    made = World(settings_for(tmp_path_factory.mktemp("world")))
    made.give("kari@example.no")
    made.sign()
    made.carry()
    yield made
    made.close()


def test_a_mirror_is_read_or_refused_whatever_stands_in_its_files(world: World, tmp_path: Path) -> None:
    verifiers = [NoteVerifier.from_vkey(world.signer.vkey)]
    with world.database.read() as connection:
        extend_mirror(connection, tmp_path)
        for name, errors in ((CHECKPOINT_FILE, (MirrorError, NoteError)), (ENTRIES_FILE, MirrorError)):
            valid = (tmp_path / name).read_bytes()
            target = Target(in_file(tmp_path / name, lambda _: verify_mirror(tmp_path, verifiers)), errors, (valid,))
            _, refused = throw(f"mirror, {name}", target, each=16)
            assert refused > CASES / 32
            (tmp_path / name).write_bytes(valid)
        # A bookmark only saves work: one that is none is written anew, unless it may be of a later day.
        valid = (tmp_path / BOOKMARK).read_bytes()
        for form in misshapen_forms(valid):
            (tmp_path / BOOKMARK).write_bytes(form)
            with contextlib.suppress(MirrorError):
                assert extend_mirror(connection, tmp_path) == 0
                assert (tmp_path / BOOKMARK).read_bytes() == valid


def test_a_receipt_is_verified_or_refused(world: World) -> None:
    keyring = load_keyring("operator", world.settings.keys_dir)
    keys = note_verifiers(keyring["receipt"]), note_verifiers(keyring["checkpoint"])
    (part,) = world.mails()[-1].iter_attachments()
    receipt = part.get_content()
    assert isinstance(receipt, bytes)

    def sign_and_verify(data: bytes) -> object:
        """As an issuer would who lies: what is behind the signature must stand on its own."""
        document = parse_json(data)
        if not isinstance(document, dict):
            raise NotFoundError("nothing_to_sign")
        document["signature"] = sign_note(signed_text(document), note_signers(keyring["receipt"]))
        return verify_receipt(json.dumps(document).encode(), *keys)

    unsigned = json.loads(receipt)
    del unsigned["signature"]
    targets = {
        "receipt": Target(lambda data: verify_receipt(data, *keys), ReceiptError, (receipt,)),
        "receipt, signed again": Target(
            sign_and_verify,
            (ReceiptError, SyntaxRefused, CanonicalError, NotFoundError),
            (json.dumps(unsigned).encode(), json.dumps({"ledger": unsigned["ledger"]}).encode()),
        ),
    }
    for name, target in targets.items():
        target.parse(target.valid[0])
        _, refused = throw(name, target, each=4)
        assert refused > CASES / 8


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
