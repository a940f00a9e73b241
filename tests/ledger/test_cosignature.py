"""Cosignatures: what real witnesses wrote is read, what we write is read back, and everything else is refused."""

from base64 import b64decode, b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.cosignature import (
    TIMESTAMP_MAX_S,
    Cosignature,
    CosignatureSigner,
    CosignatureVerifier,
    check_cosignatures,
    format_cosignature_vkey,
    parse_cosignature_vkey,
)
from ledger.note import SIGNATURES_MAX, NoteError, NoteVerifier, format_vkey, open_note, parse_signature_line
from tests.ledger.test_note import GO_VKEY, NAMES, SEEDS

# A checkpoint of a staging log of transparency.dev with lines of four witnesses of the public network, and the keys of
# the log and of one of them, as published in the tests of transparency-dev/formats and the network's list of witnesses.
LOG_VKEY = "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f"
REMORA_VKEY = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
SMARTIT_VKEY = "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO"
TEXT = "arche2025h1.staging.ct.transparency.dev\n1432088532\nU7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n"
LOG_LINE = (
    "— arche2025h1.staging.ct.transparency.dev "
    "ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=\n"
)
SMARTIT_LINE = (
    "— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbq"
    "mNWVuE0tgh0XwzdZsDsUAQ==\n"
)
REMORA_LINE = (
    "— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxt"
    "qB0DrAWfBw==\n"
)
# The checkpoint that https://c2sp.org/tlog-cosignature shows, and the time that it says the witness signed at.
SPEC_LINE = (
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+"
    "mbIUBkBIfZ+qnA==\n"
)
SPEC_TIMESTAMP_S = 1679315147

NOW_MS = 4_000_000_000_123
REMORA = CosignatureVerifier.from_vkey(REMORA_VKEY)
OURS = CosignatureSigner("witness.example.org/w1", Ed25519PrivateKey.from_private_bytes(b"w" * 32))


def line_of(name: str, data: bytes) -> str:
    return f"— {name} {b64encode(data).decode()}\n"


def test_it_reads_what_witnesses_of_the_public_network_wrote() -> None:
    for vkey, line in ((REMORA_VKEY, REMORA_LINE), (SMARTIT_VKEY, SMARTIT_LINE)):
        found = check_cosignatures(TEXT, SMARTIT_LINE + LOG_LINE + REMORA_LINE, CosignatureVerifier.from_vkey(vkey))
        assert found == Cosignature(vkey.split("+")[0], 1779573024, line)
    note = f"{TEXT}\n{LOG_LINE}{REMORA_LINE}"
    assert open_note(note, [NoteVerifier.from_vkey(LOG_VKEY)]).text == TEXT  # the log's reader ignores the witness


def test_the_time_stands_where_the_specification_puts_it() -> None:
    _, _, signature = parse_signature_line(SPEC_LINE.rstrip("\n"))
    assert (int.from_bytes(signature[:8], "big"), len(signature)) == (SPEC_TIMESTAMP_S, 8 + 64)


def test_a_witness_signs_the_time_and_every_line_of_the_checkpoint() -> None:
    text = f"{TEXT}an extension\n"
    line = OURS.sign(text, NOW_MS)
    assert check_cosignatures(text, line, OURS.verifier()).timestamp_s == 4_000_000_000
    for changed in (TEXT, text.replace("1432088532", "1432088533"), text.replace("extension", "Extension")):
        with pytest.raises(NoteError, match="^signature_invalid$"):
            check_cosignatures(changed, line, OURS.verifier())
    name, key_id, signature = parse_signature_line(line.rstrip("\n"))
    another_time = line_of(name, key_id + (4_000_000_001).to_bytes(8, "big") + signature[8:])
    with pytest.raises(NoteError, match="^signature_invalid$"):
        check_cosignatures(text, another_time, OURS.verifier())


@given(NAMES, SEEDS, st.integers(0, TIMESTAMP_MAX_S))
def test_checking_undoes_signing(name: str, seed: bytes, timestamp_s: int) -> None:
    signer = CosignatureSigner(name, Ed25519PrivateKey.from_private_bytes(seed))
    line = signer.sign(TEXT, timestamp_s * 1000 + 999)
    assert check_cosignatures(TEXT, line, signer.verifier()) == Cosignature(name, timestamp_s, line)


@given(NAMES, SEEDS)
def test_parsing_a_vkey_undoes_formatting_it(name: str, seed: bytes) -> None:
    verifier = CosignatureSigner(name, Ed25519PrivateKey.from_private_bytes(seed)).verifier()
    assert CosignatureVerifier.from_vkey(verifier.vkey()) == verifier
    assert format_cosignature_vkey(*parse_cosignature_vkey(verifier.vkey())) == verifier.vkey()


@given(st.text() | st.text("remora.n621+da77BOvN=/", max_size=60))
def test_a_vkey_is_either_refused_or_the_one_spelling_of_its_key(vkey: str) -> None:
    try:
        name, public_key = parse_cosignature_vkey(vkey)
    except NoteError:
        return
    assert format_cosignature_vkey(name, public_key) == vkey


