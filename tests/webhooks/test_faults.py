"""What is wrong on our side: 503 while nothing can be stored, 500 for our own mistakes, and never a 200."""

import json
import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from tests.faults.senders import post
from tests.postgres import PostgresServer
from tests.webhooks.capture import inbox_rows
from tests.webhooks.plugins import plugin_world
from tests.webhooks.server import serving
from tests.webhooks.test_refusals import assert_refused
from tests.world import FORM_SECRET, World, checkout_event, settings_for
from webhooks.answers import RETRY_AFTER_S, register_answers
from webhooks.door import Door
from webhooks.forms import forms_blueprint

CF7 = "/webhooks/forms/newsletter-contact-form-7"
ELEMENTOR_WAITS_S = 2.0  # a part of what WordPress gives a request, which is five seconds
BODY = {"your-email": "kanari7f3a@example.test", "gdpr-consent": "1"}
TOKEN = {"X-Gdpr-Token": FORM_SECRET}


@pytest.fixture
def door_without_folder(world: World) -> Iterator[FlaskClient]:
    """A door that opens its database for the first time after the folder of it is gone."""
    folder = world.settings.data_dir / "elsewhere"
    app = create_app(replace(world.settings, database_url=f"sqlite:///{folder / 'samtykke.db'}"))
    shutil.rmtree(folder)
    yield app.test_client()
    app.extensions["door"].database.close()


def assert_away(client: FlaskClient) -> None:
    answer = client.post(CF7, json=BODY, headers=TOKEN)
    assert_refused(answer, 503, "database_away")
    assert int(answer.headers["Retry-After"]) == RETRY_AFTER_S > 0


def test_without_its_database_it_says_503_and_when_to_come_back(door_without_folder: FlaskClient) -> None:
    assert_away(door_without_folder)


def test_a_forged_delivery_is_401_even_then(door_without_folder: FlaskClient) -> None:
    answer = door_without_folder.post(CF7, json=BODY, headers={"X-Gdpr-Token": "kanari7f3a"})
    assert_refused(answer, 401, "secret_mismatch")


def test_a_link_says_503_too(world: World, door_without_folder: FlaskClient) -> None:
    world.give("kari@example.no")
    for answer in (
        door_without_folder.post(world.link("w"), data={"List-Unsubscribe": "One-Click"}),
        door_without_folder.get(world.link("w")),
        door_without_folder.get(world.link("c")),
    ):
        assert_refused(answer, 503, "database_away")
        assert int(answer.headers["Retry-After"]) > 0


def test_an_empty_database_accepts_nothing(world: World) -> None:
    """Started before its release step: there are no tables yet."""
    client = create_app(
        replace(world.settings, database_url=f"sqlite:///{world.settings.data_dir / 'empty.db'}")
    ).test_client()
    assert_away(client)
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.get_json()) == (503, {"status": "not_ready", "reason": "database_not_migrated"})
    client.application.extensions["door"].database.close()


def test_when_postgresql_goes_away_every_route_says_503(tmp_path: Path, postgres_server: PostgresServer) -> None:
    """Its connections are cut and no new one is let in, as at a failover."""
    with postgres_server.fresh_database("test_faults_away") as url:
        world = World(settings_for(tmp_path, url))
        assert world.client.post(CF7, json=BODY, headers=TOKEN).status_code == 200
        assert world.client.get("/health/ready").status_code == 200
    assert_away(world.client)
    assert_refused(world.post_stripe(checkout_event()), 503, "database_away")
    ready = world.client.get("/health/ready")
    assert (ready.status_code, ready.get_json()) == (503, {"status": "not_ready", "reason": "database_away"})
    assert_refused(world.client.get("/metrics"), 503, "database_away")
    assert world.client.get("/health/live").status_code == 200
    world.close()


@pytest.fixture(params=["gone", "silent"])
def queue_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of a queue that was killed, or one that is paused: its socket takes connections and says nothing."""
    path = tmp_path / "queue.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        if request.param == "silent":
            listener.listen(64)
        yield f"unix://{path}"


def test_elementor_reads_200_in_time_whatever_is_down_behind_us(tmp_path: Path, queue_url: str) -> None:
    """It takes nothing else for a success, and its visitor waits. Neither queue, recorder nor relay is there."""
    world = plugin_world(tmp_path)
    settings = replace(world.settings, redis_url=queue_url)
    with serving(settings, tmp_path, {"POLICY_FILE": str(settings.policy_file)}) as server:
        for number in range(40):
            body = f"fields[email][value]=k{number}@example.test&fields[consent][value]=on&form[id]=a".encode()
            headers = TOKEN | {"Content-Type": "application/x-www-form-urlencoded"}
            answer = post(server.port, "/webhooks/forms/newsletter-elementor", body, headers)
            assert (answer.status, json.loads(answer.body)) in (
                (200, {"status": "accepted"}),
                (200, {"status": "parked"}),
            )
            assert answer.took_s < ELEMENTOR_WAITS_S
            assert len(answer.body) < 100
    assert inbox_rows(world) == 40
    world.close()


def test_our_own_mistake_is_500_without_a_word_about_the_sender(world: World) -> None:
    def broken_clock() -> int:
        raise RuntimeError("kanari7f3a@example.test")

    door: Door = world.client.application.extensions["door"]
    app = Flask("webhooks")
    app.register_blueprint(forms_blueprint(replace(door, clock=broken_clock)))
    register_answers(app)
    assert_refused(app.test_client().post(CF7, json=BODY, headers=TOKEN), 500, "internal_error")
    assert inbox_rows(world) == 0
