"""From a parsed body to a message, whatever the source; used at the door and again when a parked body is replayed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.dialects import DIALECTS
from schemas.dialects.form import entry_id, understand_form
from schemas.message import Message
from schemas.minimise import scrub
from schemas.policy import Policy
from schemas.refusal import NotUnderstood
from schemas.stripe.event import project_event
from schemas.stripe.shape import SOURCE as STRIPE
from schemas.stripe.shape import read_event_id

FORM_PREFIX = "form:"


@dataclass(frozen=True, slots=True)
class Understood:
    """`sender_id`: the sender's own id of this delivery, where it has one."""

    message: Message
    sender_id: str | None


def understand(policy: Policy, source: str, document: object, signed_at_ms: int | None, mode: str) -> Understood:
    """Raises NotUnderstood, and the delivery is parked. `mode`: which Stripe events count."""
    if source == STRIPE:
        event_id, message = project_event(document, policy, mode)
        return Understood(message, event_id)
    form = policy.forms.get(source.removeprefix(FORM_PREFIX))
    if form is None:
        raise NotUnderstood("form_unknown")
    fields = DIALECTS[form.dialect].read(document)
    return Understood(understand_form(fields, form, signed_at_ms, policy.profile), entry_id(fields, form))


def read_sender_id(policy: Policy, source: str, document: object) -> str | None:
    """The sender's own id, as far as it can be read from a body that was not understood."""
    form = policy.forms.get(source.removeprefix(FORM_PREFIX))
    try:
        if source == STRIPE:
            return read_event_id(document)
        return None if form is None else entry_id(DIALECTS[form.dialect].read(document), form)
    except NotUnderstood:
        return None


def comparable_parked(document: object) -> bytes:
    """The bytes that say whether two bodies are the same attempt: Stripe counts its endpoints anew each time."""
    if isinstance(document, Mapping):
        document = {name: value for name, value in document.items() if name != "pending_webhooks"}
    return format_parked(document, None)


def format_parked(document: object, signed_at_ms: int | None) -> bytes:
    """A body that was not understood, scrubbed by the detectors; what a parked delivery seals."""
    scrubbed, _ = scrub(document)
    return json.dumps({"document": scrubbed, "signed_at_ms": signed_at_ms}, sort_keys=True, ensure_ascii=False).encode()


def parse_parked(data: bytes) -> tuple[object, int | None]:
    """The inverse of format_parked: (document, signed_at_ms). Raises NotUnderstood if it holds something else."""
    try:
        document: Any = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, Mapping) or set(document) != {"document", "signed_at_ms"}:
        raise NotUnderstood("not_a_parked_body")
    return document["document"], document["signed_at_ms"]
