"""The oracle: what must be true after any fault, read from the database file itself and told as a list of breaches.

It knows nothing of the service's own queries, so a bug in those cannot hide here.
"""

import functools
import hmac
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from ledger.keyring import load_keyring
from ledger.sqlite import sqlite
from tests.stack import Stack

SOURCE = "form:newsletter"
DECISIVE = {"consent.given": "given", "consent.withdrawn": "withdrawn"}


def query(path: Path, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """Read only: the test must not be the connection that checkpoints the WAL."""
    with closing(sqlite.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
        return connection.execute(statement, values).fetchall()


def change(path: Path, statement: str, values: Sequence[object] = ()) -> None:
    """Arrange something in a running service's database, as time or an accident would."""
    with closing(sqlite.connect(path, timeout=30, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute(statement, values)


def delivery_key(path: Path, source: str, message_id: str) -> str:
    """What the inbox keeps of a sender's id: HMAC-SHA256 under the pepper, so that no id can name a person."""
    text = b"id\x00" + f"{source}\x00{message_id}".encode()
    return hmac.digest(_pepper(path.parent / "keys"), text, "sha256").hex()


@functools.cache
def _pepper(keys_dir: Path) -> bytes:
    return load_keyring("web", keys_dir)["index_pepper"].value


def database_of(stack: Stack) -> Path:
    return stack.data_dir / "samtykke.db"


def count_new(path: Path) -> int:
    """Deliveries that nobody has recorded yet."""
    return int(query(path, "SELECT count(*) FROM inbox WHERE status = 'new'")[0][0])


def wait_until_recorded(stack: Stack, wait_s: float = 90.0) -> None:
    stack.wait_for(lambda: count_new(database_of(stack)) == 0, "for every delivery to be recorded", wait_s)


def wait_until_mailed(stack: Stack, wait_s: float = 90.0) -> None:
    statement = "SELECT count(*) FROM relay WHERE processor = 'mail' AND status = 'pending'"
    stack.wait_for(lambda: query(database_of(stack), statement) == [(0,)], "for every mail to be sent", wait_s)


def breaches(
    path: Path, acknowledged: Iterable[str], source: str = SOURCE, kinds: tuple[str, ...] = ("consent.requested",)
) -> list[str]:
    """P1 and P2: every acknowledged delivery is in the inbox once, recorded, with exactly these entries."""
    return [
        *_delivery_breaches(path, acknowledged, source, kinds),
        *_twin_breaches(path),
        *_head_breaches(path),
    ]


def _delivery_breaches(path: Path, acknowledged: Iterable[str], source: str, kinds: tuple[str, ...]) -> list[str]:
    rows: dict[str, list[tuple[int, str, str | None, bool]]] = {}
    statement = "SELECT delivery_key, id, status, reason, box IS NULL FROM inbox WHERE source = ?"
    for key, inbox_id, status, reason, wiped in query(path, statement, [source]):
        rows.setdefault(key, []).append((inbox_id, status, reason, bool(wiped)))
    effects: dict[int, list[str]] = {}
    for inbox_id, kind in query(
        path, "SELECT inbox_id, kind FROM ledger_entry WHERE inbox_id IS NOT NULL ORDER BY position"
    ):
        effects.setdefault(inbox_id, []).append(kind)
    found = []
    for key in acknowledged:
        held = rows.get(delivery_key(path, source, key), [])
        if not held:
            found.append(f"lost: {key}")
        for inbox_id, status, reason, wiped in held:
            if status != "recorded" or not wiped:
                found.append(f"not recorded but {status}, {reason}: {key}")
            elif tuple(effects.get(inbox_id, ())) != kinds:
                found.append(f"effect {effects.get(inbox_id)}: {key}")
    return found


def _twin_breaches(path: Path) -> list[str]:
    """One person of these tests signs up once, so two requests of one subject are one delivery recorded twice."""
    statement = (
        "SELECT hex(subject), count(*) FROM ledger_entry WHERE kind = 'consent.requested' "
        "GROUP BY subject HAVING count(*) > 1"
    )
    return [f"doubled: subject {subject} {count} times" for subject, count in query(path, statement)]


def _head_breaches(path: Path) -> list[str]:
    """P7's first half: positions 0 .. size-1 without a gap. Hashes are checked by `flask ledger verify`."""
    statement = (
        "SELECT (SELECT size FROM ledger_head), (SELECT count(*) FROM ledger_entry), "
        "(SELECT coalesce(max(position) + 1, 0) FROM ledger_entry), "
        "(SELECT coalesce(min(position), 0) FROM ledger_entry)"
    )
    (row,) = query(path, statement)
    size, count, end, start = row
    return [] if size == count == end and start == 0 else [f"gap: size {size}, {count} entries, {start}..{end}"]


def state_breaches(path: Path) -> list[str]:
    """P3: the state kept for each subject and purpose is what the entries say, by a model of our own.

    The decisive event with the greatest effective time; a withdrawal at the same time as a grant wins.
    """
    model: dict[tuple[str, str], tuple[str, bool]] = {}
    for subject, kind, leaf in query(path, "SELECT hex(subject), kind, leaf FROM ledger_entry ORDER BY position"):
        if kind not in DECISIVE:
            continue
        document = json.loads(leaf)
        event = (document["occurred_at"], DECISIVE[kind] == "withdrawn")
        model[subject, document["purpose"]] = max(event, model.get((subject, document["purpose"]), event))
    kept = {
        (subject, purpose): state
        for subject, purpose, state in query(path, "SELECT hex(subject), purpose, state FROM consent_state")
    }
    return [
        f"state {kept.get(key)}: {key[1]} of {key[0]}"
        for key, (_, withdrawn) in model.items()
        if kept.get(key) != ("withdrawn" if withdrawn else "given")
    ]


def relays_of(path: Path, message_ids: Sequence[str], source: str) -> list[dict[str, Any]]:
    """The relays that these deliveries caused, in their order."""
    names = ("id", "processor", "status", "outcome", "reason", "attempts", "sequence", "subject", "next_attempt_at_ms")
    columns = ", ".join(f"lower(hex(relay.{name}))" if name in ("id", "subject") else f"relay.{name}" for name in names)
    marks = ",".join("?" * len(message_ids))
    statement = (
        f"SELECT {columns} FROM relay JOIN ledger_entry ON ledger_entry.id = relay.cause "
        "JOIN inbox ON inbox.id = ledger_entry.inbox_id "
        f"WHERE inbox.source = ? AND inbox.delivery_key IN ({marks}) AND relay.processor != 'mail' "
        "ORDER BY relay.sequence"
    )
    keys = [delivery_key(path, source, message_id) for message_id in message_ids]
    return [dict(zip(names, row, strict=True)) for row in query(path, statement, [source, *keys])]


def all_confirmed(stack: Stack, message_ids: Sequence[str], source: str, count: int) -> Callable[[], bool]:
    """A condition to wait for: these deliveries have `count` relays and each is confirmed."""

    def look() -> bool:
        found = relays_of(database_of(stack), message_ids, source)
        return len(found) == count and all(one["status"] == "confirmed" for one in found)

    return look


def assert_ledger_verifies(stack: Stack) -> None:
    done = stack.cli("ledger", "audit")
    assert done.returncode == 0, done.stdout + done.stderr
