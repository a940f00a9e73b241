"""Reports: what has happened at Stripe that somebody must know of or do something about. About nobody by name."""

from collections.abc import Mapping

from schemas.message import Message, MessageType
from schemas.policy import Policy
from schemas.stripe import access
from schemas.stripe.checkout import IGNORED
from schemas.stripe.echo import REFERENCE_MARK, is_echo, mark_of
from schemas.stripe.shape import SOURCE, Event, changes_of, created_ms, part, read_event_type

# Type of the event: what the ledger calls it. The first group may postpone an erasure (an open dispute forbids it).
STATED: Mapping[str, str] = {
    "charge.dispute.created": "dispute_opened",
    "charge.dispute.closed": "dispute_closed",
    "radar.early_fraud_warning.created": "fraud_warning",
    "review.opened": "review_opened",
    "review.closed": "review_closed",
    "customer.deleted": "customer_deleted",
    "customer.subscription.deleted": "subscription_ended",
    "identity.verification_session.redacted": "identity_redacted",
    # A preview of Stripe's: its erasure of a person's objects, in steps of which some wait for somebody.
    "privacy.redaction_job.ready": "redaction_ready",
    "privacy.redaction_job.validation_error": "redaction_invalid",
    "privacy.redaction_job.succeeded": "redaction_succeeded",
    "privacy.redaction_job.canceled": "redaction_canceled",
    # Thin only. That event is lost for ever (https://docs.stripe.com/webhooks/handle-irrecoverable-events).
    "v2.core.health.event_generation_failure.resolved": "event_generation_failed",
}
# What the person sees who is asked: whoever changes it may change what a yes means.
ASKING = frozenset({"consent_collection", "custom_fields", "custom_text"})


def project_report(event: Event, _policy: Policy) -> Message:
    return IGNORED if is_echo(event) else _reported(event, STATED[read_event_type(event)])


def project_customer(event: Event, policy: Policy) -> Message:
    """A customer was changed, and not by us: an address that was put right, or a mark of ours that was touched."""
    if is_echo(event):
        return IGNORED
    changed = changes_of(event)
    if "email" in changed:
        return _reported(event, "customer_email_changed")
    marks = {REFERENCE_MARK, *map(mark_of, policy.purposes)}
    return _reported(event, "customer_mark_changed") if marks & {*part(changed.get("metadata"))} else IGNORED


def project_refund(event: Event, policy: Policy) -> Message:
    return access.project_refund(event, policy) or IGNORED


def project_subscription(event: Event, policy: Policy) -> Message:
    return access.project_cancellation(event, policy) or project_report(event, policy)


def project_payment_link(event: Event, _policy: Policy) -> Message:
    return _reported(event, "payment_link_consent_changed") if ASKING & {*changes_of(event)} else IGNORED


def _reported(event: Event, what: str) -> Message:
    return Message(
        type=MessageType.REPORTED, source=SOURCE, method="stripe", sent_at_ms=created_ms(event), reported=what
    )
