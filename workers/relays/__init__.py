"""The register of relays: processor, then action. A new recipient is one package and one line here.

A deed is `(RelayAction, connection) -> RelayResult`. Two more only read: `observe`, purpose to `Presence`, for the
comparison with the ledger; `export`, a JSON object of all that the processor holds about the person.
"""

from collections.abc import Callable, Mapping
from typing import Any

from workers.relays import google, stripe, wordpress
from workers.relays.action import Presence, RelayAction, RelayResult

RELAYS: Mapping[str, Mapping[str, Callable[..., RelayResult]]] = {
    "wordpress": wordpress.ACTIONS,
    "stripe": stripe.ACTIONS,
    "google": {
        "give": google.give,
        "withdraw": google.withdraw,
        "rectify": google.rectify,
        "restrict": google.restrict,
        "unrestrict": google.unrestrict,
        "erase": google.erase,
    },
}
OBSERVERS: Mapping[str, Callable[[RelayAction, Any], Mapping[str, Presence]]] = {
    "google": google.observe,
    "stripe": stripe.observe,
    "wordpress": wordpress.observe,
}
EXPORTERS: Mapping[str, Callable[[RelayAction, Any], Mapping[str, Any]]] = {
    "google": google.export,
    "stripe": stripe.export,
    "wordpress": wordpress.export,
}
