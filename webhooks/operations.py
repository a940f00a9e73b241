"""What each route takes and can answer, as a table: webhooks/openapi.py publishes it.

A new route needs a row here, and a new reason its place in a group (webhooks.refusals); tests/webhooks/test_openapi.py
asks for both.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from webhooks.refusals import (
    ANYWHERE,
    BODY,
    FORM_BODY,
    LIMIT,
    LINK,
    PRESSED,
    PUSH_TOKEN,
    QUESTION,
    SECRET,
    SENDER,
    SIGNATURE,
    STORAGE,
    TILE,
    TONGUE,
    UNREAD,
    UPLOADED,
    Reasons,
)

Schema = Mapping[str, Any]
JSON, FORM, HTML, BYTES = (
    "application/json",
    "application/x-www-form-urlencoded",
    "text/html",
    "application/octet-stream",
)


@dataclass(frozen=True, slots=True)
class Operation:
    """`answers`: status -> (meaning, media types with ", " between, schema); none: no body.

    `security`: alternatives, each the schemes that go together.
    """

    summary: str
    answers: Mapping[int, tuple[str, str, Schema]]
    refusals: tuple[Reasons, ...] = ()
    security: tuple[tuple[str, ...], ...] = ()
    body: Mapping[str, Schema] = field(default_factory=dict)

    def reasons(self) -> dict[int, tuple[str, ...]]:
        """Every refusal by status; a reason that two groups name stands once."""
        found: dict[int, dict[str, None]] = {}
        for group in (ANYWHERE, *self.refusals):
            for status, reasons in group.items():
                found.setdefault(status, {}).update(dict.fromkeys(reasons))
        return {status: tuple(reasons) for status, reasons in sorted(found.items()) if status not in self.answers}


def schema_named(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


ANY: Schema = {}
TEXT: Schema = {"type": "string"}
TAKEN = {
    200: ("Stored, or set aside for the operator: nothing needs to be sent again.", JSON, schema_named("Acceptance"))
}
SUBMITTED = {
    200: ("The same; `ignored` is a plugin's own test, of which nothing is kept.", JSON, schema_named("Submitted"))
}
SUBMISSION = {JSON: ANY, FORM: {"type": "object"}}


def _page(meaning: str) -> Mapping[int, tuple[str, str, Schema]]:
    return {200: (meaning, HTML, TEXT)}


def _pair(name: str, value: str) -> Schema:
    return {"type": "object", "properties": {name: {"const": value}}, "required": [name]}


def _choice(name: str, *values: str) -> Schema:
    return {"type": "object", "properties": {name: {"enum": list(values)}}, "required": [name]}


def _pressed(summary: str, meaning: str) -> Operation:
    """A page whose one button acts."""
    return Operation(summary, _page(meaning), (LINK, PRESSED, STORAGE), (), {FORM: _pair("confirm", "1")})


RECEIPT_FORM = {FORM: {"type": "object", "properties": {"text": {**TEXT, "pattern": r"\S"}}, "required": ["text"]}}
PUSH: Schema = {
    "type": "object",
    "properties": {
        "subscription": TEXT,
        "message": {
            "type": "object",
            "properties": {"data": {"type": "string", "contentEncoding": "base64"}, "messageId": TEXT},
            "required": ["data", "messageId"],
        },
    },
    "required": ["message", "subscription"],
}
PARAMETERS: Mapping[str, tuple[str, Schema]] = {
    "form_key": ("The form's name in policy.toml.", {"type": "string", "pattern": "^[a-z0-9-]{1,60}$"}),
    "secret": ("The form's secret, for senders that can set no header.", {"type": "string", "minLength": 1}),
    "token": ("From a mailed link.", {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,200}$"}),
    "answer_token": (
        "From a mailed link: its token, a dot, and the key of the answer.",
        {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,200}[.][A-Za-z0-9_-]{1,200}$"},
    ),
    "name": (
        "Level and number of a tile, as https://c2sp.org/tlog-tiles spells them.",
        {"type": "string", "pattern": r"^([0-9]{1,2}/)?(x[0-9]{3}/)*[0-9]{3}(\.p/[0-9]{1,3})?$"},
    ),
    "language": ("Norwegian bokmål or English.", {"enum": ["nb", "en"]}),
    "filename": ("A file of the pages.", {"type": "string", "minLength": 1}),
}
OPERATIONS: Mapping[tuple[str, str], Operation] = {
    ("POST", "/webhooks/forms/<form_key>"): Operation(
        "A submission of a website's form",
        SUBMITTED,
        (BODY, FORM_BODY, SIGNATURE, SECRET, SENDER, STORAGE),
        (
            ("formSecret",),
            ("webhookId", "webhookTimestamp", "webhookSignature"),
            ("wpformsSignature",),
            ("woocommerceSignature",),
            ("wpWebhooksSignature",),
        ),
        SUBMISSION,
    ),
    ("POST", "/webhooks/forms/<form_key>/<secret>"): Operation(
        "The same, for senders that can set no header",
        SUBMITTED,
        (BODY, FORM_BODY, SIGNATURE, SECRET, SENDER, STORAGE),
        (),
        SUBMISSION,
    ),
    ("POST", "/webhooks/stripe"): Operation(
        "An event of Stripe", TAKEN, (BODY, SIGNATURE, LIMIT, UNREAD, STORAGE), (("stripeSignature",),), {JSON: ANY}
    ),
    ("POST", "/webhooks/stripe/thin"): Operation(
        "A thin event of Stripe", TAKEN, (BODY, SIGNATURE, LIMIT, UNREAD, STORAGE), (("stripeSignature",),), {JSON: ANY}
    ),
    ("POST", "/webhooks/gmail"): Operation(
        "Gmail has news, says Pub/Sub",
        {200: ("Heard: the mailbox will be asked. Nothing was stored.", JSON, schema_named("Heard"))},
        (BODY, PUSH_TOKEN),
        (("pushToken",),),
        {JSON: PUSH},
    ),
    ("GET", "/privacy"): Operation("The privacy notice", _page("In the language that is asked for.")),
    ("GET", "/privacy/<any(nb, en):language>"): Operation("The same in one language", _page("The notice."), (TONGUE,)),
    ("GET", "/w/<token>"): Operation("The withdrawal page", _page("One button, which does it."), (LINK, STORAGE)),
    ("POST", "/w/<token>"): Operation(
        "Withdraw: by the button, or with one click (RFC 8058)",
        _page("It is withdrawn."),
        (LINK, PRESSED, STORAGE),
        (),
        {FORM: {"anyOf": [_pair("confirm", "1"), _pair("List-Unsubscribe", "One-Click")]}},
    ),
    ("GET", "/p/<token>"): Operation("The preferences page", _page("A box for each purpose."), (LINK, STORAGE)),
    ("POST", "/p/<token>"): _pressed(
        "Choose: less is at once, more is confirmed by mail", "What has ended, and what a mail now asks."
    ),
    ("GET", "/c/<token>"): Operation("The confirmation page", _page("One button, which does it."), (LINK, STORAGE)),
    ("POST", "/c/<token>"): _pressed("Confirm a sign-up", "It is confirmed, or it came too late and the page says so."),
    ("GET", "/rights"): Operation("The page of rights", _page("What a person may ask for, and a form to ask.")),
    ("POST", "/rights"): Operation(
        "Ask for a right",
        _page("A mail with a link is on its way, or the form once more, with what is wrong."),
        (PRESSED, LIMIT, STORAGE),
        (),
        {FORM: _pair("confirm", "1")},
    ),
    ("GET", "/receipt"): Operation("The page of receipts", _page("A form.")),
    ("POST", "/receipt"): Operation(
        "What does this receipt prove?", _page("That, or why it is none."), (UPLOADED, LIMIT, STORAGE), (), RECEIPT_FORM
    ),
    ("GET", "/r/<token>"): Operation("The page of a request", _page("One button, which does it."), (LINK, STORAGE)),
    ("POST", "/r/<token>"): _pressed(
        "Confirm a rights request", "It is confirmed, or it came too late and the page says so."
    ),
    ("GET", "/a/<answer_token>"): Operation(
        "The page of an answer", _page("One button for each form of it; nothing personal."), (LINK, STORAGE)
    ),
    ("POST", "/a/<answer_token>"): Operation(
        "Read an answer: as a page, a file or a PDF",
        {200: ("The answer, in the form that was asked for.", f"{HTML}, {JSON}, application/pdf", ANY)},
        (LINK, PRESSED, STORAGE),
        (),
        {FORM: _choice("show", "page", "json", "pdf")},
    ),
    ("POST", "/consents/check"): Operation(
        "May I send this person, or each of these, this?",
        {200: ("The answer; of a list, the answers in its order.", JSON, schema_named("Checked"))},
        (BODY, SECRET, LIMIT, QUESTION, STORAGE),
        (("apiKey",),),
        {JSON: schema_named("Check")},
    ),
    ("GET", "/ledger/checkpoint"): Operation(
        "The newest signed checkpoint",
        {200: ("A signed note (https://c2sp.org/tlog-checkpoint).", "text/plain", TEXT)},
        ({404: ("nothing_signed_yet",)}, STORAGE),
    ),
    ("GET", "/ledger/tile/<path:name>"): Operation(
        "Hashes of the ledger", {200: ("Up to 256 hashes of 32 bytes.", BYTES, ANY)}, (TILE, STORAGE)
    ),
    ("GET", "/ledger/tile/entries/<path:name>"): Operation(
        "Entries of the ledger",
        {200: ("Up to 256 leaves, each after its length in two bytes.", BYTES, ANY)},
        (TILE, SECRET, STORAGE),
        (("auditorKey",),),
    ),
    ("POST", "/ledger/proofs"): Operation(
        "Fresh proofs for a receipt",
        {200: ("The newest checkpoint, and the proofs that lead to it.", JSON, schema_named("Proofs"))},
        (BODY, {404: ("leaf_not_in_ledger",), 409: ("another_history",), 422: ("receipt_malformed",)}, STORAGE),
        (),
        {JSON: schema_named("PresentedReceipt")},
    ),
    ("GET", "/health/live"): Operation("Is the process alive?", {200: ("It is.", JSON, schema_named("Alive"))}),
    ("GET", "/health/ready"): Operation(
        "Can a 200 be kept?",
        {200: ("It can.", JSON, schema_named("Ready")), 503: ("It cannot.", JSON, schema_named("NotReady"))},
    ),
    ("GET", "/metrics"): Operation("For Prometheus", {200: ("Text format 0.0.4.", "text/plain", TEXT)}, (STORAGE,)),
    ("GET", "/static/<path:filename>"): Operation(
        "The pages' style sheet",
        {
            200: ("The file.", "text/css", TEXT),
            206: ("A part of it.", "text/css", TEXT),
            304: ("It is the one that the caller has.", "", ANY),
        },
        ({404: ("not_found",), 416: ("request_refused",)},),
    ),
    ("GET", "/openapi.json"): Operation("This document", {200: ("OpenAPI 3.1.", JSON, {"type": "object"})}),
}


def every_reason() -> Iterator[tuple[int, str]]:
    """(status, reason) of every refusal that is told."""
    for operation in OPERATIONS.values():
        for status, reasons in operation.reasons().items():
            yield from ((status, reason) for reason in reasons)
