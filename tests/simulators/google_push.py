"""Google's side of a push: a key pair with its certificate, and signed tokens, as Pub/Sub sends them.

Facts: https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions (the claims).
"""

import base64
import datetime
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

AUDIENCE = "https://samtykke.example.org/webhooks/gmail"
ACCOUNT = "push@simulator.iam.example.test"
SUBSCRIPTION = "projects/simulator/subscriptions/samtykke"


class PushSigner:
    """One of the keys that Google signs with. `key_id` names it in every token."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.key_id = secrets.token_hex(20)
        self.certificate = certificate_of(self._key)
        self.public_pem = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def certificates(self) -> dict[str, str]:
        """What https://www.googleapis.com/oauth2/v1/certs answers."""
        return {self.key_id: self.certificate}

    def token(self, claims: Mapping[str, Any] | None = None, header: Mapping[str, Any] | None = None) -> str:
        """Signed, whatever it says."""
        told = {"alg": "RS256", "kid": self.key_id, "typ": "JWT"} if header is None else header
        body = push_claims() if claims is None else claims
        return self.sign(json.dumps(told).encode(), json.dumps(body).encode())

    def sign(self, header: bytes, payload: bytes) -> str:
        signed = f"{encode(header)}.{encode(payload)}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{encode(signature)}"


def certificate_of(key: rsa.RSAPrivateKey) -> str:
    """Self-signed, PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "federated-signon.simulator.example.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number())
    made = made.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=16))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def push_claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {
        "aud": AUDIENCE,
        "azp": "112233445566778899001",
        "email": ACCOUNT,
        "email_verified": True,
        "exp": now + 3600,
        "iat": now,
        "iss": "https://accounts.google.com",
        "sub": "112233445566778899001",
    }
    return claims | changes


def push_body(history_id: int = 9876, **changes: Any) -> dict[str, Any]:
    """The notification of https://developers.google.com/workspace/gmail/api/guides/push, wrapped by Pub/Sub."""
    data = json.dumps({"emailAddress": "post@example.no", "historyId": history_id})
    message = {
        "data": base64.b64encode(data.encode()).decode(),
        "messageId": "2070443601311540",
        "message_id": "2070443601311540",
        "publishTime": "2026-11-24T10:00:00.000Z",
        "publish_time": "2026-11-24T10:00:00.000Z",
    }
    return {"message": message, "subscription": SUBSCRIPTION} | changes


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
