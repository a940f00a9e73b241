"""What still uses each version of a key: how many rows would be lost, or not found any more, without it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, LargeBinary, Select, func, literal_column, select

from ledger.tables import inbox, product_access, relay, subject, subject_address, suppression

# What a rotation does anew under the current version. Everything else ends by itself, or never.
REWORKED = frozenset({"data_keys", "relays", "notes", "persons", "boxes"})


def box_version(box: ColumnElement[Any]) -> ColumnElement[bytes]:
    """The first byte of a box: the version of its key (ledger.sealing)."""
    return func.substr(box, literal_column("1"), literal_column("1"), type_=LargeBinary)


def _boxes(box: ColumnElement[Any]) -> Select[Any, Any]:
    version = box_version(box)
    return select(version, func.count()).where(box.is_not(None)).group_by(version)


def _rows(version: ColumnElement[Any], what: ColumnElement[Any] | None = None) -> Select[Any, Any]:
    return select(version, func.count() if what is None else func.count(what.distinct())).group_by(version)


Uses = Mapping[int, Mapping[str, int]]
QUERIES: Mapping[str, Mapping[str, Select[Any, Any]]] = {
    "kek": {
        "data_keys": _boxes(subject.c.data_key),
        "relays": _boxes(relay.c.box),
        "notes": _boxes(relay.c.notes),
    },
    "inbox": {"boxes": _boxes(inbox.c.box)},
    "index_pepper": {
        "persons": _rows(subject_address.c.key_version, subject_address.c.subject),
        "deliveries": _rows(inbox.c.key_version),  # known by their marks for ever (ledger.recognition)
        # Without it a refund would not find what its payment gave, and no row says which payment it was.
        "grants": _rows(product_access.c.key_version).where(product_access.c.status == "granted"),
    },
    "suppression": {"suppressions": _rows(suppression.c.key_version)},
}


def uses_of(connection: Connection, key: str) -> Uses:
    """{1: {"data_keys": 12}}: version, what uses it, how many. Empty for keys whose versions no row names."""
    uses: dict[int, dict[str, int]] = {}
    for what, query in QUERIES.get(key, {}).items():
        for version, count in connection.execute(query):
            number = int.from_bytes(version, "big") if isinstance(version, bytes) else version
            uses.setdefault(number, {})[what] = count
    return uses
