"""Before an erasure: what Stripe holds of the person, what of it has to stay, and until when."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import stripe

from workers.relays.action import RelayError
from workers.relays.stripe.connection import StripeConnection
from workers.relays.stripe.customers import current, customers_of, guest_sessions
from workers.relays.stripe.listing import every, part
from workers.relays.stripe.subscriptions import running

ACTIVE_SUBSCRIPTION = "active_subscription"
BOOKKEEPING, UNPAID_CHECKOUT = "bookkeeping", "unpaid_checkout"
OPEN_DISPUTE, UNPAID_INVOICE = "open_dispute", "unpaid_invoice"
# https://docs.stripe.com/api/disputes/object: the others are won, lost, prevented or warning_closed.
OPEN_DISPUTES = frozenset({"needs_response", "under_review", "warning_needs_response", "warning_under_review"})
# Evidence may be due for three weeks, and the bank then has up to 75 days (https://docs.stripe.com/disputes/how-
# disputes-work): rounded up.
DISPUTE_DAYS = 120
# A claim lapses three years after it was due: foreldelsesloven, sections 2 and 3
# (https://lovdata.no/dokument/NL/lov/1979-05-18-18).
CLAIM_YEARS = 3
# What a payment before midnight belongs to depends on where; the earliest time zone is 14 hours ahead.
EARLIEST_ZONE = timedelta(hours=14)
REDACTABLE_AFTER_MS = 90 * 86_400_000  # https://docs.stripe.com/privacy/deletion-requests
OBJECTS_MAX = 1_000
# What a redaction job calls each kind of object.
KINDS = {"cus": "customers", "ch": "charges", "py": "charges", "in": "invoices"} | {
    "pi": "payment_intents",
    "cs": "checkout_sessions",
}


@dataclass(slots=True)
class Survey:
    """Ids and dates only, so that it can wait in `RelayAction.notes`.

    objects: every id that holds personal data, customers first. held: customer id to why it may not go yet.
    until_ms: when the last ground to keep anything ends. guests: whether somebody paid, or began to, as a guest.
    """

    customers: list[str] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)
    guests: bool = False
    paid: bool = False
    until_ms: int | None = None
    redactable_from_ms: int = 0

    @classmethod
    def of(cls, notes: Mapping[str, Any]) -> Self:
        return cls(**notes.get("survey", {}))

    def notes(self) -> dict[str, Any]:
        return {"survey": asdict(self)}

    @property
    def reason(self) -> str | None:
        """Why something stays at Stripe; the ground that the person would ask about first."""
        if self.held:
            return OPEN_DISPUTE if OPEN_DISPUTE in self.held.values() else UNPAID_INVOICE
        if self.paid:
            return BOOKKEEPING
        return UNPAID_CHECKOUT if self.guests else None

    def note(self, found_id: str, created_s: int) -> None:
        if found_id not in self.objects:
            self.objects.append(found_id)
        if len(self.objects) > OBJECTS_MAX:
            raise RelayError("too_many_objects", permanent=True)
        self.redactable_from_ms = max(self.redactable_from_ms, created_s * 1000 + REDACTABLE_AFTER_MS)

    def keep_until(self, at: datetime) -> None:
        self.until_ms = max(self.until_ms or 0, int(at.timestamp() * 1000))

    def keep_books(self, created_s: int, years: int) -> None:
        """Years after the end of the financial year (bokføringsloven, section 13)."""
        self.paid = True
        year = (datetime.fromtimestamp(created_s, UTC) + EARLIEST_ZONE).year
        self.keep_until(datetime(year + 1 + years, 1, 1, tzinfo=UTC))


def survey(client: stripe.StripeClient, connection: StripeConnection, emails: Sequence[str], known: Survey) -> Survey:
    """Look at every customer that is found now or was known before, and at what they and guests have bought.

    What was known of a customer that is deleted by now stays.
    """
    found = Survey.of(known.notes())
    found.held = {}
    for customer in customers_of(client, emails):
        if customer.id not in found.customers:
            found.customers.append(customer.id)
    for customer_id in found.customers:
        if current(client, customer_id) is not None:
            _look_at(client, connection, customer_id, found)
    for session in guest_sessions(client, emails):
        found.guests = True
        _note_checkout(session, found, connection.bookkeeping_years)
    return found


def _look_at(client: stripe.StripeClient, connection: StripeConnection, customer_id: str, found: Survey) -> None:
    wanted = {"customer": customer_id}
    found.note(customer_id, 0)
    if next(running(client, customer_id), None) is not None:
        found.held[customer_id] = ACTIVE_SUBSCRIPTION
        return
    for invoice in _own(every(client.v1.invoices.list, wanted, "in"), customer_id):
        _note_invoice(invoice, customer_id, found, connection.bookkeeping_years)
    for charge in _own(every(client.v1.charges.list, wanted, "ch", "py"), customer_id):
        found.note(charge.id, charge.created)
        if part(charge, "paid"):
            found.keep_books(charge.created, connection.bookkeeping_years)
        if part(charge, "disputed"):
            _note_disputes(client, charge.id, customer_id, found)
    for intent in _own(every(client.v1.payment_intents.list, wanted, "pi"), customer_id):
        found.note(intent.id, intent.created)
    for session in _own(every(client.v1.checkout.sessions.list, wanted, "cs"), customer_id):
        _note_checkout(session, found, connection.bookkeeping_years)


def _own(items: Iterable[Any], customer_id: str) -> Iterable[Any]:
    return (item for item in items if part(item, "customer") == customer_id)


def _note_invoice(invoice: Any, customer_id: str, found: Survey, years: int) -> None:

    found.note(invoice.id, invoice.created)
    if part(invoice, "status") != "draft":
        found.keep_books(invoice.created, years)
    if part(invoice, "status") == "open":
        found.held[customer_id] = UNPAID_INVOICE
        due = datetime.fromtimestamp(part(invoice, "due_date") or invoice.created, UTC)
        found.keep_until(due + timedelta(days=365 * CLAIM_YEARS + 1))


def _note_disputes(client: stripe.StripeClient, charge_id: str, customer_id: str, found: Survey) -> None:
    for dispute in every(client.v1.disputes.list, {"charge": charge_id}, "dp", "du"):
        if part(dispute, "charge") == charge_id and part(dispute, "status") in OPEN_DISPUTES:
            found.held[customer_id] = OPEN_DISPUTE
            found.keep_until(datetime.fromtimestamp(dispute.created, UTC) + timedelta(days=DISPUTE_DAYS))


def _note_checkout(session: stripe.checkout.Session, found: Survey, years: int) -> None:
    found.note(session.id, session.created)
    intent = part(session, "payment_intent")
    if isinstance(intent, str):
        found.note(intent, session.created)
    if part(session, "payment_status") == "paid":
        found.keep_books(session.created, years)