@given(
    st.text() | st.lists(st.sampled_from([REMORA_LINE, LOG_LINE, "— ", "\n", "remora.n621.de ", "AAAA"])).map("".join)
)
def test_lines_are_either_refused_or_hold_what_the_witness_wrote(lines: str) -> None:
    try:
        found = check_cosignatures(TEXT, lines, REMORA)
    except NoteError:
        return
    assert found.line == REMORA_LINE


@pytest.mark.parametrize("position", range(len(REMORA_VKEY)))
def test_a_vkey_with_one_character_changed_is_refused(position: int) -> None:
    for other in "+A0":
        changed = REMORA_VKEY[:position] + other + REMORA_VKEY[position + 1 :]
        if changed != REMORA_VKEY:
            with pytest.raises(NoteError):
                parse_cosignature_vkey(changed)


ED25519_MATERIAL = b64decode(REMORA_VKEY.split("+", 2)[2])


@pytest.mark.parametrize(
    ("vkey", "reason"),
    [
        ("", "vkey_malformed"),
        ("remora.n621.de", "vkey_malformed"),
        ("remora.n621.de+da77ade7", "vkey_malformed"),
        ("remora.n621.de+da77ade7+", "vkey_malformed"),
        ("remora.n621.de+da77ade7+æ", "vkey_malformed"),
        (REMORA_VKEY + "\n", "vkey_malformed"),
        (REMORA_VKEY.replace("da77ade7", "DA77ADE7"), "vkey_key_id_wrong"),
        (REMORA_VKEY.replace("da77ade7", "da77ade8"), "vkey_key_id_wrong"),
        (REMORA_VKEY.replace("remora", "murena"), "vkey_key_id_wrong"),
        (REMORA_VKEY.replace("remora", "re mora"), "key_name_malformed"),
        (REMORA_VKEY.removeprefix("remora.n621.de"), "key_name_malformed"),
        # A log's key: what it signs has no time in it, and may never pass for a cosignature.
        (GO_VKEY, "vkey_algorithm_unknown"),
        (format_vkey("remora.n621.de", ED25519_MATERIAL[1:]), "vkey_algorithm_unknown"),
        (f"remora.n621.de+da77ade7+{b64encode(bytes([6]) + bytes(1312)).decode()}", "vkey_algorithm_unknown"),
        (f"remora.n621.de+da77ade7+{b64encode(ED25519_MATERIAL[:-1]).decode()}", "public_key_malformed"),
        (f"remora.n621.de+da77ade7+{b64encode(ED25519_MATERIAL + b'x').decode()}", "public_key_malformed"),
    ],
)
def test_it_refuses_a_vkey(vkey: str, reason: str) -> None:
    with pytest.raises(NoteError, match=f"^{reason}$"):
        parse_cosignature_vkey(vkey)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("", "not_signed_by_known_key"),
        (SMARTIT_LINE, "not_signed_by_known_key"),
        (line_of("remora.n621.de", b"\0\0\0\0" + bytes(72)), "not_signed_by_known_key"),
        (REMORA_LINE.rstrip("\n"), "cosignature_malformed"),
        (REMORA_LINE + "\n", "signature_line_malformed"),
        (f"{REMORA_LINE}x\n", "signature_line_malformed"),
        (REMORA_LINE.replace("— ", "- "), "signature_line_malformed"),
        (REMORA_LINE.replace("=\n", "\n"), "signature_line_malformed"),
        (REMORA_LINE.replace("\n", "\r\n"), "signature_line_malformed"),
        (line_of("remora.n621.de", REMORA.key_id + bytes(8)), "cosignature_malformed"),
        (line_of("remora.n621.de", REMORA.key_id + b"\x80" + bytes(71)), "cosignature_malformed"),
        (line_of("remora.n621.de", REMORA.key_id + bytes(72)), "signature_invalid"),
        (line_of("remora.n621.de", REMORA.key_id + bytes(73)), "signature_invalid"),
        # One wrong line of the witness condemns the right one beside it, as in a note.
        (REMORA_LINE + line_of("remora.n621.de", REMORA.key_id + bytes(72)), "signature_invalid"),
        (SMARTIT_LINE * SIGNATURES_MAX + REMORA_LINE, "cosignature_malformed"),
    ],
)
def test_it_refuses_lines(lines: str, reason: str) -> None:
    with pytest.raises(NoteError, match=f"^{reason}$"):
        check_cosignatures(TEXT, lines, REMORA)


def test_only_a_checkpoint_is_cosigned() -> None:
    with pytest.raises(NoteError, match="^checkpoint_malformed$"):
        OURS.sign("not a checkpoint\n", NOW_MS)
    with pytest.raises(NoteError, match="^checkpoint_malformed$"):
        check_cosignatures("not a checkpoint\n", REMORA_LINE, REMORA)


def test_the_newest_of_several_counts() -> None:
    older, newer = OURS.sign(TEXT, NOW_MS), OURS.sign(TEXT, NOW_MS + 60_000)
    for lines in (older + newer, newer + older):
        assert check_cosignatures(TEXT, lines, OURS.verifier()).line == newer


def test_a_name_that_no_note_could_carry_is_refused() -> None:
    for name in ("", "a b", "a+b", "a\n"):
        with pytest.raises(NoteError, match="^key_name_malformed$"):
            CosignatureSigner(name, Ed25519PrivateKey.generate())
