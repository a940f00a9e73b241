"""Erasure at Stripe: payment methods off, every field blank, the customer deleted; then, if wished, redacted.

Payments and invoices cannot be deleted there (https://docs.stripe.com/privacy/deletion-requests), and bookkeeping wants
them: they are retained, with a date, unless redaction is on. Nothing is touched before what was found is noted: were
the attempt to die after a deletion, the next one would find nobody, and would say so.
"""

from functools import partial

import stripe

from schemas.stripe.echo import ERASURE_MARK
from workers.relays.action import Outcome, RelayAction, RelayError, RelayResult, RelayWait
from workers.relays.stripe.connection import StripeConnection, calls, is_missing
from workers.relays.stripe.customers import current, listed_customers, write
from workers.relays.stripe.listing import every, part
from workers.relays.stripe.marks import consent_marks, mark_all
from workers.relays.stripe.redaction import redact
from workers.relays.stripe.survey import ACTIVE_SUBSCRIPTION, Survey, survey

AT_ONCE_S = 1.0
BLANKED = ("email", "name", "individual_name", "business_name", "phone", "description", "address", "shipping")
# Cards and bank accounts from before payment methods appear among them under their old ids.
PAYMENT_METHODS = ("pm", "card", "src", "ba")


def erase(action: RelayAction, connection: StripeConnection) -> RelayResult:
    """Erase every matching customer. Raises RelayError, and RelayWait between what must not be lost.

    removed: nothing is left. retained: payments for the bookkeeping, or a customer whose dispute is open or whose
    invoice is unpaid; that one is untouched but for the marks of the withdrawal. RelayError `active_subscription`,
    permanent: nobody is erased yet.
    """
    known = Survey.of(action.notes)
    with calls(connection) as client:
        if action.notes.get("erased"):
            return redact(client, action, connection.clock())
        found = survey(client, connection, action.emails, known)
        if set(found.objects) - set(known.objects):
            raise RelayWait("customers_noted", AT_ONCE_S, found.notes())
        for customer_id in found.held:
            _stop_sending(client, customer_id, action)
        if ACTIVE_SUBSCRIPTION in found.held.values():
            # To delete its customer would end it at once: that is for the operator and the person to decide.
            raise RelayError(ACTIVE_SUBSCRIPTION, permanent=True)
        for customer_id in found.customers:
            if customer_id not in found.held:
                _erase_customer(client, customer_id, action)
        if listed_customers(client, action.emails) - set(found.held):
            raise RelayError("read_back_failed")
    if connection.redaction and found.objects and not found.held:
        wait_s = max((found.redactable_from_ms - connection.clock()) / 1000, AT_ONCE_S)
        raise RelayWait("redaction_not_yet", wait_s, {**found.notes(), "erased": True}, keeps_addresses=False)
    return _result(found)


def _result(found: Survey) -> RelayResult:
    if found.reason is not None:
        return RelayResult(Outcome.RETAINED, found.reason, found.until_ms)
    return RelayResult(Outcome.REMOVED if found.customers else Outcome.NOT_FOUND)


def _stop_sending(client: stripe.StripeClient, customer_id: str, action: RelayAction) -> None:
    customer = current(client, customer_id)
    if customer is not None and action.purposes:
        mark_all(client, [customer], consent_marks(action, "withdrawn"), action)


def _erase_customer(client: stripe.StripeClient, customer_id: str, action: RelayAction) -> None:
    """Blank first: Stripe still shows whoever may look there what a deleted customer was."""
    customer = current(client, customer_id)
    if customer is None:
        return
    _detach_payment_methods(client, customer_id, action)
    _delete_tax_ids(client, customer_id)
    _blank(client, customer, action)
    _delete_customer(client, customer_id)


def _detach_payment_methods(client: stripe.StripeClient, customer_id: str, action: RelayAction) -> None:
    listed = partial(client.v1.customers.payment_methods.list, customer_id)
    for method in list(every(listed, {}, *PAYMENT_METHODS)):
        key = action.idempotency_key(f"detach-{method.id}")
        client.v1.payment_methods.detach(method.id, {}, {"idempotency_key": key})
    if next(every(listed, {}, *PAYMENT_METHODS), None) is not None:
        raise RelayError("read_back_failed", new_epoch=True)


def _delete_tax_ids(client: stripe.StripeClient, customer_id: str) -> None:
    """A sole trader's number is a person's."""
    for tax_id in list(every(partial(client.v1.customers.tax_ids.list, customer_id), {}, "txi")):
        try:
            client.v1.customers.tax_ids.delete(customer_id, tax_id.id)
        except stripe.InvalidRequestError as error:
            if not is_missing(error):
                raise


def _blank(client: stripe.StripeClient, customer: stripe.Customer, action: RelayAction) -> None:
    """Empty every field that has something; the mark is what the event of the deletion will repeat."""
    if _is_blank(customer, action.reference):
        return
    metadata = part(customer, "metadata")
    names = metadata.to_dict() if metadata is not None else {}
    changes: dict[str, object] = {name: "" for name in BLANKED if part(customer, name)}
    changes["metadata"] = {**dict.fromkeys(names, ""), ERASURE_MARK: action.reference}
    key = action.idempotency_key(f"erase-{customer.id}")
    write(client, customer.id, changes, key, partial(_is_blank, reference=action.reference))


def _is_blank(customer: stripe.Customer, reference: str) -> bool:
    metadata = part(customer, "metadata")
    left = metadata.to_dict() if metadata is not None else {}
    return left == {ERASURE_MARK: reference} and not any(part(customer, name) for name in BLANKED)


def _delete_customer(client: stripe.StripeClient, customer_id: str) -> None:
    try:
        client.v1.customers.delete(customer_id)
    except stripe.InvalidRequestError as error:
        if not is_missing(error):
            raise
    if current(client, customer_id) is not None:
        raise RelayError("read_back_failed")
