"""Customers and orders, by WooCommerce's REST API v3 (https://woocommerce.github.io/woocommerce-rest-api-docs/).

A customer is an account of the site and goes with it; what is here on top are the orders, which are books.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from workers.relays.action import Outcome, RelayAction, RelayError, RelayResult
from workers.relays.wordpress.rest import Rest, object_in
from workers.relays.wordpress.tally import Tally
from workers.relays.wordpress.users import plain

CUSTOMERS, ORDERS = "wc/v3/customers", "wc/v3/orders"
KEPT, EXPIRED = "bookkeeping", "orders_past_bookkeeping"
# By these we know an order of ours again: which relay made it, and for which product of policy.toml.
PRODUCT_META = "_samtykke_product"
GRANTING = frozenset({"completed", "processing"})
CANCELLED = "cancelled"


def is_there(rest: Rest) -> bool:
    return rest.has(ORDERS, per_page=1)


def customers(rest: Rest, emails: Sequence[str]) -> list[dict[str, Any]]:
    wanted = {email.casefold() for email in emails}
    found = (each for email in emails for each in rest.pages(CUSTOMERS, email=email, role="all"))
    return [each for each in found if plain(each.get("email")).casefold() in wanted]


def orders(rest: Rest, emails: Sequence[str]) -> Iterator[dict[str, Any]]:
    """By the address that they were billed to: guests have no other. The search looks into other fields too."""
    wanted, seen = {email.casefold() for email in emails}, set()
    for email in emails:
        for order in rest.pages(ORDERS, search=email, status="any"):
            billing = order.get("billing")
            if not isinstance(billing, dict):
                raise RelayError("unexpected_answer")
            if plain(billing.get("email")).casefold() in wanted and order["id"] not in seen:
                seen.add(order["id"])
                yield order


def look_at_orders(rest: Rest, emails: Sequence[str], years: int, now_ms: int, tally: Tally) -> None:
    """Orders are kept as books; those that are too old for it are left to a person, who may delete them."""
    for order in orders(rest, emails):
        until_ms = kept_until_ms(order, years)
        if until_ms > now_ms:
            tally.keep(KEPT, until_ms)
        else:
            tally.left.append(EXPIRED)


def kept_until_ms(order: Mapping[str, Any], years: int) -> int:
    """So many years after the end of the year of the order (bokføringsloven § 13, lovdata.no/lov/2004-11-19-73)."""
    try:
        created = datetime.fromisoformat(str(order.get("date_created_gmt"))).replace(tzinfo=UTC)
    except ValueError:
        raise RelayError("unexpected_answer") from None
    return int(datetime(created.year + 1 + years, 1, 1, tzinfo=UTC).timestamp() * 1000)


def rectify(rest: Rest, action: RelayAction) -> RelayResult:
    """A customer's own address and the one that new orders are billed to. Orders that were made stay as they were."""
    found = customers(rest, action.emails)
    members = {name: value for name, value in action.profile.items() if name in ("first_name", "last_name", "email")}
    billing = {name: value for name, value in action.profile.items() if name in (*members, "company")}
    for customer in found:
        route = f"{CUSTOMERS}/{customer['id']}"
        if not _is_so(customer, members, billing):
            rest.replace(route, {**members, "billing": billing})
            if not _is_so(object_in(rest.read(route)), members, billing):
                raise RelayError("read_back_failed")
    return RelayResult(Outcome.DONE if found else Outcome.NOT_FOUND)


def _is_so(customer: Mapping[str, Any], members: Mapping[str, str], billing: Mapping[str, str]) -> bool:
    billed = customer.get("billing")
    if not isinstance(billed, dict):
        raise RelayError("unexpected_answer")
    said = [plain(customer.get(name)) == value for name, value in members.items()]
    return all([*said, *(plain(billed.get(name)) == value for name, value in billing.items())])


def grant(rest: Rest, action: RelayAction, product_id: int) -> RelayResult:
    """A completed order, which is what makes WooCommerce deliver. It is not idempotent, so ours is looked for first."""
    if not any(order.get("status") in GRANTING for order in _ours(rest, action)):
        transaction = f"samtykke-{action.reference}"
        made = rest.write(
            ORDERS,
            customer_id=next((each["id"] for each in customers(rest, action.emails)), 0),
            billing={"email": action.emails[-1]},  # the newest
            set_paid=True,
            status="completed",
            transaction_id=transaction,
            line_items=[{"product_id": product_id, "quantity": 1}],
            meta_data=[{"key": PRODUCT_META, "value": _product_key(action)}],
        )
        told = object_in(rest.read(f"{ORDERS}/{object_in(made)['id']}"))
        if told.get("status") not in GRANTING or told.get("transaction_id") != transaction:
            raise RelayError("read_back_failed")
    return RelayResult(Outcome.DONE)


def revoke(rest: Rest, action: RelayAction) -> RelayResult:
    """Our own orders of the product, and nobody's else: an order that the person placed is the shop's to cancel."""
    found = list(_ours(rest, action))
    for order in found:
        route = f"{ORDERS}/{order['id']}"
        if order.get("status") in GRANTING:
            rest.replace(route, {"status": CANCELLED})
            if object_in(rest.read(route)).get("status") in GRANTING:
                raise RelayError("read_back_failed")
    return RelayResult(Outcome.DONE if found else Outcome.NOT_FOUND)


def _ours(rest: Rest, action: RelayAction) -> Iterator[dict[str, Any]]:
    key = _product_key(action)
    for order in orders(rest, action.emails):
        metadata = order.get("meta_data")
        listed = metadata if isinstance(metadata, list) else []
        if any(each.get("key") == PRODUCT_META and each.get("value") == key for each in listed):
            yield order


def _product_key(action: RelayAction) -> str:
    assert action.product is not None
    return action.product.key
