"""Signed notes and checkpoints against published ones, and a table of what is refused and why."""

import json
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.note import (
    NOTE_SIZE_MAX_BYTES,
    SIGNATURES_MAX,
    TREE_SIZE_MAX,
    Checkpoint,
    NoteError,
    NoteSigner,
    NoteVerifier,
    format_checkpoint,
    format_vkey,
    open_note,
    parse_checkpoint,
    parse_vkey,
    sign_note,
)

FIXTURES = Path(__file__).parents[1] / "fixtures"
VECTORS = json.loads((FIXTURES / "vectors" / "rfc6962-and-notes.json").read_text("utf-8"))["signed_note"]
TEXT, LINE, LINE2 = VECTORS["text"], VECTORS["signature_line"], VECTORS["signature_line2"]
PETER, ENOCH = NoteVerifier.from_vkey(VECTORS["vkey"]), NoteVerifier.from_vkey(VECTORS["vkey2"])
SIGNED = f"{TEXT}\n{LINE}"

# https://sum.golang.org/latest as it once stood, and the key that the go command carries.
GO_VKEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
GO_CHECKPOINT = (
    "go.sum database tree\n65209736\n5+uGFjx6xBZG8ip1+wi77v+grwbhhukIrxEUS8PXvRo=\n\n"
    "— sum.golang.org Az3grnbssgK7ubgFX36gVETtNv0U23qxyAhAMai2QUfeGa3nB/akvkMdlUErfcZz7l/R3cVtYspg3dxXABkGZZKdsQ8=\n"
)
# The example in https://c2sp.org/signed-note: the text itself has an empty line.
POEM = (
    "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n— quasimodo.example/"
    "salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
)
ROOT = "5+uGFjx6xBZG8ip1+wi77v+grwbhhukIrxEUS8PXvRo="

SEEDS = st.binary(min_size=32, max_size=32)
# No control characters, no lone surrogates.
CHARACTERS = st.characters(min_codepoint=0x20, exclude_categories=["Cs"])
LINES = st.text(CHARACTERS, min_size=1, max_size=20)
NAMES = st.text(CHARACTERS.filter(lambda c: c != "+" and not c.isspace()), min_size=1, max_size=20)
TEXTS = st.text(CHARACTERS | st.just("\n"), max_size=60).map(lambda text: text + "\n")


def signer(name: str, seed: bytes) -> NoteSigner:
    return NoteSigner(name, Ed25519PrivateKey.from_private_bytes(seed))


def line_of(name: str, data: bytes) -> str:
    return f"— {name} {b64encode(data).decode()}\n"


def refuse(reason: str, message: str | bytes, verifiers: list[NoteVerifier] | None = None) -> None:
    with pytest.raises(NoteError, match=f"^{reason}$"):
        open_note(message, [PETER] if verifiers is None else verifiers)


def test_it_signs_as_go_does() -> None:
    seed = b64decode(VECTORS["skey"].split("+", 4)[4])[1:]
    peter = signer("PeterNeumann", seed)
    assert peter.vkey() == VECTORS["vkey"]
    assert peter.sign(TEXT) == LINE
    assert sign_note(TEXT, [peter]) == SIGNED


def test_it_opens_what_others_signed() -> None:
    assert open_note(SIGNED, [PETER]).text == TEXT
    assert open_note(SIGNED.encode(), [ENOCH, PETER]).signed_by == (PETER,)
    assert open_note(SIGNED + LINE2, [ENOCH, PETER]).signed_by == (PETER, ENOCH)
    foo = NoteVerifier.from_vkey(VECTORS["c2sp_example"]["vkey"])
    assert open_note(VECTORS["c2sp_example"]["note"], [foo]).text == "This is an example message.\n"


def test_it_opens_and_reads_a_checkpoint_of_the_go_checksum_database() -> None:
    note = open_note(GO_CHECKPOINT, [NoteVerifier.from_vkey(GO_VKEY)])
    checkpoint = parse_checkpoint(note.text)
    assert checkpoint == Checkpoint("go.sum database tree", 65209736, b64decode(ROOT))
    assert format_checkpoint(checkpoint) == note.text


@given(TEXTS, st.dictionaries(NAMES, SEEDS, min_size=1, max_size=3))
def test_opening_undoes_signing(text: str, keys: dict[str, bytes]) -> None:
    signers = [signer(name, seed) for name, seed in keys.items()]
    note = open_note(sign_note(text, signers), [each.verifier() for each in signers])
    assert note.text == text
    assert note.signed_by == tuple(each.verifier() for each in signers)


