"""C2SP signed notes and the checkpoints of the log that they carry: format and parse, sign and open.

https://c2sp.org/signed-note: text, a blank line, and one line for each signature. Lines of keys that the
reader does not know are ignored, so a note can gain the lines of a witness or of a newer algorithm.
https://c2sp.org/tlog-checkpoint: a text of origin, tree size and root hash.
Whatever a parser takes, the formatter writes back byte for byte; everything else is refused.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.errors import LedgerError
from ledger.tlog import HASH_SIZE_BYTES

# C2SP asks for at least 16; golang.org/x/mod/sumdb/note stops at 100.
SIGNATURES_MAX = 100
# golang.org/x/mod/sumdb/tlog reads no tree description beyond a million bytes; a note of 100 post-quantum
# signatures of 5 kB each stays below it too.
NOTE_SIZE_MAX_BYTES = 1_000_000
# A database BIGINT and a Go int64, the smallest integers that a log size is kept in.
TREE_SIZE_MAX = 2**63 - 1

KEY_ID_SIZE_BYTES = 4
ED25519 = b"\x01"  # https://c2sp.org/signed-note#signature-types

_SIGNATURE_PREFIX = "\N{EM DASH} "
# https://c2sp.org/signed-note#format "MUST be valid UTF-8 and MUST NOT contain any ASCII control characters
# (those below U+0020) other than newline": a lone surrogate is what Python text can hold and UTF-8 cannot.
_FORBIDDEN = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")


class NoteError(LedgerError):
    """The note, key or checkpoint is malformed, or nobody known has signed it."""


@dataclass(frozen=True, slots=True)
class NoteVerifier:
    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        _check_key_name(self.name)
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key)
        except ValueError:
            raise NoteError("public_key_malformed") from None

    @classmethod
    def from_vkey(cls, vkey: str) -> "NoteVerifier":
        return cls(*parse_vkey(vkey))

    @property
    def key_id(self) -> bytes:
        # https://c2sp.org/signed-note#ed25519-signatures
        # key ID = SHA-256(key name || 0x0A || 0x01 || 32-byte Ed25519 public key)[:4]
        return sha256(self.name.encode() + b"\n" + ED25519 + self.public_key).digest()[:KEY_ID_SIZE_BYTES]

    def verify(self, text: str, signature: bytes) -> None:
        """Returns only if this key signed exactly this text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, _encode_text(text))
        except InvalidSignature:
            raise NoteError("signature_invalid") from None


@dataclass(frozen=True, slots=True)
class NoteSigner:
    name: str
    private_key: Ed25519PrivateKey

    def __post_init__(self) -> None:
        _check_key_name(self.name)

    def verifier(self) -> NoteVerifier:
        return NoteVerifier(self.name, self.private_key.public_key().public_bytes_raw())

    def vkey(self) -> str:
        verifier = self.verifier()
        return format_vkey(verifier.name, verifier.public_key)

    def sign(self, text: str) -> str:
        """The signature line for this text, with its newline."""
        return format_signature_line(self.name, self.verifier().key_id, self.private_key.sign(_encode_text(text)))


