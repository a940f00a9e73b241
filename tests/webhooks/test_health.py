"""Health and metrics: ready means that a 200 would be kept, and neither tells anything about a person."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app import create_app
from ledger.database import Database
from ledger.migrate import upgrade
from tests.webhooks.capture import post
from tests.webhooks.pages import ADDRESS, ONE_CLICK
from tests.world import FORM_SECRET, World, checkout_event
from webhooks.answers import HEADERS


def samples(world: World) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = world.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.get_data(as_text=True))
        for sample in family.samples
    }


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics", "/static/samtykke.css"])
def test_what_is_public_carries_the_security_headers(shared_world: World, path: str) -> None:
    answer = shared_world.client.get(path)
    answer.close()  # the style sheet is an open file
    assert answer.status_code == 200
    wanted = {name: value for name, value in HEADERS.items() if name != "Cache-Control"}
    assert {name: answer.headers[name] for name in wanted} == wanted
    assert answer.headers["Cache-Control"] in ("no-store", "no-cache")
    assert "Set-Cookie" not in answer.headers


def test_it_is_ready_while_redis_is_away(world: World) -> None:
    """The queue of these tests is a socket that nobody listens on."""
    assert world.client.get("/health/ready").get_json() == {
        "status": "ready",
        "database": "reached",
        "queue": "not_rung_yet",
    }
    assert world.post_signed("newsletter", {"email": ADDRESS, "newsletter": "yes"}).status_code == 200
    doorbell = world.client.application.extensions["door"].doorbell
    for _ in range(6000):  # its thread is trying
        if doorbell.heard is not None:
            break
        time.sleep(0.01)
    answer = world.client.get("/health/ready")
    assert (answer.status_code, answer.get_json()["queue"]) == (200, "away")


def test_it_is_not_ready_before_the_migration_and_ready_after_it(world: World, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    app = create_app(replace(world.settings, database_url=url))
    answer = app.test_client().get("/health/ready")
    assert (answer.status_code, answer.get_json()["reason"]) == (503, "database_not_migrated")
    assert app.test_client().get("/health/live").get_json() == {"status": "alive"}
    database = Database(url)
    upgrade(database)
    assert app.test_client().get("/health/ready").get_json()["status"] == "ready"
    database.close()
    app.extensions["door"].database.close()


def test_metrics_count_what_is_in_the_record(world: World) -> None:
    world.give(ADDRESS)
    world.sign()
    world.post_signed("newsletter", {"newsletter": "yes"})
    world.client.post(world.link("w"), data=ONE_CLICK)
    found = samples(world)
    assert found["samtykke_deliveries", (("status", "recorded"),)] == 2
    assert found["samtykke_deliveries", (("status", "parked"),)] == 1
    assert found["samtykke_deliveries", (("status", "new"),)] == 1
    assert found["samtykke_ledger_entries", ()] == len(world.leaves())
    assert 0 < found["samtykke_ledger_signed_entries", ()] <= len(world.leaves())
    assert 0 <= found["samtykke_oldest_unrecorded_seconds", ()] < 3600
    world.record()
    found = samples(world)
    relays = {labels: value for (name, labels), value in found.items() if name == "samtykke_relays"}
    pending = {dict(labels)["processor"] for labels in relays if dict(labels)["status"] == "pending"}
    assert pending == set(world.policy.processors) | {"mail"}
    assert found["samtykke_oldest_unrecorded_seconds", ()] == 0


def test_answers_are_counted_by_route_and_status(world: World) -> None:
    route = (("route", "/webhooks/forms/<form_key>"), ("status", "401"))
    before = samples(world).get(("samtykke_answers_total", route), 0)
    post(world, "newsletter-contact-form-7", b"{}", **{"X-Gdpr-Token": "wrong"})
    assert samples(world)["samtykke_answers_total", route] == before + 1


def test_metrics_hold_nothing_that_was_sent(world: World) -> None:
    canary = "kanari7f3a"
    world.give(f"{canary}@example.test")
    world.post_stripe(checkout_event(address=f"{canary}@example.test"))
    for path in (f"/{canary}", f"/w/{canary}", f"/webhooks/forms/{canary}", f"/webhooks/forms/newsletter/{canary}"):
        world.client.post(path, headers={"X-Gdpr-Token": canary, "User-Agent": canary})
    world.client.get(world.link("w"))
    text = world.client.get("/metrics").get_data(as_text=True)
    for secret in (canary, FORM_SECRET, world.link("w").removeprefix("/w/"), "example.test"):
        assert secret not in text
