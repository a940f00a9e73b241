"""The vendors' own clients, and a signer for WordPress, pointed at a simulator process."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import requests
import stripe
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2 import service_account
from standardwebhooks import Webhook

from tests.simulators.process import SimulatorProcess

CONNECT_TIME_MAX_S, READ_TIME_MAX_S = 3.05, 10.0
MEMBER_SCOPE = "https://www.googleapis.com/auth/admin.directory.group.member"


def stripe_client(process: SimulatorProcess, session: requests.Session) -> stripe.StripeClient:
    """Without retries, so that each call is one line of the journal; the caller closes the session."""
    http_client = stripe.RequestsClient(timeout=(CONNECT_TIME_MAX_S, READ_TIME_MAX_S), session=session)
    return stripe.StripeClient(
        "rk_test_simulated",
        max_network_retries=0,
        http_client=http_client,
        base_addresses={"api": process.url},
    )


def google_session(process: SimulatorProcess, scope: str = MEMBER_SCOPE) -> AuthorizedSession:
    """A session that acts for post@example.no; the caller closes it."""
    credentials = service_account.Credentials.from_service_account_file(  # type: ignore[no-untyped-call]
        str(process.service_account_path), scopes=[scope], subject="post@example.no"
    )
    return AuthorizedSession(credentials, auth_request=Request())  # type: ignore[no-untyped-call]


def call_wordpress(
    process: SimulatorProcess,
    route: str,
    message_id: str,
    signed_route: str | None = None,
    emails: Sequence[str] = ("KARI@example.no",),
    timeout_s: float = READ_TIME_MAX_S,
) -> requests.Response:
    """Call `withdraw` or `status` for the newsletter; `signed_route` is what the body says, if not the same."""
    document = {
        "route": f"samtykke/v1/{signed_route or route}",
        "reference": "00ff",
        "emails": list(emails),
        "purposes": ["newsletter"],
    }
    body = json.dumps(document)
    now = datetime.now(UTC)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(process.secret).sign(message_id, now, body),
    }
    url = f"{process.url}/wp-json/samtykke/v1/{route}"
    return requests.post(url, data=body, headers=headers, timeout=timeout_s)
