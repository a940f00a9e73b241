"""WordPress, asked: what it sent and never arrived is noticed, and where the whole entry can be read it is taken in."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import delete
from structlog.testing import capture_logs

from ledger.intake import Position, read_position
from ledger.tables import heartbeat
from schemas.settings import Settings
from tests.simulators.process import SimulatorProcess
from tests.workers.wordpress_site import serve_site
from tests.world import FORM_SECRET, SIGNED_SECRET, World, settings_for, signed_headers
from workers.context import now_ms
from workers.intake import SOURCES, wordpress, wordpress_entries

COMPANION_FORM = """
[forms.companion]
dialect = "companion"
intent = "consent"
fields = { email = "fields.email" }
time_field = "submitted_at"
notice = "personvern-1"
sites = []

[[forms.companion.consent]]
field = "fields.newsletter"
accepted = ["1"]
purposes = ["newsletter"]
"""
GRAVITY_FORM = "newsletter-gravity-forms"
HOUR_S, DAY_S = 3600, 24 * 3600
RECORDED = Path(__file__).parents[1] / "fixtures/forms/gravityforms_all-fields_json_consent-yes.http"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    yield from serve_site(tmp_path_factory.mktemp("wordpress"))


class Site:
    """One installation with a WordPress in front of it."""

    def __init__(self, settings: Settings, directory: Path, process: SimulatorProcess) -> None:
        policy = directory / "policy.toml"
        policy.write_text(settings.policy_file.read_text(encoding="utf-8") + COMPANION_FORM, encoding="utf-8")
        self.process = process
        self.world = World(
            replace(
                settings,
                policy_file=policy,
                form_secrets={**settings.form_secrets, "companion": (SIGNED_SECRET,)},
                wordpress_url=process.url,
                wordpress_secret=process.secret,
                wordpress_user="admin",
                wordpress_application_password="abcd efgh",
            )
        )
        process.clear()
        process.seed({"new": True})

    def take(self) -> int:
        """As if an hour had passed."""
        with self.world.database.write() as connection:
            connection.execute(delete(heartbeat).where(heartbeat.c.process == wordpress.PULL))
        return SOURCES["wordpress"](self.world.context("intake"))

    def position(self, source: str = wordpress.SOURCE) -> Position:
        with self.world.database.read() as connection:
            found = read_position(connection, source)
        assert found is not None
        return found

    # The companion plugin.

    def outbox(self, *states: str, ago_s: int = HOUR_S, oldest_waiting_s: int = 60) -> None:
        rows = [
            {
                "number": number,
                "id": f"msg_{number}",
                "plugin": "gravityforms",
                "form": "1",
                "entry": str(number),
                "submitted_at": datetime.fromtimestamp(time.time() - ago_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "state": state,
            }
            for number, state in enumerate(states, start=1)
        ]
        self.process.seed({"outbox": rows, "oldest_waiting_s": oldest_waiting_s})

    def arrive(self, number: int) -> None:
        document = {
            "type": "submission",
            "submitted_at": "2026-11-23T01:25:45Z",
            "fields": {"email": f"p{number}@example.no", "newsletter": "1"},
        }
        raw = json.dumps(document)
        headers = signed_headers(raw, f"msg_{number}", int(time.time()))
        answer = self.world.client.post(
            "/webhooks/forms/companion", data=raw, content_type="application/json", headers=headers
        )
        assert answer.get_json() == {"status": "accepted"}

    # Gravity Forms.

    def entries(self, *ids: int, form_id: str = "1", ago_s: int = HOUR_S) -> list[dict[str, Any]]:
        recorded = json.loads(RECORDED.read_text(encoding="utf-8").partition("\n\n")[2])
        created = datetime.fromtimestamp(time.time() - ago_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
        made = [
            {**recorded, "id": str(number), "form_id": form_id, "date_created": created, "2": f"p{number}@example.no"}
            for number in ids
        ]
        held = self.process.state()["entries"]
        self.process.seed({"plugin": False, "gravity_forms_rest": True, "entries": [*held, *made]})
        return made

    def deliver(self, entry: dict[str, Any]) -> str:
        answer = self.world.client.post(
            f"/webhooks/forms/{GRAVITY_FORM}", json=entry, headers={"X-Gdpr-Token": FORM_SECRET}
        )
        return str(answer.get_json()["status"])


@pytest.fixture
def site(tmp_path: Path, process: SimulatorProcess) -> Iterator[Site]:
    made = Site(settings_for(tmp_path), tmp_path, process)
    yield made
    process.clear()
    assert process.violations() == []
    made.world.close()


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What is logged, warnings and errors."""
    with capture_logs() as captured:
        for module in (wordpress, wordpress_entries):  # theirs keep to what was configured at first
            monkeypatch.setattr(module, "log", structlog.get_logger())
        yield captured


