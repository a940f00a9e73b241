"""A simulated WordPress site for the tests of its relay: who is on it, and the connections that reach it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from schemas.policy import Product, Text
from tests.simulators.process import SimulatorProcess
from workers.outgoing import OutgoingSession
from workers.relays.action import RelayAction, RelayError
from workers.relays.wordpress import WordPressConnection, WpEngineConnection

KARI = "Kari@example.no"
ACTION = RelayAction("5a3c", (KARI,), ("newsletter", "offers"), 1_790_000_000_000, 1)
COURSE = Product("course", Text("Kurs", "Course"), ("price_1",), (), "course_member", None)
BOOK = Product("book", Text("Bok", "Book"), ("price_2",), (), None, 77)
RIGHT = {"first_name": "Kåre & Co", "last_name": "O'Neil", "company": "Søhne", "email": "kare@example.no"}
USER = {"id": 12, "username": "kari", "email": "kari@example.no", "first_name": "Kari", "last_name": "Nordmann"}
SUBSCRIBER = {**USER, "roles": ["subscriber"]}
CUSTOMER = {**USER, "roles": ["customer"], "billing": {"email": "kari@example.no", "company": "Old"}}
EDITOR = {**USER, "id": 13, "roles": ["editor"]}
OTHER = {**USER, "id": 14, "username": "okari", "email": "okari@example.no", "roles": ["subscriber"]}
ENTRY = {
    "id": "7",
    "form_id": "1",
    "status": "active",
    "date_created": "2026-10-01 10:00:00",
    "source_url": "https://www.example.test/",
    "user_agent": "Firefox",
    "ip": "192.0.2.1",
    "1.3": "Kari",
    "1.6": "Nordmann",
    "2": "kari@example.no",
    "3": "",
}
FORM = {"id": "1", "title": "Newsletter", "fields": [{"id": 1, "type": "name"}, {"id": 2, "type": "email"}]}
ORDER = {"id": 40, "status": "completed", "date_created_gmt": "2026-05-01T10:00:00", "billing": USER, "meta_data": []}


def connection_to(site: SimulatorProcess, *, plugin: bool = True, rest: bool = False, **changes: Any) -> Any:
    """By the plugin, by the REST API, or both."""
    session = OutgoingSession(frozenset({"127.0.0.1"}), allow_loopback=True, deadline_s=5)
    connection = WordPressConnection(site.url, site.secret if plugin else None, session)
    if rest:
        connection = replace(connection, user="admin", application_password="abcd efgh")  # noqa: S106
    return replace(connection, **changes)


def wpengine_of(site: SimulatorProcess, password: str = "api-password") -> WpEngineConnection:  # noqa: S107
    session = OutgoingSession(frozenset({"127.0.0.1"}), allow_loopback=True, deadline_s=5)
    return WpEngineConnection("install-1", "api-user", password, f"{site.url}/wpengine/v1", session)


def serve_site(directory: Any) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("wordpress", directory) as started:
        yield started


def refusal(deed: Any, action: RelayAction, connection: WordPressConnection) -> RelayError:
    with pytest.raises(RelayError) as caught:
        deed(action, connection)
    assert "kari" not in str(caught.value).lower()
    return caught.value


def effects(site: SimulatorProcess, after: int = 0) -> list[str]:
    return [line["effect"] for line in site.journal()[after:] if line["effect"] is not None]
