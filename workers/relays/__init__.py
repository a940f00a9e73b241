"""The register of relays: processor, then action. A new recipient is one module and one line here."""

from collections.abc import Callable, Mapping

from workers.relays import google, stripe, wordpress
from workers.relays.action import RelayResult

RELAYS: Mapping[str, Mapping[str, Callable[..., RelayResult]]] = {
    "wordpress": {"withdraw": wordpress.withdraw},
    "stripe": {"withdraw": stripe.withdraw},
    "google": {"withdraw": google.withdraw},
}