@given(NAMES, SEEDS)
def test_parsing_a_vkey_undoes_formatting_it(name: str, seed: bytes) -> None:
    verifier = signer(name, seed).verifier()
    assert parse_vkey(format_vkey(name, verifier.public_key)) == (name, verifier.public_key)


@given(
    st.builds(
        Checkpoint,
        LINES,
        st.integers(0, TREE_SIZE_MAX),
        st.binary(min_size=32, max_size=32),
        st.lists(LINES, max_size=3).map(tuple),
    )
)
def test_parsing_a_checkpoint_undoes_formatting_it(checkpoint: Checkpoint) -> None:
    assert parse_checkpoint(format_checkpoint(checkpoint)) == checkpoint


@given(st.text() | st.tuples(LINES, st.text("0123456789-+_ ٣", max_size=5)).map(lambda x: f"{x[0]}\n{x[1]}\n{ROOT}\n"))
def test_a_text_is_either_refused_or_the_one_spelling_of_its_checkpoint(text: str) -> None:
    try:
        checkpoint = parse_checkpoint(text)
    except NoteError:
        return
    assert format_checkpoint(checkpoint) == text


def test_a_key_that_shares_only_name_or_id_with_a_known_one_is_ignored() -> None:
    other_key, other_name = line_of("PeterNeumann", b"\0\0\0\1wrong"), line_of("EnochRoot", PETER.key_id + b"wrong")
    assert open_note(SIGNED + other_key + other_name, [PETER]).signed_by == (PETER,)
    refuse("not_signed_by_known_key", f"{TEXT}\n{other_key}{other_name}")


def test_a_key_that_signed_twice_counts_once_and_both_lines_must_be_right() -> None:
    assert open_note(SIGNED + LINE, [PETER]).signed_by == (PETER,)
    refuse("signature_invalid", SIGNED + line_of("PeterNeumann", PETER.key_id + bytes(64)))


def test_it_takes_as_many_signatures_as_the_limit_and_no_more() -> None:
    assert SIGNATURES_MAX >= 16, "https://c2sp.org/signed-note#format"
    unknown = [line_of("unknown", b"\0\0\0\0" + bytes([n])) for n in range(SIGNATURES_MAX)]
    assert open_note(SIGNED + "".join(unknown[1:]), [PETER]).text == TEXT
    refuse("too_many_signatures", SIGNED + "".join(unknown))


def test_it_takes_a_note_of_the_largest_size_and_no_larger() -> None:
    peter = signer("PeterNeumann", bytes(32))
    text = "a" * (NOTE_SIZE_MAX_BYTES - len(sign_note("\n", [peter]).encode())) + "\n"
    assert open_note(sign_note(text, [peter]), [peter.verifier()]).text == text
    with pytest.raises(NoteError, match="^note_too_large$"):
        sign_note("a" + text, [peter])