@dataclass(frozen=True, slots=True)
class Note:
    """A text with the known keys that signed it, each once; at least one."""

    text: str
    signed_by: tuple[NoteVerifier, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log. Extension lines are opaque; C2SP advises against writing any."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for line in (self.origin, *self.extensions):
            if not line or "\n" in line or _FORBIDDEN.search(line):
                raise NoteError("checkpoint_malformed")
        if not 0 <= self.size <= TREE_SIZE_MAX or len(self.root) != HASH_SIZE_BYTES:
            raise NoteError("checkpoint_malformed")


def format_vkey(name: str, public_key: bytes) -> str:
    verifier = NoteVerifier(name, public_key)
    return f"{name}+{verifier.key_id.hex()}+{_encode_base64(ED25519 + public_key)}"


def parse_vkey(vkey: str) -> tuple[str, bytes]:
    """The key name and the Ed25519 public key."""
    name, _, rest = vkey.partition("+")
    _, _, encoded = rest.partition("+")
    material = _decode_base64(encoded, "vkey_malformed")
    algorithm, public_key = material[:1], material[1:]
    if not algorithm:
        raise NoteError("vkey_malformed")
    if algorithm != ED25519:
        raise NoteError("vkey_algorithm_unknown")
    if format_vkey(name, public_key) != vkey:
        raise NoteError("vkey_key_id_wrong")
    return name, public_key


def sign_note(text: str, signers: Sequence[NoteSigner]) -> str:
    """The signed note, opened once again before it leaves: no fault in signing gets out of here."""
    message = "".join([text, "\n", *(signer.sign(text) for signer in signers)])
    open_note(message, [signer.verifier() for signer in signers])
    return message


def open_note(message: str | bytes, verifiers: Sequence[NoteVerifier]) -> Note:
    """The text, only if a known key signed it and no known key's signature is wrong; otherwise NoteError."""
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    if len(known) != len(verifiers):
        raise NoteError("verifiers_ambiguous")
    text, lines = _split_note(message)
    signed_by: dict[NoteVerifier, None] = {}
    # Every line is parsed and every known signature verified: one bad line condemns the note.
    for name, key_id, signature in map(parse_signature_line, lines):
        # https://c2sp.org/signed-note#signatures "Verifiers MUST ignore signatures from unknown keys, even
        # if they share a name or ID (but not both) with a known key."
        if verifier := known.get((name, key_id)):
            verifier.verify(text, signature)
            signed_by[verifier] = None
    if not signed_by:
        raise NoteError("not_signed_by_known_key")
    return Note(text, tuple(signed_by))


def unverified_text(message: str | bytes) -> str:
    """The text of a note of which nothing is believed: for a reader who needs no signature to answer."""
    return _split_note(message)[0]


def format_checkpoint(checkpoint: Checkpoint) -> str:
    lines = (checkpoint.origin, str(checkpoint.size), _encode_base64(checkpoint.root), *checkpoint.extensions)
    return "".join(f"{line}\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """https://c2sp.org/tlog-checkpoint#note-text. The text must be what format_checkpoint writes."""
    try:
        origin, size, root, *extensions, _ = text.split("\n")
        # int() is lenient, and refuses absurd lengths by itself; the comparison below makes it strict.
        checkpoint = Checkpoint(origin, int(size), _decode_base64(root, "checkpoint_malformed"), tuple(extensions))
    except ValueError:
        raise NoteError("checkpoint_malformed") from None
    if format_checkpoint(checkpoint) != text:
        raise NoteError("checkpoint_malformed")
    return checkpoint


def _split_note(message: str | bytes) -> tuple[str, list[str]]:
    """The text with its final newline, and the signature lines without theirs."""
    try:
        decoded = message.decode() if isinstance(message, bytes) else message
    except UnicodeDecodeError:
        raise NoteError("text_malformed") from None
    if len(_encode_text(decoded)) > NOTE_SIZE_MAX_BYTES:
        raise NoteError("note_too_large")
    # https://c2sp.org/signed-note#format "the text is separated from the signatures by the last empty line"
    text, blank_line, signatures = decoded.rpartition("\n\n")
    *lines, after_last_newline = signatures.split("\n")
    if not blank_line or not lines or after_last_newline:
        raise NoteError("note_malformed")
    if len(lines) > SIGNATURES_MAX:
        raise NoteError("too_many_signatures")
    return text + "\n", lines


def format_signature_line(name: str, key_id: bytes, signature: bytes) -> str:
    return f"{_SIGNATURE_PREFIX}{name} {_encode_base64(key_id + signature)}\n"


def parse_signature_line(line: str) -> tuple[str, bytes, bytes]:
    """Key name, key id and signature, of a line without its newline."""
    if not line.startswith(_SIGNATURE_PREFIX):
        raise NoteError("signature_line_malformed")
    name, _, encoded = line.removeprefix(_SIGNATURE_PREFIX).partition(" ")
    _check_key_name(name)
    material = _decode_base64(encoded, "signature_line_malformed")
    key_id, signature = material[:KEY_ID_SIZE_BYTES], material[KEY_ID_SIZE_BYTES:]
    if not signature:
        raise NoteError("signature_line_malformed")
    return name, key_id, signature


def _check_key_name(name: str) -> None:
    # https://c2sp.org/signed-note#format "Key names MUST be non-empty and MUST NOT contain any Unicode
    # spaces or plus (U+002B) characters."
    if not name or "+" in name or any(map(str.isspace, name)) or _FORBIDDEN.search(name):
        raise NoteError("key_name_malformed")


def _encode_text(text: str) -> bytes:
    if _FORBIDDEN.search(text):
        raise NoteError("text_malformed")
    return text.encode()


def _encode_base64(data: bytes) -> str:
    return b64encode(data).decode()


def _decode_base64(encoded: str, reason: str) -> bytes:
    try:
        data = b64decode(encoded, validate=True)
    except ValueError:
        raise NoteError(reason) from None
    # https://www.rfc-editor.org/rfc/rfc4648.html#section-3.5: the spare bits of the last digit must be zero,
    # or one value would have several spellings.
    if _encode_base64(data) != encoded:
        raise NoteError(reason)
    return data
