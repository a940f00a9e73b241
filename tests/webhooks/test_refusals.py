"""Every no of the door: its status, its one JSON shape, and that it stores nothing and repeats nothing."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from werkzeug.test import TestResponse

from schemas.refusal import MESSAGES
from tests.webhooks.capture import inbox_rows
from tests.world import FORM_SECRET, SIGNED_SECRET, World, signed_headers, stripe_header
from webhooks.answers import HEADERS
from webhooks.requests import BODY_SIZE_MAX_BYTES

CANARY = "kanari7f3a"
ADDRESS = f"{CANARY}@example.test"
BODY = json.dumps({"email": ADDRESS, "newsletter": "yes"})
GENERIC, STRIPE = "/webhooks/forms/newsletter", "/webhooks/stripe"
CF7 = "/webhooks/forms/newsletter-contact-form-7"
TOKEN = {"X-Gdpr-Token": FORM_SECRET}
OTHER_SECRET = "whsec_" + "QUFB" * 10
LONG_AGO_S = 1_600_000_000


@dataclass(frozen=True, slots=True)
class Case:
    """A request with our canary wherever a request can hold text, and the answer it must get."""

    status: int
    reason: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    body: str | bytes = BODY
    content_type: str = "application/json"


def cases(now_s: int) -> dict[str, Case]:
    """With signatures of just now: between the collection of tests and their run many minutes may pass."""

    def standard(**changes: str) -> dict[str, str]:
        return signed_headers(BODY, "msg_1", now_s) | changes

    return {
        "standard, unsigned": Case(401, "signature_malformed", GENERIC),
        "standard, another secret": Case(
            401, "signature_mismatch", GENERIC, signed_headers(BODY, "msg_1", now_s, OTHER_SECRET)
        ),
        "standard, another body": Case(401, "signature_mismatch", GENERIC, signed_headers(BODY + " ", "msg_1", now_s)),
        "standard, too old": Case(401, "signature_outside_window", GENERIC, signed_headers(BODY, "msg_1", LONG_AGO_S)),
        "standard, too early": Case(
            401, "signature_outside_window", GENERIC, signed_headers(BODY, "msg_1", now_s + 86_400)
        ),
        "standard, no signature": Case(401, "signature_mismatch", GENERIC, standard(**{"webhook-signature": ""})),
        "standard, canary as id": Case(401, "signature_malformed", GENERIC, standard(**{"webhook-id": ADDRESS})),
        "standard, not ASCII": Case(401, "signature_mismatch", GENERIC, standard(**{"webhook-signature": "v1,æøå"})),
        "standard, the secret itself": Case(401, "signature_malformed", GENERIC, {"X-Gdpr-Token": SIGNED_SECRET}),
        "stripe, unsigned": Case(401, "signature_malformed", STRIPE),
        "stripe, canary": Case(401, "signature_malformed", STRIPE, {"Stripe-Signature": ADDRESS}),
        "stripe, another secret": Case(
            401, "signature_mismatch", STRIPE, {"Stripe-Signature": stripe_header(BODY, now_s, OTHER_SECRET)}
        ),
        "stripe, too old": Case(
            401, "signature_outside_window", STRIPE, {"Stripe-Signature": stripe_header(BODY, LONG_AGO_S)}
        ),
        "stripe, only v0": Case(
            401,
            "signature_malformed",
            STRIPE,
            {"Stripe-Signature": stripe_header(BODY, now_s).replace("v1=", "v0=")},
        ),
        "form, no secret": Case(401, "secret_missing", CF7),
        "form, empty secret": Case(401, "secret_missing", CF7, {"X-Gdpr-Token": ""}),
        "form, canary as secret": Case(401, "secret_mismatch", CF7, {"X-Gdpr-Token": ADDRESS}),
        "form, half a secret": Case(401, "secret_mismatch", CF7, {"X-Gdpr-Token": FORM_SECRET[:-1]}),
        "form, long secret": Case(401, "signature_malformed", CF7, {"X-Gdpr-Token": CANARY * 500}),
        "form, canary in the path": Case(401, "secret_mismatch", f"{CF7}/{CANARY}"),
        "form, a wrong path beside a right header": Case(401, "secret_mismatch", f"{CF7}/{CANARY}", TOKEN),
        "form, the secret in the query": Case(401, "secret_missing", f"{CF7}?token={FORM_SECRET}"),
        "unknown form": Case(404, "form_unknown", f"/webhooks/forms/{CANARY}", TOKEN),
        "unknown form with a secret": Case(404, "form_unknown", f"/webhooks/forms/{CANARY}/{FORM_SECRET}"),
        "unknown path": Case(404, "not_found", f"/{CANARY}?email={ADDRESS}", TOKEN),
        "a slash too many": Case(404, "not_found", f"{CF7}/", TOKEN),
        "two slashes": Case(404, "not_found", f"/webhooks//forms/{CANARY}", TOKEN),
        "unknown withdrawal link": Case(404, "link_unknown", f"/w/{CANARY}"),
        "unknown confirmation link": Case(404, "link_unknown", f"/c/{CANARY}"),
        "a link that was made up": Case(404, "link_unknown", "/w/" + "A" * 46, method="GET"),
        "GET of a form": Case(405, "method_not_allowed", f"{CF7}?email={ADDRESS}", TOKEN, method="GET"),
        "PUT to Stripe's": Case(405, "method_not_allowed", STRIPE, method="PUT"),
        "DELETE of a link": Case(405, "method_not_allowed", f"/w/{CANARY}", method="DELETE"),
        "TRACE": Case(405, "method_not_allowed", STRIPE, {"X-Canary": ADDRESS}, method="TRACE"),
        "too large": Case(413, "body_too_large", CF7, TOKEN, body=CANARY * 60_000),
        "too large, unsigned": Case(413, "body_too_large", STRIPE, body=CANARY * 60_000),
        "text": Case(415, "content_type_not_accepted", CF7, TOKEN, content_type="text/plain"),
        "canary as type": Case(415, "content_type_not_accepted", CF7, TOKEN, content_type=f"text/{CANARY}"),
        "multipart": Case(415, "content_type_not_accepted", CF7, TOKEN, content_type="multipart/form-data; boundary=x"),
        "no type": Case(415, "content_type_not_accepted", CF7, TOKEN, content_type=""),
        "another charset": Case(
            415, "content_type_not_accepted", CF7, TOKEN, content_type="application/json; charset=utf-16"
        ),
        "gzip": Case(415, "content_encoding_not_accepted", CF7, TOKEN | {"Content-Encoding": "gzip"}),
        "two encodings": Case(415, "content_encoding_not_accepted", CF7, TOKEN | {"Content-Encoding": "identity, br"}),
        "a form body for Stripe": Case(
            415,
            "content_type_not_accepted",
            STRIPE,
            {"Stripe-Signature": stripe_header(BODY, now_s)},
            content_type="application/x-www-form-urlencoded",
        ),
    }


SYNTAX = {
    "text_bom": b'\xef\xbb\xbf{"email":"kanari7f3a@example.test"}',
    "text_not_utf8": b'{"email":"kanari7f3a\xff"}',
    "text_nul": b'{"email":"kanari7f3a\\u0000"}',
    "text_surrogate": b'{"email":"kanari7f3a\\ud800"}',
    "json_too_deep": b"[" * 40 + b'"kanari7f3a"' + b"]" * 40,
    "json_too_many_keys": b"{" + b",".join(b'"kanari7f3a%d":1' % number for number in range(2100)) + b"}",
    "json_duplicate_key": b'{"kanari7f3a":1,"kanari7f3a":2}',
    "json_number_too_large": b'{"kanari7f3a":99999999999999999999}',
    "json_not_finite": b'{"kanari7f3a":NaN}',
    "json_malformed": b'{"kanari7f3a":',
    "form_malformed": b"kanari7f3a=%zz",
    "form_too_many_fields": b"&".join(b"kanari7f3a%d=" % number for number in range(600)),
    "form_duplicate_key": b"kanari7f3a=1&kanari7f3a=2",
}
SYNTAX_CASES = {
    f"syntax, {reason}": Case(
        400,
        reason,
        CF7,
        TOKEN,
        body=body,
        content_type="application/x-www-form-urlencoded" if reason.startswith("form") else "application/json",
    )
    for reason, body in SYNTAX.items()
}


def send(world: World, case: Case) -> TestResponse:
    headers = {"User-Agent": ADDRESS, "Referer": f"http://{CANARY}.example.test/", "Accept": "*/*", **case.headers}
    return world.client.open(
        case.path, method=case.method, data=case.body, headers=headers, content_type=case.content_type
    )


def assert_refused(answer: TestResponse, status: int, reason: str) -> None:
    """Exactly the one shape, all the headers, and no echo."""
    assert answer.status_code == status
    assert answer.get_json() == {"error": {"status": status, "reason": reason, "message": MESSAGES[status]}}
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    told = answer.get_data(as_text=True) + str(answer.headers)
    for secret in (CANARY, FORM_SECRET, "example.test"):
        assert secret not in told
    assert "Location" not in answer.headers
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("name", [*cases(0), *SYNTAX_CASES])
def test_it_refuses_stores_nothing_and_repeats_nothing(shared_world: World, name: str) -> None:
    before = inbox_rows(shared_world)
    case = {**cases(int(time.time())), **SYNTAX_CASES}[name]
    assert_refused(send(shared_world, case), case.status, case.reason)
    assert inbox_rows(shared_world) == before


def test_a_refused_method_names_the_allowed_ones(shared_world: World) -> None:
    answer = shared_world.client.get(STRIPE)
    assert {method.strip() for method in answer.headers["Allow"].split(",")} == {"OPTIONS", "POST"}


@pytest.mark.parametrize("path", [CF7, STRIPE, "/w/" + "A" * 46])
def test_a_body_without_a_length_is_cut_at_the_cap(shared_world: World, path: str) -> None:
    """Chunked: only the stream itself says how long it is, and we stop reading it at the cap."""
    stream = CountingStream(4 * BODY_SIZE_MAX_BYTES)
    answer = shared_world.client.post(
        path,
        content_type="application/json",
        headers=TOKEN | {"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input": stream, "CONTENT_LENGTH": "", "wsgi.input_terminated": True},
    )
    if path.startswith("/w/"):  # refused for its token before the body is looked at
        assert_refused(answer, 404, "link_unknown")
    else:
        assert_refused(answer, 413, "body_too_large")
    assert stream.read_bytes <= BODY_SIZE_MAX_BYTES + 65_536


@pytest.mark.parametrize("over", [0, 1])
def test_the_cap_itself_is_allowed_and_one_byte_more_is_not(shared_world: World, over: int) -> None:
    empty = b'{"":""}'
    body = empty[:-2] + b"k" * (BODY_SIZE_MAX_BYTES - len(empty) + over) + empty[-2:]
    for overrides in ({}, {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}):
        answer = shared_world.client.post(
            CF7, data=body, content_type="application/json", headers=TOKEN, environ_overrides=overrides
        )
        assert answer.status_code == (413 if over else 200)


def test_a_body_that_ends_before_its_length_is_not_taken_for_the_whole(shared_world: World) -> None:
    """A cut connection: gunicorn hands over what came, and half an address is another address."""
    before = inbox_rows(shared_world)
    whole = b"gdpr-consent=1&your-email=kari@example.test.kanari7f3a.no"
    answer = shared_world.client.post(
        CF7,
        data=whole[:-14],
        content_type="application/x-www-form-urlencoded",
        headers=TOKEN,
        environ_overrides={"CONTENT_LENGTH": str(len(whole)), "wsgi.input_terminated": True},
    )
    assert_refused(answer, 400, "body_incomplete")
    assert inbox_rows(shared_world) == before


class CountingStream:
    """A body that goes on and on, and counts what was taken of it."""

    def __init__(self, size: int) -> None:
        self.left, self.read_bytes = size, 0

    def read(self, size: int = -1) -> bytes:
        given = min(self.left, size if size >= 0 else self.left)
        self.left -= given
        self.read_bytes += given
        return b"k" * given

    def readline(self, size: int = -1) -> bytes:
        return self.read(size)