def test_it_refuses_every_bit_flipped_in_a_signed_note() -> None:
    data = SIGNED.encode()
    for at in range(len(data)):
        for bit in range(8):
            with pytest.raises(NoteError):
                open_note(data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :], [PETER])


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("note_malformed", ""),
        ("note_malformed", "\n"),
        ("note_malformed", "\n\n"),
        ("note_malformed", TEXT),
        ("note_malformed", TEXT + "\n"),
        ("note_malformed", TEXT + LINE),
        ("note_malformed", SIGNED[:-1]),
        ("note_malformed", SIGNED + "\n"),
        ("note_malformed", SIGNED + "\n\n"),
        ("note_malformed", SIGNED + "— a"),
        ("text_malformed", SIGNED.replace("\n", "\r\n")),
        ("text_malformed", "\t" + SIGNED),
        ("text_malformed", "\x00" + SIGNED),
        ("text_malformed", SIGNED.replace(" x08", "\x1fx08")),
        ("text_malformed", SIGNED + "\x0b"),
        ("text_malformed", "\ud800" + SIGNED),
        ("text_malformed", b"\xff" + SIGNED.encode()),
        ("text_malformed", b"\xc0\x80" + SIGNED.encode()),
        ("text_malformed", b"\xed\xa0\x80" + SIGNED.encode()),
        ("text_malformed", SIGNED.encode()[:-1] + b"\xe2\x80"),
        ("text_malformed", SIGNED.encode("utf-16")),
        ("signature_line_malformed", SIGNED + "a line that is no signature\n"),
        ("signature_line_malformed", f"{TEXT}\nno signature\n{LINE}"),
        ("signature_line_malformed", SIGNED.replace("— ", "- ")),
        ("signature_line_malformed", SIGNED.replace("— ", "—\u00a0")),
        ("signature_line_malformed", SIGNED.replace("— ", " — ")),
        ("signature_line_malformed", SIGNED + "— name\n"),
        ("signature_line_malformed", SIGNED + "— name \n"),
        ("signature_line_malformed", SIGNED + "— two words AAAAAAA=\n"),
        ("signature_line_malformed", SIGNED + "— name AAAAAAA= \n"),
        ("signature_line_malformed", SIGNED + line_of("name", b"1234")),
        ("signature_line_malformed", SIGNED + "— name AAAAAAA\n"),
        ("signature_line_malformed", SIGNED + "— name AAAAAAB=\n"),
        ("signature_line_malformed", SIGNED + "— name AAAAAAA==\n"),
        ("signature_line_malformed", SIGNED + "— name AAAA-_A=\n"),
        ("signature_line_malformed", SIGNED + "— name AAAAøA=\n"),
        ("key_name_malformed", SIGNED + line_of("a+b", b"12345")),
        ("key_name_malformed", SIGNED + line_of("", b"12345")),
        ("key_name_malformed", SIGNED + line_of("a\u00a0b", b"12345")),
        ("key_name_malformed", SIGNED + line_of("a\u2028b", b"12345")),
        ("key_name_malformed", SIGNED + line_of("a\x85b", b"12345")),
        ("signature_invalid", "x" + SIGNED),
        ("signature_invalid", f"\n{SIGNED}"),
        ("signature_invalid", f"{TEXT}\n{LINE2}\n{LINE}"),
        ("signature_invalid", SIGNED + line_of("PeterNeumann", PETER.key_id + b"short")),
        ("not_signed_by_known_key", f"{TEXT}\n{LINE2}"),
        ("not_signed_by_known_key", POEM),
    ],
)
def test_it_refuses_a_note(reason: str, message: str | bytes) -> None:
    refuse(reason, message)


def test_a_wrong_signature_of_one_known_key_condemns_the_note_that_another_signed() -> None:
    refuse("signature_invalid", SIGNED + line_of("EnochRoot", ENOCH.key_id + bytes(64)), [PETER, ENOCH])
    refuse("not_signed_by_known_key", SIGNED, [])


def test_it_refuses_two_known_keys_with_one_name_and_id() -> None:
    refuse("verifiers_ambiguous", SIGNED, [PETER, PETER])


@given(st.binary(max_size=200) | st.text().map(lambda text: f"{text}\n\n— {text}\n"))
def test_a_stranger_sees_nothing_but_note_errors(message: bytes | str) -> None:
    with pytest.raises(NoteError):
        open_note(message, [PETER])


@pytest.mark.parametrize("text", ["", "no newline", "a\n\nb", "tab\t\n", "\ud800\n"])
def test_it_signs_no_text_that_could_not_be_opened(text: str) -> None:
    with pytest.raises(NoteError):
        sign_note(text, [signer("a", bytes(32))])


def test_it_makes_no_note_without_a_signer_or_with_one_twice() -> None:
    with pytest.raises(NoteError, match="^note_malformed$"):
        sign_note(TEXT, [])
    with pytest.raises(NoteError, match="^verifiers_ambiguous$"):
        sign_note(TEXT, [signer("a", bytes(32))] * 2)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u00a0b", "a\u2003b", "a\x01b", "a\ud800"])
def test_it_refuses_a_key_name(name: str) -> None:
    for make in (NoteVerifier, format_vkey):
        with pytest.raises(NoteError, match="^key_name_malformed$"):
            make(name, PETER.public_key)
    with pytest.raises(NoteError, match="^key_name_malformed$"):
        signer(name, bytes(32))


