"""The floor: the least that any door on this server must do. Checks the signature over the raw body, commits a row.

Nothing of ours is used: no parsing, no minimising, no sealing, no doorbell, no metrics; Flask, hmac and the driver of
the database, by hand.
"""

import base64
import hmac
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from flask import Flask, Response, abort, request

from ledger.sqlite import sqlite
from tests.bench.deliveries import FORM, PATHS, STRIPE
from tests.world import SIGNED_SECRET, STRIPE_SECRET

TOLERANCE_S = 300
# As ledger.database sets them; `checkpoints` as there: the door leaves the WAL to the recorder.
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "foreign_keys=ON")
TABLE = "CREATE TABLE delivery (id INTEGER PRIMARY KEY, sender_id TEXT NOT NULL UNIQUE, body BLOB NOT NULL)"
INSERT = "INSERT INTO delivery (sender_id, body) VALUES (?, ?)"
DATABASE = "floor.db"
# PostgreSQL's: what libpq connects to. Without it the floor is on SQLite, in DATA_DIR.
CONNECTION_SETTING = "FLOOR_POSTGRESQL"
POSTGRESQL_TABLE = (
    "CREATE TABLE delivery (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
    "sender_id text NOT NULL UNIQUE, body bytea NOT NULL)"
)
POSTGRESQL_INSERT = "INSERT INTO delivery (sender_id, body) VALUES (%s, %s)"

Store = Callable[[str, bytes], None]


def open_floor(path: Path, *, checkpoints: bool) -> Any:
    """A connection in autocommit mode with our PRAGMAs, and the table in it."""
    connection = sqlite.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in (*PRAGMAS, f"wal_autocheckpoint={1000 if checkpoints else 0}"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(TABLE)
    return connection


def create_app() -> Flask:
    """What gunicorn serves, under our gunicorn.conf.py."""
    conninfo = os.environ.get(CONNECTION_SETTING)
    return app_on(_on_postgresql(conninfo) if conninfo else _on_sqlite(Path(os.environ["DATA_DIR"]) / DATABASE))


def app_on(store: Store) -> Flask:
    """`store` returns once the row is committed."""
    app = Flask("floor")
    form_secret = base64.b64decode(SIGNED_SECRET.removeprefix("whsec_"))

    @app.post(PATHS[FORM])
    def receive_form() -> Response:
        raw, headers = request.get_data(cache=False), request.headers
        message_id, sent_at = headers["webhook-id"], headers["webhook-timestamp"]
        digest = hmac.digest(form_secret, f"{message_id}.{sent_at}.".encode() + raw, "sha256")
        _check("v1," + base64.b64encode(digest).decode(), headers["webhook-signature"], sent_at)
        store(message_id, raw)
        return _accepted()

    @app.post(PATHS[STRIPE])
    def receive_event() -> Response:
        raw = request.get_data(cache=False)
        sent_at, signature = (part.partition("=")[2] for part in request.headers["Stripe-Signature"].split(","))
        digest = hmac.digest(STRIPE_SECRET.encode(), f"{sent_at}.".encode() + raw, "sha256")
        _check(digest.hex(), signature, sent_at)
        store(signature, raw)
        return _accepted()

    @app.get("/health/ready")
    def ready() -> str:
        return "ready"

    return app


def _on_sqlite(path: Path) -> Store:
    """One connection, and one thread in it at a time: with several they would wait in SQLite's busy handler."""
    connection = open_floor(path, checkpoints=False)
    turn = threading.Lock()

    def store(sender_id: str, body: bytes) -> None:
        with turn:
            connection.execute(INSERT, (sender_id, body))  # autocommit: on disk when this returns

    return store


def _on_postgresql(conninfo: str) -> Store:
    """A connection for each thread, which psycopg prepares the statement on; cheaper than a pool of them."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(POSTGRESQL_TABLE)
    own = threading.local()

    def store(sender_id: str, body: bytes) -> None:
        if not hasattr(own, "connection"):
            own.connection = psycopg.connect(conninfo, autocommit=True)
        own.connection.execute(POSTGRESQL_INSERT, (sender_id, body))

    return store


def _accepted() -> Response:
    return Response('{"status":"accepted"}', content_type="application/json")


def _check(expected: str, given: str, sent_at: str) -> None:
    if not hmac.compare_digest(expected, given) or abs(int(sent_at) - time.time()) > TOLERANCE_S:
        abort(401)
