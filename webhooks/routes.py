"""Which routes verify their caller, and which are public on purpose; a test walks the URL map for a third kind."""

from collections.abc import Callable
from typing import TypeVar

View = TypeVar("View", bound=Callable[..., object])

# Public on purpose. A link page verifies its token instead of its caller; it must work without a login.
# What the ledger shows without a key says nothing about anybody (docs/reference/http.md#ledger).
PUBLIC_ENDPOINTS = frozenset(
    {"health.live", "health.ready", "metrics.metrics", "openapi.document", "static"}
    | {"privacy.notice", "privacy.notice_in", "rights.ask", "rights.asked", "receipt.ask", "receipt.read"}
    | {"ledger.checkpoint", "ledger.tile", "ledger.proofs"}
)


def verified(view: View) -> View:
    """Mark a view that verifies its caller, by signature, secret or token, before it believes anything."""
    view.is_verified = True  # type: ignore[attr-defined]
    return view
