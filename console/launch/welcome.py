"""What a person sees once the service is ready: where things are, and a signed sign-up to send."""

import json
import secrets
import shlex
from datetime import UTC, datetime

from standardwebhooks.webhooks import Webhook

from console.launch.development import HOST
from console.launch.errors import LaunchError
from schemas.settings import SPOOL, Settings

FORM = "newsletter"
SIGN_UP = {"email": "kari@example.no", "first_name": "Kari", "last_name": "Nordmann", "newsletter": "yes"}


def signed_curl(settings: Settings, now_ms: int) -> str:
    """One line of shell: a sign-up to the newsletter form, signed as Standard Webhooks; good for 5 minutes."""
    form_secrets = settings.form_secrets.get(FORM, ())
    if not form_secrets:
        raise LaunchError("form_secret_missing", f"No secret for the form {FORM}: run `make run` first.")
    body = json.dumps(SIGN_UP, separators=(",", ":"))
    message_id = "msg_" + secrets.token_hex(12)
    sent_at = datetime.fromtimestamp(now_ms // 1000, UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(now_ms // 1000),
        "webhook-signature": Webhook(form_secrets[0]).sign(message_id, sent_at, body),
    }
    argv = ["curl", "-sS", "-i", f"{settings.public_url}/webhooks/forms/{FORM}"]
    for name, value in headers.items():
        argv += ["-H", f"{name}: {value}"]
    return shlex.join([*argv, "--data-binary", body])


def welcome(settings: Settings, now_ms: int, mail_port: int | None) -> str:
    """The block that is printed once, when the service is ready. `mail_port`: of the page of the mails."""
    mails = f"sent by {settings.mail_transport}"
    if settings.mail_transport == SPOOL:
        mails = f"http://{HOST}:{mail_port}/" if mail_port else f"{settings.mail_spool_dir} (nobody gets them)"
    lines = [
        "",
        "Samtykke is ready. Ctrl-C stops it.",
        "",
        f"  Open        {settings.public_url}/health/ready",
        f"              {settings.public_url}/metrics",
        f"  Mails       {mails}",
        "  Look        .venv/bin/flask deliveries list",
        "              .venv/bin/flask ledger verify",
    ]
    if settings.form_secrets.get(FORM):
        lines += [
            "  Try         a sign-up, good for 5 minutes (`make curl` prints a fresh one):",
            "",
            signed_curl(settings, now_ms),
        ]
    return "\n".join([*lines, ""])
