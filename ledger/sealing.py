"""Sealing: boxes for the inbox, AES-256-GCM boxes for the vault, commitments and keyed tags.

The web process seals for the recorder's public key, so it cannot open what it wrote: the content key of a box is itself
sealed by HPKE (RFC 9180, base mode). All boxes of a minute share one, for HPKE is most of what an acceptance would
cost; once the minute is over, no process but the recorder has it.
"""

import hashlib
import hmac
import secrets
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from ledger.errors import SealError
from ledger.keyring import Key

NONCE_SIZE_BYTES = 12  # NIST SP 800-38D 8.2.2: random 96-bit nonces
SALT_SIZE_BYTES = 32
COMMITMENT_DOMAIN = b"samtykke/commitment/v1\x00"

# RFC 9180: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
_INBOX_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_CONTENT_KEY_INFO = b"samtykke/inbox-content-key/v1"
_CONTENT_KEY_SIZE_BYTES = 32
_WRAPPED_SIZE_BYTES = 32 + _CONTENT_KEY_SIZE_BYTES + 16  # X25519 public key, ciphertext, tag (RFC 9180, 7.1 and 7.3)
_MINUTE_MS = 60_000


def seal_for_inbox(public: Key, plaintext: bytes, context: bytes, now_ms: int) -> bytes:
    """key version (1 byte) || content key sealed by HPKE (80 bytes) || AES-256-GCM box, bound to `context`."""
    content_key, wrapped = _content_key(public.value, now_ms // _MINUTE_MS)
    nonce = secrets.token_bytes(NONCE_SIZE_BYTES)
    return bytes([public.current]) + wrapped + nonce + content_key.encrypt(nonce, plaintext, context)


@lru_cache(maxsize=2)  # in a rotation two processes' worth of versions; the oldest is forgotten
def _content_key(public: bytes, _minute: int) -> tuple[AESGCM, bytes]:
    content_key = secrets.token_bytes(_CONTENT_KEY_SIZE_BYTES)
    recipient = X25519PublicKey.from_public_bytes(public)
    return AESGCM(content_key), _INBOX_SUITE.encrypt(content_key, recipient, info=_CONTENT_KEY_INFO)


def public_of(private: Key) -> Key:
    """The public key that belongs to an inbox private key, in all its versions."""
    return Key(private.current, {version: _public(value) for version, value in private.versions.items()})


def _public(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def open_inbox_box(private: Key, box: bytes, context: bytes) -> bytes:
    version = box[0] if box else -1
    if version not in private.versions:
        raise SealError("inbox_key_unknown")
    wrapped, sealed = box[1 : 1 + _WRAPPED_SIZE_BYTES], box[1 + _WRAPPED_SIZE_BYTES :]
    try:
        content_key = _open_content_key(private.versions[version], wrapped)
        return content_key.decrypt(sealed[:NONCE_SIZE_BYTES], sealed[NONCE_SIZE_BYTES:], context)
    except (InvalidTag, ValueError):
        raise SealError("inbox_box_does_not_open") from None


@lru_cache(maxsize=16)  # a batch is of one minute, or of a few
def _open_content_key(private: bytes, wrapped: bytes) -> AESGCM:
    key = X25519PrivateKey.from_private_bytes(private)
    return AESGCM(bytes(_INBOX_SUITE.decrypt(wrapped, key, info=_CONTENT_KEY_INFO)))


def seal(key: bytes, plaintext: bytes, context: bytes) -> bytes:
    """nonce(12) || AES-256-GCM(key, plaintext, aad=context)."""
    nonce = secrets.token_bytes(NONCE_SIZE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, context)


def unseal(key: bytes, box: bytes, context: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(box[:NONCE_SIZE_BYTES], box[NONCE_SIZE_BYTES:], context)
    except (InvalidTag, ValueError):
        raise SealError("box_does_not_open") from None


def seal_versioned(key: Key, plaintext: bytes, context: bytes) -> bytes:
    """key version (1 byte) || box, for keys that rotate (the key-encryption key)."""
    return bytes([key.current]) + seal(key.value, plaintext, context)


def unseal_versioned(key: Key, box: bytes, context: bytes) -> bytes:
    version = box[0] if box else -1
    if version not in key.versions:
        raise SealError("key_version_unknown")
    return unseal(key.versions[version], box[1:], context)


def commitment(salt: bytes, payload: bytes) -> bytes:
    """SHA-256(domain || salt || payload): hiding as soon as the 32-byte salt is gone."""
    return hashlib.sha256(COMMITMENT_DOMAIN + salt + payload).digest()


def tag(key: bytes, purpose: str, text: str) -> bytes:
    """HMAC-SHA256 of `text` for one purpose of a key, so that tags of two purposes never meet."""
    return hmac.digest(key, purpose.encode() + b"\x00" + text.encode(), "sha256")
