"""Senders: when each was last heard of, whether its clock is right, and which of its secrets it still uses."""

import hashlib


def fingerprint(secret: str) -> str:
    """Names a secret in records without revealing it; secrets are long and random."""
    return hashlib.sha256(b"samtykke/key-id\x00" + secret.encode()).hexdigest()[:8]
