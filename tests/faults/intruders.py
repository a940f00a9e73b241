"""Carries the canaries to the service on every way in, and keeps every answer: answers are places to look in too."""

import http.client
import json
import re
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from tests.faults import people
from tests.faults.senders import HOST, JSON, SignedForm
from tests.stack import Stack
from tests.world import checkout_event, stripe_header

FORM_TYPE = "application/x-www-form-urlencoded"
CF7, GRAVITY = "newsletter-contact-form-7", "newsletter-gravity-forms"
WAIT_S = 15.0


@dataclass
class Intruder:
    """`answers` is what came back, heads included; `malformed` what came back for what was no HTTP."""

    stack: Stack
    answers: list[tuple[str, bytes]] = field(default_factory=list)
    malformed: list[tuple[str, bytes]] = field(default_factory=list)

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(HOST, self.stack.port, timeout=WAIT_S)
        try:
            connection.request(method, path, body, {**people.HEADERS, **(headers or {})})
            response = connection.getresponse()
            read = response.read()
        finally:
            connection.close()
        head = "\n".join(f"{name}: {value}" for name, value in response.getheaders())
        self.answers.append((f"answer {response.status} to {method} {path[:20]}", head.encode() + b"\n\n" + read))
        return response.status, read

    def signed(self, form: str, fields: Mapping[str, object], message_id: str | None = None) -> tuple[int, str]:
        """A delivery of a sender that signs: status, and what it was told."""
        body = json.dumps(fields).encode()
        made = SignedForm(self.stack, form)
        status, read = self.ask("POST", made.path, body, made.headers(message_id or f"msg_{time.time_ns()}", body))
        return status, str(json.loads(read).get("status"))

    def with_secret(self, form: str, fields: Mapping[str, object], in_path: bool = False) -> tuple[int, str]:
        body = json.dumps(fields).encode()
        headers = self.stack.form_headers(form, body)
        path = f"/webhooks/forms/{form}"
        if in_path:
            path, headers = f"{path}/{next(iter(headers.values()))}", {}
        status, read = self.ask("POST", path, body, {**JSON, **headers})
        return status, str(json.loads(read).get("status"))

    def stripe(self, event: Mapping[str, object]) -> tuple[int, str]:
        raw = json.dumps(event)
        header = stripe_header(raw, int(time.time()), self.stack.setting("STRIPE_WEBHOOK_SECRETS"))
        status, read = self.ask("POST", "/webhooks/stripe", raw.encode(), {**JSON, "Stripe-Signature": header})
        return status, str(json.loads(read).get("status"))

    def raw(self, request: bytes) -> bytes:
        """Bytes that need not be HTTP, and all that comes back."""
        with socket.create_connection((HOST, self.stack.port), WAIT_S) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            read = b""
            try:
                while chunk := connection.recv(65_536):
                    read += chunk
            except OSError:
                pass
        self.malformed.append((f"answer to {request[:24]!r}", read))
        return read

    def links(self) -> list[str]:
        """The tokens that were mailed: whoever has one can act as the person."""
        texts = [path.read_text(encoding="utf-8") for path in (self.stack.data_dir / "mail").glob("*.eml")]
        # quoted-printable cuts long lines
        return sorted({found for text in texts for found in re.findall(r"/([cw]/[A-Za-z0-9_.~-]+)", _joined(text))})


def _joined(text: str) -> str:
    return re.sub(r"=\r?\n", "", text).replace("=3D", "=")


def good_deliveries(intruder: Intruder) -> Iterator[tuple[int, str]]:
    """Everything that is accepted: sign-ups with too much in them, a purchase, events with cards."""
    fields = {"email": people.EMAIL, **people.PROFILE, "newsletter": "yes", **people.EXTRAS}
    yield intruder.signed("newsletter", fields)
    yield intruder.signed("newsletter", {"email": people.FAILING, "newsletter": "yes", **people.EXTRAS})
    yield intruder.with_secret(CF7, {"your-email": people.EMAIL, "gdpr-consent": "1", **people.EXTRAS}, in_path=True)
    gravity = {"id": "17", "date_created": "2026-11-23 01:25:45", "2": people.EMAIL, "1.3": people.IDENTITY, "5.1": "1"}
    yield intruder.with_secret(GRAVITY, {**gravity, **people.EXTRAS})
    yield intruder.stripe(checkout(people.BUYER))
    yield intruder.stripe({**checkout(people.BUYER), "id": "evt_charge1", "type": "charge.succeeded"})


def checkout(address: str | None) -> dict[str, object]:
    """Stripe's events hold far more than may be kept."""
    card = {"number": people.CARDS[0], "last4": "1111", "fingerprint": people.TOKEN}
    session = {
        "customer_details": {
            "email": address,
            "name": f"{people.FIRST_NAME} {people.LAST_NAME}",
            "phone": people.PHONE,
            "address": {"line1": people.STREET},
        },
        "payment_method_details": {"card": card},
        "url": f"https://checkout.example.org/{people.TOKEN}",
        "metadata": {"note": people.SENTENCE, **people.EXTRAS},
    }
    return checkout_event(f"evt_{time.time_ns()}", session=session)


