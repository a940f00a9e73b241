"""`flask forms`: what to paste into WordPress, and what a submission would mean, without storing anything."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from console.operator import Exit, Operator, Speaker, at, command, stop
from schemas.address import parse_address, redact
from schemas.dialects import DIALECTS, FORM, JSON, SECRET, STANDARD, WPFORMS, Dialect
from schemas.dialects.body import parse_submission
from schemas.dialects.fields import Fields
from schemas.message import Message, MessageType
from schemas.policy import ConsentField, Form, Policy, load_policy
from schemas.refusal import NotUnderstood, Refused
from schemas.strict_json import SyntaxRefused
from schemas.understanding import FORM_PREFIX, Understood, understand

SAMPLES = Path(__file__).resolve().parent / "samples"
RECORDED, PARKED, REFUSED, IGNORED = "recorded", "parked", "refused", "ignored"
ANSWERS = {"given": "yes", "refused": "no", None: "says nothing"}
_REQUEST_LINE = re.compile(rb"[A-Z]+ \S+ HTTP/1\.[01]\r?")
# Their plugins can set no header (docs/senders/index.md#a-secret-in-the-path).
PATH_ONLY = frozenset({"elementor", "forminator", "jetpack_forms", "ninja_forms"})
HINTS: Mapping[str, str] = {
    "not_one_entry": "the list must have exactly one entry in it",
    "field_ambiguous": "two of its fields have the same name once they are read",
    "topic_missing": "the sender says in a header or field what happened: give the whole request",
    "intent_field_missing": "`intent_field` names a field that the body does not have",
    "intent_not_listed": "the value of `intent_field` is in no [[choice]]",
    "not_an_object": "this plugin sends something else: is the dialect right?",
    "email_missing": "`fields.email` names a field that the body does not have, or that is empty",
    "consent_field_missing": "a consent's `field` is not in the body, and this plugin sends it ticked or not",
    "entry_id_missing": "`entry_id` names a field that the body does not have: correct it or leave it out",
    "time_not_understood": "`time_field` names a field that is no unambiguous time: correct it or leave it out",
    "content_type_not_accepted": "give the type with --content-type, or a file with the whole request",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A request as a plugin sends it. `name` tells where it is from; header names are in lower case."""

    name: str
    body: bytes
    headers: Mapping[str, str]

    def header(self, name: str, default: str = "") -> str:
        return self.headers.get(name.lower(), default)


@click.group()
def forms() -> None:
    """Website forms."""


@forms.command("list")
@command
def list_forms(operator: Operator, speak: Speaker) -> None:
    """Every form of the policy: the address to paste, and whether its secret is set."""
    settings = operator.settings
    policy = load_policy(settings.policy_file)
    rows = [
        {
            "form": form.key,
            "dialect": form.dialect,
            "intent": form.intent or f"by {form.intent_field}",
            "address": f"{settings.public_url}/webhooks/forms/{form.key}" + _path_of_secret(form),
            "proof": _proof(form),
            "secret": f"{len(found)} set" if (found := settings.form_secrets.get(form.key)) else "MISSING",
            "sites": ", ".join(form.sites) or "any",
        }
        for form in policy.forms.values()
    ]
    speak.rows(rows, ["form", "dialect", "intent", "address", "proof", "secret", "sites"], "No forms.")


def _path_of_secret(form: Form) -> str:
    return "/<secret>" if form.dialect in PATH_ONLY else ""


def _proof(form: Form) -> str:
    if DIALECTS[form.dialect].scheme != SECRET:
        return "signature"
    return "secret in the path" if form.dialect in PATH_ONLY else f"secret in {form.secret_header}"


@forms.command("test")
@click.argument("form")
@click.argument("file", required=False, type=click.File("rb"))
@click.option("--content-type", help="Of a FILE that is only a body.  [default: by its first character]")
@click.option("--header", "headers", multiple=True, help="A header of the request: `Name: value`.")
@command
def test_form(
    operator: Operator,
    speak: Speaker,
    form: str,
    file: Any,
    content_type: str | None,
    headers: tuple[str, ...],
) -> None:
    """Say what a submission would mean: who, yes or no, and what of it is not kept. Nothing is stored.

    FILE is a body or a whole request (`-`: standard input); left out, the sample of the form's plugin. Exit 1 if the
    submission would be refused or parked.
    """
    policy = load_policy(operator.settings.policy_file)  # before there are keys or a database, too
    if form not in policy.forms:
        stop(Exit.USAGE, f"form_unknown: one of {', '.join(policy.forms)}")
    given = dict(map(_header, headers)) | ({"content-type": content_type} if content_type else {})
    found = [(getattr(file, "name", "-"), file.read())] if file else samples_of(policy.forms[form].dialect)
    verdicts = [verdict(policy, policy.forms[form], read_sample(name, raw, given)) for name, raw in found]
    told = next((one for one in verdicts if one["verdict"] == RECORDED), verdicts[0])
    if file is None and told["verdict"] == PARKED:
        told["hint"] = "this is the plugin's own sample: give a FILE with what your form sends"
    speak.document(told)
    if told["verdict"] not in (RECORDED, IGNORED):
        raise SystemExit(int(Exit.NO))


