"""The same delivery fifty times at once: fifty times 200, one row, one effect. With an id of the sender or without."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.faults.conftest import Note
from tests.faults.oracle import assert_ledger_verifies, database_of, query, wait_until_recorded
from tests.faults.senders import JSON, Answer, SignedForm, fresh_name, post
from tests.stack import Stack
from tests.world import checkout_event, stripe_header

TIMES = 50
REQUESTED, PURCHASE, CUSTOMER = "consent.requested", "purchase.recorded", "customer.recorded"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request, byte for byte, and the entries that it may cause."""

    path: str
    body: bytes
    headers: Mapping[str, str]
    kinds: tuple[str, ...] = (REQUESTED,)


def signed_form(stack: Stack, name: str) -> Delivery:
    body = json.dumps({"email": f"{name}@example.org", "newsletter": "yes"}).encode()
    form = SignedForm(stack, "newsletter")
    return Delivery(form.path, body, form.headers(f"msg_{name}", body))


def gravity_forms(stack: Stack, name: str) -> Delivery:
    fields = {"id": name, "date_created": "2026-11-23 01:25:45", "2": f"{name}@example.org", "5.1": "1"}
    return _with_secret(stack, "newsletter-gravity-forms", fields)


def contact_form_7(stack: Stack, name: str) -> Delivery:
    """Sends no id of its own: only its content says that it is the same."""
    return _with_secret(
        stack, "newsletter-contact-form-7", {"your-email": f"{name}@example.org", "gdpr-consent": "1", "company": ""}
    )


def withdrawal_without_id(stack: Stack, name: str) -> Delivery:
    fields = {"your-email": f"{name}@example.org"}
    delivery = _with_secret(stack, "withdrawal-contact-form-7", fields)
    return Delivery(delivery.path, delivery.body, delivery.headers, ("consent.withdrawn",) * 4)


def stripe_event(stack: Stack, name: str) -> Delivery:
    raw = json.dumps(checkout_event(f"evt_{name.replace('-', '')}", f"{name}@example.org"))
    header = stripe_header(raw, int(time.time()), stack.setting("STRIPE_WEBHOOK_SECRETS"))
    kinds = (REQUESTED, PURCHASE, CUSTOMER)
    return Delivery("/webhooks/stripe", raw.encode(), {**JSON, "Stripe-Signature": header}, kinds)


def _with_secret(stack: Stack, form: str, fields: Mapping[str, str]) -> Delivery:
    body = json.dumps(fields).encode()
    return Delivery(f"/webhooks/forms/{form}", body, {**JSON, **stack.form_headers(form, body)})


def send_at_once(stack: Stack, delivery: Delivery) -> list[Answer]:
    barrier = threading.Barrier(TIMES)

    def send(_: int) -> Answer:
        barrier.wait()
        return post(stack.port, delivery.path, delivery.body, delivery.headers)

    with ThreadPoolExecutor(TIMES) as pool:
        return list(pool.map(send, range(TIMES)))


@pytest.mark.parametrize(
    "make",
    [signed_form, gravity_forms, contact_form_7, withdrawal_without_id, stripe_event],
    ids=lambda make: str(make.__name__),
)
def test_fifty_at_once_are_one(service: Stack, make: Callable[[Stack, str], Delivery], note: Note) -> None:
    path = database_of(service)
    wait_until_recorded(service)
    ((before,),) = query(path, "SELECT coalesce(max(id), 0) FROM inbox")
    delivery = make(service, f"same-{fresh_name()}")
    answers = send_at_once(service, delivery)
    note("slowest_answer_s", round(max(answer.took_s for answer in answers), 3))
    assert Counter(answer.status for answer in answers) == {200: TIMES}
    told = Counter(json.loads(answer.body)["status"] for answer in answers)
    assert told == {"accepted": 1, "duplicate": TIMES - 1}
    wait_until_recorded(service)
    rows = query(path, "SELECT id, status FROM inbox WHERE id > ?", [before])
    assert [status for _, status in rows] == ["recorded"]
    kinds = query(path, "SELECT kind FROM ledger_entry WHERE inbox_id = ? ORDER BY position", [rows[0][0]])
    assert tuple(kind for (kind,) in kinds) == delivery.kinds
    assert_ledger_verifies(service)
