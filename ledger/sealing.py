"""Sealing: HPKE boxes for the inbox, AES-256-GCM boxes for the vault, commitments and keyed tags.

The web process seals for the recorder's public key (RFC 9180, base mode), so it cannot open what it wrote.
"""

import hashlib
import hmac
import secrets

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


def seal_for_inbox(public: Key, plaintext: bytes, context: bytes) -> bytes:
    """key version (1 byte) || HPKE encapsulation and ciphertext, bound to `context`."""
    recipient = X25519PublicKey.from_public_bytes(public.value)
    return bytes([public.current]) + _INBOX_SUITE.encrypt(plaintext, recipient, info=context)


def public_of(private: Key) -> Key:
    """The public key that belongs to an inbox private key, in all its versions."""
    return Key(private.current, {version: _public(value) for version, value in private.versions.items()})


def _public(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def open_inbox_box(private: Key, box: bytes, context: bytes) -> bytes:
    version = box[0] if box else -1
    if version not in private.versions:
        raise SealError("inbox_key_unknown")
    key = X25519PrivateKey.from_private_bytes(private.versions[version])
    try:
        return bytes(_INBOX_SUITE.decrypt(box[1:], key, info=context))
    except (InvalidTag, ValueError):
        raise SealError("inbox_box_does_not_open") from None


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