def samples_of(dialect: str) -> list[tuple[str, bytes]]:
    """Name and content of `<dialect>.http`, then of `<dialect>.<variant>.http`."""
    files = [SAMPLES / f"{dialect}.http", *sorted(SAMPLES.glob(f"{dialect}.*.http"))]
    return [(file.name, file.read_bytes()) for file in files]


def read_sample(name: str, raw: bytes, given: dict[str, str]) -> Sample:
    """A whole request, with LF or CRLF in its head, or only a body. `given` wins over the headers of the request."""
    request_line, _, rest = raw.partition(b"\n")
    if not _REQUEST_LINE.fullmatch(request_line):
        body = raw.rstrip(b"\r\n")  # an editor ends a file with one
        guessed = JSON if body.lstrip()[:1] in (b"{", b"[") else FORM
        return Sample(name, body, {"content-type": guessed} | given)
    head, _, body = rest.partition(b"\r\n\r\n" if request_line.endswith(b"\r") else b"\n\n")
    return Sample(name, body, dict(map(_header, head.decode("latin-1").splitlines())) | given)


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        stop(Exit.USAGE, "header_malformed: Name: value")
    return name.strip().lower(), value.strip()


def verdict(policy: Policy, form: Form, sample: Sample) -> dict[str, Any]:
    """What the door and the recorder would make of it. No address in clear, no value but those of the policy."""
    told: dict[str, Any] = {"form": form.key, "dialect": form.dialect, "sample": sample.name}
    dialect = DIALECTS[form.dialect]
    if dialect.test_header and sample.header(dialect.test_header[0]) == dialect.test_header[1]:
        return {"verdict": IGNORED} | told | {"hint": "the plugin's own test: answered 200, and nothing is kept"}
    try:
        document = parse_sample(dialect, sample)
        understood = understand(policy, FORM_PREFIX + form.key, document, None, "any")
    except (Refused, NotUnderstood) as error:
        outcome = REFUSED if isinstance(error, Refused) else PARKED
        return {"verdict": outcome, "reason": error.reason} | told | {"hint": HINTS.get(error.reason)}
    if understood.message.type is MessageType.IGNORED:
        return {"verdict": IGNORED} | told | {"hint": "it tells of something that the form does not listen to"}
    return {"verdict": RECORDED} | told | _told(form, dialect, dialect.read(document), understood)


def parse_sample(dialect: Dialect, sample: Sample) -> object:
    """As the door parses it. Raises Refused."""
    media_type = sample.header("content-type").partition(";")[0].strip().lower()
    if media_type not in dialect.content_types:
        raise Refused(415, "content_type_not_accepted")
    try:
        return parse_submission(dialect, sample.body, media_type, sample.header)
    except SyntaxRefused as refused:
        raise Refused(400, refused.reason) from None


def _told(form: Form, dialect: Dialect, fields: Fields, understood: Understood) -> dict[str, Any]:
    message = understood.message
    is_signed_with_time = dialect.scheme in (STANDARD, WPFORMS) and message.type is MessageType.SIGN_UP
    of_the_signature = "the webhook-id of its signature" if dialect.scheme == STANDARD else None
    return {
        "intent": message.type.value,
        "right": message.right,
        "person": redact(parse_address(message.email)) if message.email else None,
        "kept": ["email", *sorted(message.profile or {})],
        "purposes": [{"purpose": one, "answer": "withdrawn"} for one in message.purposes]
        or list(_answers(form, dialect, fields, message)),
        "dropped": [{"field": one.field, "rule": one.rule} for one in message.dropped],
        "not_read": list(message.unread),
        "id": understood.sender_id
        or of_the_signature
        or "none: for 10 minutes the same content is the same submission",
        "said_at": at(message.sent_at_ms) or ("when it was signed" if is_signed_with_time else "when it arrives"),
    }


def _answers(form: Form, dialect: Dialect, fields: Fields, message: Message) -> Iterator[dict[str, str]]:
    """Each purpose with the answer, and what it was read from."""
    states = {decision.purpose: decision.state for decision in message.decisions}
    for consent in form.consent:
        value = _shown(fields, dialect, consent)
        for purpose in consent.purposes:
            answer = ANSWERS[states.get(purpose)]
            yield {"purpose": purpose, "answer": answer, "field": consent.field, "value": value}


def _shown(fields: Fields, dialect: Dialect, consent: ConsentField) -> str:
    """A value only if it is one of the accepted ones or empty: anything else may be about a person."""
    texts = fields.get(consent.field)
    if texts is None:
        return "absent"
    if not any(texts):
        return "empty"
    separated = [part for text in texts for part in (text, *text.split(dialect.separator or "\n"))]
    return next((f'"{part}"' for part in separated if part in consent.accepted), "another value")
