"""A person's consent and erasure, from the form to Google and back into the ledger."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulators.process import SimulatorProcess
from tests.workers.google_scene import ADMIN, MAILBOX, Scene, arrange, contact, from_
from tests.world import World, settings_for

KARI, OLA = "kari@example.no", "ola@example.no"
GROUPS = {"nyhetsbrev@example.no": [OLA], "tilbud@example.no": [], "informasjon@example.no": []}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with SimulatorProcess("google", tmp_path) as google:
        yield arrange(google)
        assert google.violations() == []


@pytest.fixture
def world(tmp_path: Path, scene: Scene) -> Iterator[World]:
    key = scene.google.service_account_path.read_text()
    settings = replace(
        settings_for(tmp_path / "world"),
        gmail_api_base=scene.google.url,
        gmail_credentials=key,
        gmail_mailbox=MAILBOX,
        google_api_base=scene.google.url,
        google_credentials=key,
        google_subject=ADMIN,
        people_api_base=scene.google.url,
    )
    made = World(settings)
    yield made
    made.close()


def outcomes(world: World) -> list[tuple[str, str | None]]:
    leaves = [leaf for leaf in world.leaves() if leaf.get("processor") == "google"]
    return [(leaf["action"], leaf.get("outcome")) for leaf in leaves if leaf["kind"] == "relay.completed"]


def test_what_the_ledger_says_is_true_at_google(world: World, scene: Scene) -> None:
    scene.has([from_(KARI, 1), from_(OLA, 2)], contacts=[contact(1, KARI), contact(2, OLA)], groups=GROUPS)
    world.give(KARI)
    world.carry()
    assert scene.google.state()["groups"]["nyhetsbrev@example.no"] == [OLA, KARI]
    assert world.command("subjects", "erase", "--email", KARI, "--yes").exit_code == 0
    world.carry(urgent=True)
    state = scene.google.state()
    assert state["groups"] == GROUPS
    assert [each["resourceName"] for each in state["contacts"]] == ["people/c2"]
    assert ["TRASH" in labels for labels in scene.labels().values()] == [True, False]
    assert outcomes(world) == [("give", "done"), ("erase", "removed")]
