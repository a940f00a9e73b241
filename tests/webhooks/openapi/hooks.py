"""What schemathesis cannot make up: names and tokens that exist, and signatures over the very bytes that it sends.

The installation is described by the file that INSTALLATION names; what was answered is counted into the file beside it.
"""

import atexit
import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.core import NOT_SET

from tests.simulators.google_push import push_body
from tests.world import FORM_SECRET, signed_headers, stripe_header

INSTALLATION = Path(os.environ["INSTALLATION"])
KNOWN: dict[str, Any] = json.loads(INSTALLATION.read_text())
ANSWERED: Counter[str] = Counter()
FORMS = ("newsletter", "newsletter-gravity-forms", "newsletter-contact-form-7")  # the first one signs
TILES = ("0/000.p/1", "000.p/1")
QUESTIONS: list[dict[str, Any]] = [{"email": "kari@example.no"}, {"emails": ["kari@example.no", "nobody"]}]
EVERY_NTH_STAYS = 5  # as it was made up


@schemathesis.auth()
class Sender:
    """Every sender as itself; that the same without its words is 401 is the check `ignored_auth`."""

    def get(self, case: schemathesis.Case, context: schemathesis.AuthContext) -> dict[str, Any]:
        return KNOWN

    def set(self, case: schemathesis.Case, known: dict[str, Any], context: schemathesis.AuthContext) -> None:
        for name, made_up in case.path_parameters.items():
            if len(str(made_up)) % EVERY_NTH_STAYS:
                case.path_parameters[name] = existing(case.path, name, len(str(made_up)))
        if case.path == "/ledger/proofs" and case.meta and case.meta.generation.mode.is_positive:
            case.body = known["receipt"]
        if case.path == "/webhooks/gmail" and case.meta and case.meta.generation.mode.is_positive:
            case.body = push_body()
        if case.path == "/consents/check" and case.meta and case.meta.generation.mode.is_positive:
            case.body = {"purpose": "newsletter"} | QUESTIONS[ord(case.id[-1]) % len(QUESTIONS)]
        case.headers.update(credentials(case))


def existing(path: str, name: str, choice: int) -> str:
    if name == "form_key":
        return FORMS[choice % len(FORMS)]
    if name in ("token", "answer_token"):
        return str(KNOWN["links"][path[1].replace("p", "w")])  # the preferences are behind the same token
    if name == "name":
        return TILES["entries" in path]
    if name == "language":
        return ("nb", "en")[choice % 2]
    return FORM_SECRET if name == "secret" else "samtykke.css"


def credentials(case: schemathesis.Case) -> dict[str, str]:
    raw = "" if case.body is NOT_SET else json.dumps(case.body, default=str)
    if case.path.startswith("/webhooks/stripe"):
        return {"Stripe-Signature": stripe_header(raw, int(time.time()))}
    if case.path == "/webhooks/forms/{form_key}" and case.path_parameters["form_key"] == FORMS[0]:
        return signed_headers(raw, f"msg_{case.id}", int(time.time()))
    if case.path == "/webhooks/forms/{form_key}":
        return {"X-Gdpr-Token": FORM_SECRET}
    if case.path == "/webhooks/gmail":
        return {"Authorization": f"Bearer {KNOWN['push_token']}"}
    if case.path == "/consents/check":
        return {"Authorization": f"Bearer {KNOWN['api_key']}"}
    return {"Authorization": f"Bearer {KNOWN['auditor_key']}"} if "entries" in case.path else {}


@schemathesis.hook
def after_call(context: schemathesis.HookContext, case: schemathesis.Case, response: schemathesis.Response) -> None:
    ANSWERED[f"{case.method} {case.path} {response.status_code}"] += 1


@atexit.register
def tell() -> None:
    INSTALLATION.with_name("answered.json").write_text(json.dumps(ANSWERED))
