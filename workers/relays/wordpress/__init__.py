"""WordPress: what a relay may ask of a site, by its companion plugin, by its REST API, or by both.

The plugin reaches the newsletter plugins and every eraser; an application password reaches accounts, comments, Gravity
Forms and WooCommerce. What neither reaches is `not_covered`, with a word for why: a person must do it.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from workers.relays.action import Outcome, Presence, RelayAction, RelayError, RelayResult
from workers.relays.wordpress import comments, gravity_forms, pages, plugin, users, woocommerce
from workers.relays.wordpress.answers import NoRouteError
from workers.relays.wordpress.connection import RESPONSE_SIZE_MAX_BYTES as RESPONSE_SIZE_MAX_BYTES
from workers.relays.wordpress.connection import WordPressConnection as WordPressConnection
from workers.relays.wordpress.connection import WpEngineConnection as WpEngineConnection
from workers.relays.wordpress.erasure import NO_PLUGIN, purge_after
from workers.relays.wordpress.erasure import erase as erase
from workers.relays.wordpress.rest import Rest

WITHDRAW_ROUTE = "samtykke/v1/withdraw"
NO_WOOCOMMERCE, NO_ACCOUNT = "no_woocommerce", "no_account"

Deed = Callable[[RelayAction, WordPressConnection], RelayResult]


def withdraw(action: RelayAction, connection: WordPressConnection) -> RelayResult:
    """Withdraw the purposes for every address. Raises RelayError."""
    return _only_by_plugin(plugin.withdraw, action, connection)


def give(action: RelayAction, connection: WordPressConnection) -> RelayResult:
    """Subscribe a person whose consent is confirmed. Raises RelayError."""
    return _only_by_plugin(plugin.give, action, connection)


def restrict(action: RelayAction, connection: WordPressConnection) -> RelayResult:
    return _only_by_plugin(plugin.restrict, action, connection)


def unrestrict(action: RelayAction, connection: WordPressConnection) -> RelayResult:
    return _only_by_plugin(plugin.unrestrict, action, connection)


def rectify(action: RelayAction, connection: WordPressConnection) -> RelayResult:
    """Accounts, customers and entries of forms get what is right now. Raises RelayError."""
    if not action.emails:
        return RelayResult(Outcome.NOT_FOUND)
    told = _by_plugin(plugin.rectify, action, connection)
    results = [] if told is None else [told]
    if connection.has_rest:
        rest = Rest(connection)
        right = action.profile.get("email")
        # An account whose address has been changed by an earlier attempt, or by the plugin, is found by the new one.
        everywhere = replace(action, emails=tuple(dict.fromkeys([*action.emails, *([right] if right else [])])))
        if gravity_forms.is_there(rest):
            results.append(gravity_forms.rectify(rest, everywhere))
        results.append(users.rectify(rest, everywhere))
        if woocommerce.is_there(rest):
            results.append(woocommerce.rectify(rest, everywhere))
    if not results:
        return RelayResult(Outcome.NOT_COVERED, NO_PLUGIN)
    order = (Outcome.NOT_COVERED, Outcome.DONE, Outcome.NOT_FOUND)
    return purge_after(min(results, key=lambda result: order.index(result.outcome)), connection)


def grant_access(action: RelayAction, connection: WordPressConnection) -> RelayResult:
    """Somebody has paid, so nobody to give it to is not done but a person's task. Raises RelayError."""
    product = _product(action)
    if product.role in users.STAFF_ROLES:
        raise RelayError("role_not_allowed", permanent=True)
    result = _by_plugin(plugin.grant_access, action, connection)
    if connection.has_rest and action.emails and (result is None or result.outcome is not Outcome.DONE):
        rest = Rest(connection)
        if product.role is not None:
            result = users.grant_role(rest, action, product.role)
        elif not woocommerce.is_there(rest):
            result = RelayResult(Outcome.NOT_COVERED, NO_WOOCOMMERCE)
        else:
            result = woocommerce.grant(rest, action, product.woocommerce_product or 0)
    if result is None:
        return RelayResult(Outcome.NOT_COVERED, NO_PLUGIN)
    return RelayResult(Outcome.NOT_COVERED, NO_ACCOUNT) if result.outcome is Outcome.NOT_FOUND else result


def revoke_access(action: RelayAction, connection: WordPressConnection) -> RelayResult:
    """Take away what was granted, by whichever way it came. Raises RelayError."""
    product = _product(action)
    told = _by_plugin(plugin.revoke_access, action, connection)
    results = [] if told is None else [told]
    if connection.has_rest and action.emails:
        rest = Rest(connection)
        if product.role is not None:
            results.append(users.revoke_role(rest, action, product.role))
        elif woocommerce.is_there(rest):
            results.append(woocommerce.revoke(rest, action))
    if not results:
        return RelayResult(Outcome.NOT_COVERED, NO_PLUGIN)
    order = (Outcome.DONE, Outcome.NOT_COVERED, Outcome.NOT_FOUND)
    return min(results, key=lambda result: order.index(result.outcome))


def observe(action: RelayAction, connection: WordPressConnection) -> Mapping[str, Presence]:
    """Purpose to what the site says of it; it only reads. Raises RelayError."""
    unknown = dict.fromkeys(action.purposes, Presence.UNKNOWN)
    if connection.secret is None or not action.emails:
        return unknown
    try:
        return plugin.observe(action, connection)
    except NoRouteError:
        return unknown


def export(action: RelayAction, connection: WordPressConnection) -> Mapping[str, Any]:
    """All that the site holds: by exporter, and by store of the REST API. Raises RelayError."""
    found: dict[str, Any] = {}
    if connection.secret is not None:
        with suppress(NoRouteError):
            found["exporters"] = pages.export(action, connection)
    if connection.has_rest:
        rest = Rest(connection)
        found["users"] = [_shown(user) for user in users.find(rest, action.emails)]
        found["comments"] = list(comments.find(rest, action.emails))
        if gravity_forms.is_there(rest):
            found["gravity_forms"] = list(gravity_forms.find(rest, action.emails))
        if woocommerce.is_there(rest):
            found["customers"] = woocommerce.customers(rest, action.emails)
            found["orders"] = list(woocommerce.orders(rest, action.emails))
    if not found:
        raise RelayError(NO_PLUGIN, permanent=True)
    return found


def _by_plugin(deed: Deed, action: RelayAction, connection: WordPressConnection) -> RelayResult | None:
    """None without the plugin."""
    if connection.secret is None:
        return None
    if not action.emails:
        return RelayResult(Outcome.NOT_FOUND)
    try:
        return deed(action, connection)
    except NoRouteError:
        return None


def _only_by_plugin(deed: Deed, action: RelayAction, connection: WordPressConnection) -> RelayResult:
    return _by_plugin(deed, action, connection) or RelayResult(Outcome.NOT_COVERED, NO_PLUGIN)


def _product(action: RelayAction) -> Any:
    if action.product is None:
        raise RelayError("product_unknown", permanent=True)
    return action.product


def _shown(user: Mapping[str, Any]) -> dict[str, Any]:
    """Without what WordPress adds for its own pages."""
    return {name: value for name, value in user.items() if name not in ("_links", "capabilities", "extra_capabilities")}


ACTIONS: Mapping[str, Deed] = {
    "give": give,
    "withdraw": withdraw,
    "rectify": rectify,
    "restrict": restrict,
    "unrestrict": unrestrict,
    "erase": erase,
    "grant_access": grant_access,
    "revoke_access": revoke_access,
}
