"""Google's token endpoint: a service account's signed assertion for an access token, by domain-wide delegation.

Facts: https://developers.google.com/identity/protocols/oauth2/service-account (claims, errors), RFC 7523.
"""

import json
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import exceptions, jwt

from tests.simulators.exchange import Reply

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# google-auth signs for this audience whatever token_uri says, and the real endpoint insists on it.
AUDIENCE = "https://oauth2.googleapis.com/token"
LIFETIME_MAX_S = 3600
CLOCK_SKEW_MAX_S = 10
SCOPE_PREFIX = "https://www.googleapis.com/auth/"
DEFAULT_GRANTS = [SCOPE_PREFIX + "admin.directory.group.member", SCOPE_PREFIX + "gmail.readonly"]
UNAUTHORIZED = (
    "Client is unauthorized to retrieve access tokens using this method, "
    "or client not authorized for any of the scopes requested."
)


def make_service_account(path: Path, token_uri: str, email: str = "samtykke@simulator.iam.example.test") -> None:
    """Write a fresh service account's key file, readable by its owner only."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    document = {
        "type": "service_account",
        "project_id": "simulator",
        "private_key_id": secrets.token_hex(20),
        "private_key": pem.decode(),
        "client_email": email,
        "client_id": str(secrets.randbelow(10**20) + 10**20),
        "token_uri": token_uri,
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, 0o600)
        json.dump(document, file, indent=2)


def public_key_pem(service_account: Mapping[str, Any]) -> bytes:
    key = serialization.load_pem_private_key(service_account["private_key"].encode(), password=None)
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def refusal(status: int, code: str, description: str) -> Reply:
    """The error shape of RFC 6749, section 5.2."""
    return Reply(status, {"error": code, "error_description": description})


class TokenEndpoint:
    """Issues tokens into `state["tokens"]`; what is granted and to whom it may act stand in the state too."""

    def __init__(self, service_account: Mapping[str, Any]) -> None:
        self._email = service_account["client_email"]
        self._public_key = public_key_pem(service_account)

    def issue(self, state: dict[str, Any], form: Mapping[str, str]) -> Reply:
        if form.get("grant_type") == "refresh_token":
            return self._refresh(state, form)
        if form.get("grant_type") != GRANT_TYPE:
            return refusal(400, "unsupported_grant_type", "Invalid grant_type")
        try:
            claims = self._verify(form.get("assertion", ""))
        except (exceptions.GoogleAuthError, ValueError, KeyError, TypeError):
            return refusal(400, "invalid_grant", "Invalid JWT Signature.")
        scopes = str(claims.get("scope", "")).split()
        if not scopes:
            return refusal(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        subject = claims.get("sub")
        # One ungranted scope fails the whole token.
        if subject is not None and not set(scopes) <= set(state["grants"]):
            return refusal(401, "unauthorized_client", UNAUTHORIZED)
        if subject is not None and state["subjects"] is not None and subject not in state["subjects"]:
            return refusal(400, "invalid_grant", "Invalid email or User ID")
        return self._issue(state, scopes, subject)

    def _refresh(self, state: dict[str, Any], form: Mapping[str, str]) -> Reply:
        """RFC 6749, 6: a scope that was not granted is refused, and so is a token that has left the state."""
        granted = state["refresh_tokens"].get(form.get("refresh_token"))
        if granted is None:
            return refusal(400, "invalid_grant", "Token has been expired or revoked.")
        if (form.get("client_id"), form.get("client_secret")) != (granted["client_id"], granted["client_secret"]):
            return refusal(401, "invalid_client", "The OAuth client was not found.")
        scopes = form.get("scope", "").split() or granted["scopes"]
        if not set(scopes) <= set(granted["scopes"]):
            return refusal(400, "invalid_scope", "Some requested scopes were invalid.")
        return self._issue(state, scopes, granted["subject"])

    def _issue(self, state: dict[str, Any], scopes: list[str], subject: str | None) -> Reply:
        token = "ya29." + secrets.token_urlsafe(120)
        expires_at = int(time.time()) + LIFETIME_MAX_S - 1
        state["tokens"][token] = {"scopes": scopes, "subject": subject, "expires_at": expires_at}
        body = {"access_token": token, "expires_in": LIFETIME_MAX_S - 1, "token_type": "Bearer"}
        return Reply(200, body, effect="token")

    def _verify(self, assertion: str) -> Mapping[str, Any]:
        """The claims of a valid assertion. Raises GoogleAuthError, ValueError, KeyError or TypeError."""
        if jwt.decode_header(assertion)["alg"] != "RS256":  # type: ignore[no-untyped-call]
            raise ValueError("alg")
        claims: Mapping[str, Any] = jwt.decode(  # type: ignore[no-untyped-call]
            assertion, certs=self._public_key, audience=AUDIENCE, clock_skew_in_seconds=CLOCK_SKEW_MAX_S
        )
        if claims["iss"] != self._email or claims["exp"] - claims["iat"] > LIFETIME_MAX_S:
            raise ValueError("iss or exp")
        return claims
