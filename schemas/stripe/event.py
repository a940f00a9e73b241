"""From a Stripe event to a message: which types mean something here, and what is read of each.

Snapshot events are projected. A thin event (https://docs.stripe.com/event-destinations#thin-events) only says that
there is one: the intake fetches it.
"""

import re
from collections.abc import Callable, Mapping

from schemas.message import Message
from schemas.policy import Policy
from schemas.stripe.checkout import IGNORED, project_checkout, project_expired, project_invoice
from schemas.stripe.report import (
    STATED,
    project_customer,
    project_payment_link,
    project_refund,
    project_report,
    project_subscription,
)
from schemas.stripe.shape import Event, counts_in, mapping, read_event_id, read_event_type

PROJECTIONS: Mapping[str, Callable[[Event, Policy], Message]] = {
    "checkout.session.completed": project_checkout,
    "checkout.session.async_payment_succeeded": project_checkout,
    "checkout.session.expired": project_expired,
    "invoice.paid": project_invoice,
    "customer.updated": project_customer,
    "payment_link.updated": project_payment_link,
    "charge.refunded": project_refund,
    **dict.fromkeys(STATED, project_report),
    "customer.subscription.deleted": project_subscription,
}
# Of these Stripe's API can be asked: v2 has a list of its own, and `privacy` is a preview that most keys do not know.
ASKED_TYPES = tuple(kind for kind in PROJECTIONS if not kind.startswith(("v2.", "privacy.")))
THIN_PREFIX = "v1."  # of the thin event that stands for a snapshot event: v1.checkout.session.completed

# The release that we have read the descriptions of: two versions of one release are compatible
# (https://docs.stripe.com/api/versioning). A test holds it against the installed SDK.
RELEASE = "endive"
_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:\.(?P<release>[a-z]{1,30}))?")


def project_event(document: object, policy: Policy, mode: str) -> tuple[str, Message]:
    """(event id, message). Events of other types, or of the other mode, are IGNORED: 200, and nothing recorded.

    Raises NotUnderstood. What is ignored is not looked into.
    """
    event = mapping(document)
    event_id, kind = read_event_id(event), read_event_type(event)
    project = PROJECTIONS.get(kind)
    if project is None or not counts_in(event, mode):
        return event_id, IGNORED
    return event_id, project(event, policy)


def is_hint(document: object) -> bool:
    """Whether it is a thin event about something that only the intake can fetch."""
    kind = document.get("type") if isinstance(document, Mapping) else None
    return isinstance(kind, str) and kind.startswith(THIN_PREFIX) and kind.removeprefix(THIN_PREFIX) in PROJECTIONS


def foreign_version(document: object) -> str | None:
    """The API version of an event that is of another release than ours; such an event is read all the same."""
    version = document.get("api_version") if isinstance(document, Mapping) else None
    if version is None:
        return None
    found = _VERSION.fullmatch(version) if isinstance(version, str) else None
    if found is None:
        return "unreadable"
    return None if found["release"] == RELEASE else found[0]
