"""The register of relays: processor, then action. A new recipient is one package and one line here.

A deed is `(RelayAction, connection) -> RelayResult`. Two more only read: `observe`, purpose to `Presence`, for the
comparison with the ledger; `export`, a JSON object of all that the processor holds about the person.
"""

from collections.abc import Callable, Mapping
from typing import Any

from workers.relays import google, stripe, wordpress
from workers.relays.action import Presence, RelayAction, RelayResult

RELAYS: Mapping[str, Mapping[str, Callable[..., RelayResult]]] = {
    "wordpress": {"withdraw": wordpress.withdraw},
    "stripe": {"withdraw": stripe.withdraw},
    "google": {"withdraw": google.withdraw},
}
OBSERVERS: Mapping[str, Callable[[RelayAction, Any], Mapping[str, Presence]]] = {}
EXPORTERS: Mapping[str, Callable[[RelayAction, Any], Mapping[str, Any]]] = {}
