"""Reads the captured requests of tests/fixtures/forms, and what the inbox holds after they were posted."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from werkzeug.test import TestResponse

from ledger.inbox import open_box
from ledger.tables import inbox
from schemas.message import Message, parse_message
from tests.world import FORM_SECRET, World

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "forms"
# What the connection and the address of the listener decide; everything else is posted as it was captured.
OF_THE_LISTENER = ("host", "connection", "content-length", "x-gdpr-token")


@dataclass(frozen=True, slots=True)
class Capture:
    """One request: its headers as sent, and the raw body."""

    method: str
    headers: Mapping[str, str]
    body: bytes


def read_capture(name: str) -> Capture:
    head, _, body = (FOLDER / name).read_bytes().partition(b"\n\n")
    first, *lines = head.decode("ascii").split("\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert len(body) == int(headers.get("Content-Length", len(body))), "the fixture was changed on its way here"
    return Capture(first.split(" ")[0], headers, body)


def post(world: World, form: str, body: bytes, content_type: str = "application/json", **headers: Any) -> TestResponse:
    """To a form of a plugin that cannot sign, with our secret in the header."""
    sent = {"X-Gdpr-Token": FORM_SECRET, **headers}
    return world.client.post(f"/webhooks/forms/{form}", data=body, content_type=content_type, headers=sent)


def post_capture(world: World, form: str, capture: Capture) -> TestResponse:
    """As captured; only the path and the secret are ours."""
    headers = {name: value for name, value in capture.headers.items() if name.lower() not in OF_THE_LISTENER}
    headers["X-Gdpr-Token"] = FORM_SECRET
    return world.client.open(f"/webhooks/forms/{form}", method=capture.method, data=capture.body, headers=headers)


def messages(world: World) -> list[Message]:
    """What the unrecorded deliveries say, opened with the recorder's key; oldest first."""
    keyring = world.context("record").keyring
    with world.database.read() as connection:
        rows = connection.execute(select(inbox).where(inbox.c.status == "new").order_by(inbox.c.id)).all()
    return [parse_message(open_box(keyring, row)) for row in rows]


def inbox_rows(world: World) -> int:
    return len(world.statuses())