def said(lines: list[Any]) -> list[tuple[str, int]]:
    return [(line["event"], line["count"]) for line in lines]


def test_everything_that_the_plugin_sent_is_here(site: Site, lines: list[Any]) -> None:
    for number in (1, 2):
        site.arrive(number)
    site.outbox("sent", "sent", "waiting")
    assert site.take() == 0
    assert (site.position().place, said(lines)) == ("2", [])
    assert abs(site.position().checked_at_ms - now_ms()) < 60_000
    site.arrive(3)
    site.outbox("sent", "sent", "sent")
    site.take()
    assert site.position().place == "3"


def test_what_was_sent_and_never_arrived_is_told_of_until_it_is_here(site: Site, lines: list[Any]) -> None:
    site.arrive(1)
    site.arrive(3)
    site.outbox("sent", "sent", "sent")
    site.take()
    site.take()
    assert (site.position().place, site.position().checked_at_ms) == ("1", 0)
    assert said(lines) == [("submissions_missing", 1)] * 2
    site.arrive(2)
    site.take()
    assert (site.position().place, len(lines)) == ("3", 2)


def test_after_thirty_days_a_lost_one_holds_nothing_up(site: Site, lines: list[Any]) -> None:
    site.outbox("sent", ago_s=31 * DAY_S)
    site.take()
    assert (site.position().place, said(lines)) == ("1", [])


def test_what_the_plugin_has_given_up_or_cannot_send_is_told_of(site: Site, lines: list[Any]) -> None:
    site.outbox("waiting", "dead", oldest_waiting_s=2 * HOUR_S)
    site.take()
    assert said(lines) == [("submissions_given_up", 1), ("submissions_stuck", 1)]
    assert site.position().place == "0"


def test_it_is_asked_once_an_hour(site: Site) -> None:
    site.outbox()
    site.take()
    before = len(site.process.journal())
    assert SOURCES["wordpress"](site.world.context("intake")) == 0
    assert len(site.process.journal()) == before


@pytest.mark.parametrize("entries", [None, [{}], [{"number": "1"}], "x"])
def test_another_answer_says_nothing(site: Site, entries: Any) -> None:
    body = {"waiting": 0, "dead": 0, "entries": entries}
    site.process.faults([{"path_prefix": "/wp-json/samtykke/v1/outbox", "body": body}])
    with pytest.raises(Exception, match="unexpected_answer"):
        site.take()
    with site.world.database.read() as connection:
        assert read_position(connection, wordpress.SOURCE) is None


def test_a_lost_entry_of_gravity_forms_is_taken_in_as_its_webhook_would_have_been(site: Site, lines: list[Any]) -> None:
    first, lost, last = site.entries(1, 2, 3)
    assert [site.deliver(entry) for entry in (first, last)] == ["accepted", "accepted"]
    assert site.take() == 1
    assert site.take() == 0
    assert said(lines) == [("submissions_found", 1)]
    assert site.deliver(lost) == "duplicate"  # its webhook, hours later
    site.world.record()
    assert site.world.kinds().count(("consent.requested", "newsletter")) == 3
    assert site.position(wordpress_entries.SOURCE).found == 1


def test_a_form_of_which_nothing_ever_came_is_not_taken_in(site: Site) -> None:
    site.entries(1, 2, form_id="9")
    assert site.take() == 0
    (known,) = site.entries(3)
    site.deliver(known)
    assert site.take() == 0
    assert len(site.world.statuses()) == 1


def test_an_entry_that_may_still_be_on_its_way_is_left_alone(site: Site) -> None:
    (known,) = site.entries(1)
    site.deliver(known)
    site.entries(2, ago_s=60)
    assert site.take() == 0
    assert site.position(wordpress_entries.SOURCE).place == "1"


def test_without_a_connection_nothing_is_asked(site: Site, tmp_path: Path) -> None:
    world = World(replace(site.world.settings, data_dir=tmp_path / "other", wordpress_url=None))
    assert SOURCES["wordpress"](world.context("intake")) == 0
    world.close()