def test_it_refuses_every_part_and_every_change_of_a_vkey() -> None:
    vkey = VECTORS["vkey"]
    assert parse_vkey(vkey) == ("PeterNeumann", PETER.public_key)
    parts = {vkey[low:high] for low in range(len(vkey)) for high in range(low, len(vkey) + 1)} - {vkey}
    changes = {
        vkey[:at] + chr(ord(vkey[at]) ^ 1 << bit) + vkey[at + 1 :] for at in range(len(vkey)) for bit in range(8)
    }
    for wrong in parts | changes | {vkey + "\n", " " + vkey, vkey + "=", vkey + "ø", vkey.replace("c74f", "C74F")}:
        with pytest.raises(NoteError):
            parse_vkey(wrong)


@pytest.mark.parametrize(
    ("reason", "vkey"),
    [
        # Go reads the spare bits in the last digit and refuses the length; we stop at the spare bits.
        ("vkey_malformed", VECTORS["bad_vkeys"]["wrong length key, adjusted key id"]),
        ("public_key_malformed", "PeterNeumann+c74f20a3+" + b64encode(b"\x01" + bytes(31)).decode()),
        ("public_key_malformed", "PeterNeumann+c74f20a3+" + b64encode(b"\x01" + bytes(33)).decode()),
        ("vkey_algorithm_unknown", VECTORS["bad_vkeys"]["unknown algorithm, adjusted key id"]),
        ("vkey_malformed", ""),
        ("vkey_malformed", "PeterNeumann+c74f20a3+"),
        ("vkey_malformed", "PeterNeumann+c74f20a3+not base64"),
        ("vkey_key_id_wrong", VECTORS["vkey"].replace("c74f20a3", "c74f20a4")),
        ("vkey_key_id_wrong", VECTORS["vkey"].replace("Peter", "Pete")),
        ("key_name_malformed", VECTORS["vkey"].replace("PeterNeumann", "Peter Neumann")),
    ],
)
def test_it_says_why_it_refuses_a_vkey(reason: str, vkey: str) -> None:
    with pytest.raises(NoteError, match=f"^{reason}$"):
        parse_vkey(vkey)


MALFORMED_LINES = {
    "origin": ["", "\n", "orig\tin", "origin\r", "\ud800"],
    "size": [
        *" -+_²١",
        "01",
        "00",
        "+1",
        "-1",
        "-0",
        "1_0",
        "0x1",
        "1.0",
        " 1",
        "1 ",
        "1\r",
        "١٢",
        str(2**63),
        "9" * 9999,
    ],
    "root": ["", "AAAA", " " + ROOT, ROOT + " ", ROOT[:-1], ROOT + "=", ROOT[:-2] + "p=", ROOT.replace("+", "-")],
    "end": ["", "\n\n", "\nextension", "\n\nextension\n", "\nextension\n\n", "\nexten\0sion\n", " \n", "\r\n"],
}


@pytest.mark.parametrize(
    ("part", "wrong"), [(part, wrong) for part in MALFORMED_LINES for wrong in MALFORMED_LINES[part]]
)
def test_it_refuses_a_checkpoint(part: str, wrong: str) -> None:
    right = {"origin": "origin", "size": "1", "root": ROOT, "end": "\n"}
    assert parse_checkpoint(f"origin\n{2**63 - 1}\n{ROOT}\n").size == TREE_SIZE_MAX
    assert parse_checkpoint("{origin}\n{size}\n{root}{end}".format(**right)).size == 1
    with pytest.raises(NoteError, match="^checkpoint_malformed$"):
        parse_checkpoint("{origin}\n{size}\n{root}{end}".format(**right | {part: wrong}))


@pytest.mark.parametrize("text", ["", "\n", "\n\n\n", "origin\n", "origin\n1\n", f"1\n{ROOT}\n"])
def test_it_refuses_a_checkpoint_with_too_few_lines(text: str) -> None:
    with pytest.raises(NoteError, match="^checkpoint_malformed$"):
        parse_checkpoint(text)


def test_it_keeps_extension_lines() -> None:
    checkpoint = parse_checkpoint(f"origin\n0\n{ROOT}\n first\nsecond\n")
    assert checkpoint.extensions == (" first", "second")


def test_no_malformed_checkpoint_can_be_made() -> None:
    root = bytes(32)
    for origin, size, wrong in (("", 0, root), ("a\nb", 0, root), ("a", -1, root), ("a", 2**63, root), ("a", 0, b"")):
        with pytest.raises(NoteError, match="^checkpoint_malformed$"):
            Checkpoint(origin, size, wrong)