def parked_deliveries(intruder: Intruder) -> Iterator[tuple[int, str]]:
    """Authenticated, and not what the form should say: kept, sealed and scrubbed."""
    yield intruder.signed(
        "newsletter", {"newsletter": "yes", "e-mail": people.EMAIL, **people.PROFILE, **people.EXTRAS}
    )
    yield intruder.signed("newsletter", {"email": f"{people.IDENTITY}@x@y", **people.EXTRAS})
    yield intruder.with_secret(GRAVITY, {"id": "18", people.EMAIL: people.SENTENCE, **people.EXTRAS})
    yield intruder.stripe(checkout(None))
    yield intruder.signed("newsletter", {"email": people.EMAIL, "newsletter": "yes"}, "msg_conflict")
    yield intruder.signed("newsletter", {"email": people.BUYER, "newsletter": "yes"}, "msg_conflict")


def refused_deliveries(intruder: Intruder) -> Iterator[int]:
    """Whatever is wrong with them, their contents are none of our business."""
    body = json.dumps({"email": people.EMAIL, **people.PROFILE, **people.EXTRAS}).encode()
    form = urlencode({"email": people.EMAIL, **people.EXTRAS}).encode()
    path, path_cf7 = "/webhooks/forms/newsletter", f"/webhooks/forms/{CF7}"
    good = SignedForm(intruder.stack, "newsletter").headers("msg_refused", b"[" + body)
    secret = intruder.stack.form_headers(CF7, body)
    tries: list[tuple[str, str, bytes, Mapping[str, str]]] = [
        ("POST", path, body, JSON),
        ("POST", path, body, {**JSON, "webhook-id": people.EMAIL, "webhook-signature": people.SECRET}),
        ("POST", path, body, {**good, "webhook-signature": f"v1,{people.SECRET}"}),
        ("POST", path, b"[" + body, good),  # signed, and no JSON
        ("POST", path, body, {**JSON, "Content-Encoding": people.TOKEN}),
        ("POST", path_cf7, body, {**JSON, "X-Gdpr-Token": people.SECRET}),
        ("POST", f"{path_cf7}/{people.SECRET}", body, JSON),
        ("POST", f"{path_cf7}/{quote(people.EMAIL)}/{people.SECRET}?{people.QUERY}={people.EMAIL}", body, JSON),
        ("POST", path_cf7, body, {"Content-Type": f"text/{people.TOKEN}", **secret}),
        ("POST", path_cf7, form, {"Content-Type": f"{FORM_TYPE}; charset={people.TOKEN}", **secret}),
        ("POST", path_cf7, b"x" * 600_000 + body, {**JSON, **secret}),
        ("POST", path_cf7, b'{"a":1,"a":"' + people.EMAIL.encode() + b'"}', {**JSON, **secret}),
        ("POST", f"/webhooks/forms/{quote(people.EMAIL)}", body, JSON),
        ("POST", "/webhooks/stripe", body, {**JSON, "Stripe-Signature": f"t={people.SECRET},v1={people.SECRET}"}),
        ("PUT", f"{path}?{people.QUERY}", body, JSON),
        ("GET", f"//webhooks//forms//{quote(people.EMAIL)}?{people.QUERY}", b"", {}),
        *((method, f"/{kind}/{quote(people.EMAIL)}", form, {}) for method in ("GET", "POST") for kind in "cw"),
        *((method, f"/{kind}/{people.TOKEN}?{people.QUERY}", b"", {}) for method in ("GET", "POST") for kind in "cw"),
        ("GET", f"/static/{people.TOKEN}", b"", {}),
    ]
    for one in tries:
        yield intruder.ask(*one)[0]


def no_http(intruder: Intruder) -> None:
    """Request lines, headers and bodies that no server takes."""
    address, token = people.EMAIL.encode(), people.TOKEN.encode()
    for request in (
        b"GET /" + address + b" NONSENSE/9.9\r\n\r\n",
        b"GET /w/" + token + b" with spaces " + address + b" HTTP/1.1\r\n\r\n",
        address + b"\r\n\r\n",
        b"POST /" + token + b" HTTP/1.1\r\nHost: x\r\n" + address + b": no\x00thing\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nBad Header " + address + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + address + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: " + token + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + address,
        b"POST / HTTP/1.1\r\nHost: x\r\nExpect: " + token + b"\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /" + address * 400 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + address * 600 + b"\r\n\r\n",
        b"GET http://" + address + b":port/ HTTP/1.1\r\nHost: " + address + b"\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + token,
        b"\x16\x03\x01" + address,
        b"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n" + address,  # and then silence
    ):
        intruder.raw(request)
