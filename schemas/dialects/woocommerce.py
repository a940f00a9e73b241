"""WooCommerce: a customer or an order, as its REST API shows it, and the headers that say which and why."""

import html
from collections.abc import Iterator, Mapping

from schemas.dialects.fields import Fields, flatten, text_of, texts_of

ID, TOPIC = "X-WC-Webhook-ID", "X-WC-Webhook-Topic"
DELIVERY = "delivery"


def read_woocommerce(document: object) -> Fields:
    """The resource's fields (`billing.email`), its meta data by key (`meta_data.newsletter`), and `delivery`, which
    tells one delivery from another.

    X-WC-Webhook-Delivery-ID cannot: it is made of the webhook and the second, and two customers of one second have
    the same. Texts are HTML-escaped on their way out, as in all of WordPress' REST API; here they are read as typed.
    """
    fields = flatten(document)
    if isinstance(document, Mapping):
        for name, texts in _meta(document.get("meta_data")):
            fields[name] = fields.get(name, ()) + texts
    found = {name: tuple(map(html.unescape, texts)) for name, texts in fields.items()}
    found[DELIVERY] = (":".join(text_of(found, name) for name in (ID, "id", "date_modified_gmt")),)
    return found


def _meta(pairs: object) -> Iterator[tuple[str, tuple[str, ...]]]:
    """WordPress allows a key more than once. What another plugin keeps there may have any shape."""
    for pair in pairs if isinstance(pairs, list) else ():
        if isinstance(pair, Mapping) and isinstance(pair.get("key"), str):
            texts = texts_of(pair.get("value"))
            if texts is not None:
                yield f"meta_data.{pair['key']}", texts
