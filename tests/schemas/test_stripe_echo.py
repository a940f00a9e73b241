"""Which events of Stripe are about what our own relay has done there."""

from pathlib import Path
from typing import Any

import pytest

from schemas.policy import load_policy
from schemas.stripe.echo import ERASURE_MARK, is_echo
from schemas.stripe.event import project_event

REFERENCE = "5a3c" * 8


def event(kind: str, subject: dict[str, Any], key: str | None = None) -> dict[str, Any]:
    return {"type": kind, "data": {"object": subject}, "request": {"id": "req_1", "idempotency_key": key}}


@pytest.mark.parametrize(
    ("kind", "changed", "step"),
    [
        ("customer.updated", "cus_1", "give"),
        ("customer.updated", "cus_1", "erase"),
        ("customer.subscription.updated", "sub_1", "pause"),
        ("payment_method.detached", "pm_1", "detach"),
        ("payment_method.detached", "card_1", "detach"),
    ],
)
def test_a_change_is_known_by_the_key_that_names_what_was_changed(kind: str, changed: str, step: str) -> None:
    key = f"relay:{REFERENCE}:{step}-{changed}:1"
    assert is_echo(event(kind, {"id": changed}, key))
    assert not is_echo(event(kind, {"id": f"{changed}2"}, key))
    assert not is_echo(event(kind, {"id": changed}, key.replace(changed, f"in_{changed}")))


@pytest.mark.parametrize(
    ("kind", "metadata", "expected"),
    [
        ("customer.deleted", {ERASURE_MARK: REFERENCE}, True),
        ("customer.updated", {ERASURE_MARK: REFERENCE}, False),  # the mark stays; a later change is somebody else's
        ("customer.deleted", {ERASURE_MARK: ""}, False),
        ("customer.deleted", {ERASURE_MARK: f"{REFERENCE}\n"}, False),
        ("customer.deleted", {ERASURE_MARK: 1}, False),
        ("customer.deleted", {"consent_reference": REFERENCE}, False),
        ("customer.deleted", {}, False),
        ("customer.deleted", None, False),
    ],
)
def test_a_deletion_has_no_key_and_is_known_by_the_mark(kind: str, metadata: object, expected: bool) -> None:
    assert is_echo(event(kind, {"id": "cus_1", "metadata": metadata})) is expected


@pytest.mark.parametrize(("metadata", "expected"), [({ERASURE_MARK: REFERENCE}, None), ({}, "customer_deleted")])
def test_only_a_deletion_by_somebody_else_is_reported(metadata: dict[str, str], expected: str | None) -> None:
    policy = load_policy(Path("policy.toml"))
    about = {"id": "evt_1", "created": 1_790_000_000, "livemode": True}
    document = event("customer.deleted", {"id": "cus_1", "object": "customer", "metadata": metadata}) | about
    assert project_event(document, policy, "any")[1].reported == expected
