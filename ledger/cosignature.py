"""C2SP cosignatures: the line by which a witness says when it saw a checkpoint that continues all it saw before.

https://c2sp.org/tlog-cosignature, the Ed25519 type. A log line says what a tree is; a cosignature, by somebody else,
says that there is no other tree of the same name that it was ever shown.
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.note import (
    KEY_ID_SIZE_BYTES,
    SIGNATURES_MAX,
    NoteError,
    NoteVerifier,
    format_signature_line,
    parse_checkpoint,
    parse_signature_line,
)

COSIGNATURE_ED25519 = b"\x04"  # https://c2sp.org/signed-note#signature-types
TIMESTAMP_SIZE_BYTES = 8
TIMESTAMP_MAX_S = 2**63 - 1  # https://c2sp.org/tlog-cosignature#format "It MUST NOT exceed 2^63 - 1"


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A verified line of a witness, with its newline, and the unix seconds at which the witness says it signed."""

    name: str
    timestamp_s: int
    line: str


@dataclass(frozen=True, slots=True)
class CosignatureVerifier:
    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        NoteVerifier(self.name, self.public_key)  # the same rules for names and keys

    @classmethod
    def from_vkey(cls, vkey: str) -> "CosignatureVerifier":
        return cls(*parse_cosignature_vkey(vkey))

    @property
    def key_id(self) -> bytes:
        # https://c2sp.org/tlog-cosignature#format
        # SHA-256(<name> || "\n" || 0x04 || 32-byte Ed25519 cosigner public key)[:4]
        return sha256(self.name.encode() + b"\n" + COSIGNATURE_ED25519 + self.public_key).digest()[:KEY_ID_SIZE_BYTES]

    def vkey(self) -> str:
        return format_cosignature_vkey(self.name, self.public_key)

    def verify(self, text: str, signature: bytes) -> int:
        """The timestamp (unix seconds), only if this witness cosigned exactly this checkpoint; otherwise NoteError."""
        parse_checkpoint(text)
        timestamp_s = int.from_bytes(signature[:TIMESTAMP_SIZE_BYTES], "big")
        if len(signature) <= TIMESTAMP_SIZE_BYTES or timestamp_s > TIMESTAMP_MAX_S:
            raise NoteError("cosignature_malformed")
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(
                signature[TIMESTAMP_SIZE_BYTES:], _signed_message(text, timestamp_s)
            )
        except InvalidSignature:
            raise NoteError("signature_invalid") from None
        return timestamp_s


@dataclass(frozen=True, slots=True)
class CosignatureSigner:
    """ "MUST use distinct public keys for each cosigner": the signed message does not name the witness."""

    name: str
    private_key: Ed25519PrivateKey

    def __post_init__(self) -> None:
        self.verifier()

    def verifier(self) -> CosignatureVerifier:
        return CosignatureVerifier(self.name, self.private_key.public_key().public_bytes_raw())

    def sign(self, text: str, now_ms: int) -> str:
        """The cosignature line for this checkpoint, with its newline; verified once again before it leaves."""
        parse_checkpoint(text)
        timestamp_s = now_ms // 1000
        assert 0 <= timestamp_s <= TIMESTAMP_MAX_S
        signature = self.private_key.sign(_signed_message(text, timestamp_s))
        timestamped = timestamp_s.to_bytes(TIMESTAMP_SIZE_BYTES, "big") + signature
        verifier = self.verifier()
        verifier.verify(text, timestamped)
        return format_signature_line(self.name, verifier.key_id, timestamped)


def format_cosignature_vkey(name: str, public_key: bytes) -> str:
    verifier = CosignatureVerifier(name, public_key)
    return f"{name}+{verifier.key_id.hex()}+{b64encode(COSIGNATURE_ED25519 + public_key).decode()}"


def parse_cosignature_vkey(vkey: str) -> tuple[str, bytes]:
    """The witness' name and its Ed25519 public key; NoteError for a log's key and for other algorithms."""
    name, _, rest = vkey.partition("+")
    _, _, encoded = rest.partition("+")
    try:
        material = b64decode(encoded, validate=True)
    except ValueError:
        raise NoteError("vkey_malformed") from None
    if not material:
        raise NoteError("vkey_malformed")
    if material[:1] != COSIGNATURE_ED25519:
        raise NoteError("vkey_algorithm_unknown")
    public_key = material[1:]
    # Also what makes it strict: one spelling of the base64, and an id that is this key's.
    if format_cosignature_vkey(name, public_key) != vkey:
        raise NoteError("vkey_key_id_wrong")
    return name, public_key


def check_cosignatures(text: str, lines: str, verifier: CosignatureVerifier) -> Cosignature:
    """The newest cosignature of this witness among `lines`, which are signature lines, each with its newline.

    Every line must be well formed and every one of the witness' own must verify, or the lot is refused (NoteError);
    "clients MUST ignore any cosignatures from unknown keys" (https://c2sp.org/tlog-witness#add-checkpoint).
    """
    *each, after_last_newline = lines.split("\n")
    if after_last_newline or len(each) > SIGNATURES_MAX:
        raise NoteError("cosignature_malformed")
    found = []
    for name, key_id, signature in map(parse_signature_line, each):
        if (name, key_id) == (verifier.name, verifier.key_id):
            line = format_signature_line(name, key_id, signature)
            found.append(Cosignature(name, verifier.verify(text, signature), line))
    if not found:
        raise NoteError("not_signed_by_known_key")
    return max(found, key=lambda one: one.timestamp_s)


def _signed_message(text: str, timestamp_s: int) -> bytes:
    # https://c2sp.org/tlog-cosignature#ed25519-signed-message
    return f"cosignature/v1\ntime {timestamp_s}\n{text}".encode()
