"""The Stripe relay: what each action does there, and the names that the rest of the workers need."""

from collections.abc import Callable, Mapping

from workers.relays.action import RelayAction, RelayResult
from workers.relays.stripe.connection import RESPONSE_SIZE_MAX_BYTES as RESPONSE_SIZE_MAX_BYTES
from workers.relays.stripe.connection import StripeConnection as StripeConnection
from workers.relays.stripe.connection import open_client as open_client
from workers.relays.stripe.connection import relay_error as relay_error
from workers.relays.stripe.erasure import erase as erase
from workers.relays.stripe.export import export as export
from workers.relays.stripe.marks import give, restrict, unrestrict
from workers.relays.stripe.marks import observe as observe
from workers.relays.stripe.marks import withdraw as withdraw
from workers.relays.stripe.rectification import rectify

# Access to a product is for WordPress: Stripe only knows that it was paid.
ACTIONS: Mapping[str, Callable[[RelayAction, StripeConnection], RelayResult]] = {
    "give": give,
    "withdraw": withdraw,
    "rectify": rectify,
    "restrict": restrict,
    "unrestrict": unrestrict,
    "erase": erase,
}
