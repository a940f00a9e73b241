"""`flask doctor --connections`: every part asked by the relays' own code, each refusal with what to do about it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.doctor.connections import OF_PROCESSOR, REMEDIES, remedy
from tests.simulators.process import SimulatorProcess
from tests.simulators.smtp import HOST as SMTP_HOST
from tests.simulators.smtp import PASSWORD, USER, Plan, SmtpSimulator
from tests.world import World, settings_for
from workers.connections import Connections
from workers.context import now_ms
from workers.relays.google.calls import PARTS

GROUP = "newsletter@example.org"
MEMBERS, READING = "admin.directory.group.member", "gmail.readonly"
USERS_ME, INSTALL = "/wp-json/wp/v2/users/me", "/wpengine/v1/installs/install-1"


@pytest.fixture(scope="module")
def simulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, SimulatorProcess]]:
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in ("wordpress", "stripe", "google")}
    with (
        SimulatorProcess("wordpress", folders["wordpress"]) as wordpress,
        SimulatorProcess("stripe", folders["stripe"]) as stripe,
        SimulatorProcess("google", folders["google"]) as google,
    ):
        yield {"wordpress": wordpress, "stripe": stripe, "google": google}


class Clinic:
    """An installation that is connected to the simulators, and what the doctor says of that."""

    def __init__(self, world: World, simulators: dict[str, SimulatorProcess]) -> None:
        self.world = world
        self.simulators = simulators

    def connect(self, processor: str, **changes: Any) -> None:
        """To one processor only."""
        started, operator = self.simulators[processor], self.world.console.app.extensions["operator"]
        google = started.service_account_path.read_text() if processor == "google" else None
        connected: dict[str, dict[str, Any]] = {
            "wordpress": {"wordpress_url": started.url, "wordpress_secret": started.secret},
            "stripe": {"stripe_api_key": "rk_test_simulated", "stripe_api_base": started.url},
            "google": {
                "google_credentials": google,
                "google_subject": "post@example.org",
                "google_api_base": started.url,
            },
        }
        operator.settings = replace(self.world.settings, **{**connected[processor], **changes})
        policy = operator.context.policy
        grouped = replace(policy.processors["google"], groups={"newsletter": GROUP})
        policy = replace(policy, processors={**policy.processors, "google": grouped})
        connections = Connections(operator.settings, policy)
        operator.__dict__["context"] = replace(operator.context, settings=operator.settings, connections=connections)

    def told(self, processor: str) -> dict[str, tuple[str, str]]:
        """Part to (level, what is said of it)."""
        rows = json.loads(self.world.command("doctor", "--connections", "--json").stdout)
        own = [row for row in rows if row["check"] == "connections" and row["finding"].startswith(f"{processor}, ")]
        parts = [row["finding"].removeprefix(f"{processor}, ").partition(": ")[0].partition(",")[0] for row in own]
        return {part: (row["level"], row["finding"]) for part, row in zip(parts, own, strict=True)}


@pytest.fixture
def clinic(tmp_path: Path, simulators: dict[str, SimulatorProcess]) -> Iterator[Clinic]:
    world = World(settings_for(tmp_path))
    yield Clinic(world, simulators)
    for simulator in simulators.values():
        simulator.clear()
    world.close()


def test_without_the_option_nobody_is_asked(clinic: Clinic) -> None:
    clinic.connect("stripe")
    before = len(clinic.simulators["stripe"].journal())
    rows = json.loads(clinic.world.command("doctor", "--json").stdout)
    assert len(clinic.simulators["stripe"].journal()) == before
    assert "connections" not in {row["check"] for row in rows}


def test_asking_changes_nothing_and_names_nobody(clinic: Clinic) -> None:
    for processor, simulator in clinic.simulators.items():
        clinic.connect(processor)
        before = len(simulator.journal())
        clinic.told(processor)
        lines = simulator.journal()[before:]
        assert lines, processor
        changed = [line for line in lines if line["effect"] is not None and line["path"] != "/token"]
        assert changed == [], processor
        assert not [line for line in lines if line["violation"] is not None], processor


def test_a_plugin_that_answers_says_which_it_is(clinic: Clinic) -> None:
    clinic.simulators["wordpress"].seed({"plugin": True})
    clinic.connect("wordpress")
    told = clinic.told("wordpress")
    assert told["plugin"][0] == told["plugin's outbox"][0] == "ok"
    assert " erasers, " in told["plugin"][1]


def test_a_wrong_secret_and_a_missing_plugin_are_told_apart(clinic: Clinic) -> None:
    site = clinic.simulators["wordpress"]
    site.seed({"plugin": True})
    clinic.connect("wordpress", wordpress_secret="whsec_" + "AAAA" * 8)
    level, told = clinic.told("wordpress")["plugin"]
    assert level == "fault"
    assert told.endswith(REMEDY_SECRET)
    site.seed({"plugin": False})
    clinic.connect("wordpress")
    assert REMEDIES["no_plugin"] in clinic.told("wordpress")["plugin"][1]
    site.seed({"plugin": True})


REMEDY_SECRET = OF_PROCESSOR["wordpress", "unauthorized"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"body": {"capabilities": {"manage_options": True}}}, None),
        ({"body": {"capabilities": {"edit_posts": True}}}, "not_an_administrator"),
        ({"status": 401, "body": {"code": "rest_not_logged_in"}}, "authorization_not_forwarded"),
        ({"status": 401, "body": {"code": "incorrect_password"}}, "unauthorized"),
        ({"status": 401, "headers": {"WWW-Authenticate": "Basic realm"}, "body": "Login"}, "site_password_protected"),
        ({"body": "<p>Down for maintenance</p>"}, "unexpected_answer"),
        ({"redirect": "https://www.example.org/"}, "redirect"),
    ],
)
def test_an_application_password_that_does_not_work_is_explained(
    clinic: Clinic, fault: dict[str, Any], reason: str | None
) -> None:
    clinic.simulators["wordpress"].faults([{"path_prefix": USERS_ME, **fault}])
    clinic.connect("wordpress", wordpress_user="admin", wordpress_application_password="abcd efgh")  # noqa: S106
    level, told = clinic.told("wordpress")["application password"]
    assert (level == "ok") is (reason is None)
    if reason:
        assert told.endswith(f"{reason}: {remedy('wordpress', 'application password', reason)}")
    assert "abcd" not in told


def test_an_install_that_the_api_user_does_not_see(clinic: Clinic) -> None:
    site = clinic.simulators["wordpress"]
    wpengine = {"wpengine_install_id": "install-1", "wpengine_api_user": "u", "wpengine_api_password": "p"}
    clinic.connect("wordpress", **wpengine, wpengine_api_base=f"{site.url}/wpengine/v1")
    site.faults([{"path_prefix": INSTALL, "status": 404, "body": {}}, {"path_prefix": INSTALL, "body": {"id": "1"}}])
    assert "WPENGINE_INSTALL_ID" in clinic.told("wordpress")["WP Engine"][1]
    assert clinic.told("wordpress")["WP Engine"][0] == "ok"


def test_a_permission_that_a_restricted_key_lacks_is_named(clinic: Clinic) -> None:
    clinic.simulators["stripe"].faults([{"path_prefix": "/v1/disputes", "status": 403}])
    clinic.connect("stripe")
    told = clinic.told("stripe")
    assert {part for part, (level, _) in told.items() if level != "ok"} == {"disputes"}
    assert "the restricted key lacks this permission" in told["disputes"][1]


@pytest.mark.parametrize(
    ("key", "mode", "level"),
    [
        ("rk_live_0123456789", "test", "fault"),
        ("rk_test_0123456789", "live", "fault"),
        ("sk_test_0123456789", "test", "warning"),
    ],
)
def test_a_key_of_the_wrong_kind_is_told(clinic: Clinic, key: str, mode: str, level: str) -> None:
    clinic.connect("stripe", stripe_api_key=key, stripe_mode=mode)
    rows = json.loads(clinic.world.command("doctor", "--connections", "--json").stdout)
    told = [row for row in rows if row["finding"].startswith("stripe: STRIPE_API_KEY")]
    assert [row["level"] for row in told] == [level]
    assert key not in str(rows)


@pytest.mark.parametrize(("off_s", "how"), [(94, "behind ours"), (-94, "ahead of ours"), (20, None)])
def test_a_clock_that_is_wrong_is_told(clinic: Clinic, off_s: int, how: str | None) -> None:
    clinic.connect("stripe")
    context = clinic.world.console.app.extensions["operator"].context
    ahead = replace(context.connections.to("stripe"), clock=lambda: now_ms() + off_s * 1000)
    context.connections._made["stripe"] = ahead
    told = clinic.told("stripe").get("clock")
    assert (told is None) is (how is None)
    if told is not None:
        assert told[0] == "fault"
        assert f"{how}: clock_skew: " in told[1]


def test_a_scope_that_was_not_granted_is_named(clinic: Clinic) -> None:
    google = clinic.simulators["google"]
    google.seed({"groups": {GROUP: []}, "grants": []})
    clinic.connect("google")
    level, told = clinic.told("google")["groups"]
    google.seed({"groups": {}, "grants": [f"https://www.googleapis.com/auth/{MEMBERS}"]})
    assert level == "fault"
    assert f"https://www.googleapis.com/auth/{MEMBERS}" in told
    assert "Domain-wide delegation" in told
    clinic.connect("google")
    assert REMEDIES["group_not_found"] in clinic.told("google")["groups"][1]
    google.seed({"groups": {GROUP: []}})
    clinic.connect("google")
    assert clinic.told("google")["groups"][0] == "ok"


def test_a_mailbox_that_may_be_read_and_not_sent_from_is_told(clinic: Clinic) -> None:
    google = clinic.simulators["google"]
    google.seed({"groups": {GROUP: []}, "grants": [f"https://www.googleapis.com/auth/{READING}"]})
    key = google.service_account_path.read_text()
    clinic.connect("google", gmail_credentials=key, gmail_mailbox="post@example.no", gmail_api_base=google.url)
    told = clinic.told("gmail")
    assert told["reading"][0] == "ok"
    assert told["sending"][0] == "fault"
    assert "gmail.send" in told["sending"][1]


@pytest.mark.parametrize(
    ("plan", "changes", "part", "reason"),
    [
        (Plan(), {}, "sender", None),
        (Plan(), {"smtp_password": "wrong"}, "login", "login_refused"),
        (Plan(has_starttls=False), {}, "encryption", "starttls_missing"),
        (Plan(replies={"MAIL": "550 no"}), {}, "sender", "sender_refused"),
        (Plan(greeting="554 no"), {}, "connection", "server_refused"),
    ],
)
@pytest.mark.filterwarnings("ignore:Session.login_data is deprecated")
def test_a_mail_server_is_asked_as_far_as_it_lets_us(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: Plan, changes: Any, part: str, reason: str
) -> None:
    with SmtpSimulator(tmp_path) as smtp:
        monkeypatch.setenv("SSL_CERT_FILE", str(smtp.authority))
        smtp.plan = plan
        reached = {"smtp_host": SMTP_HOST, "smtp_port": smtp.port, "smtp_user": USER, "smtp_password": PASSWORD}
        clinic.connect("stripe", mail_transport="smtp", **{**reached, **changes})
        told = clinic.told("smtp")
    assert smtp.received == []
    assert [*told][-1] == part
    assert [level for level, _ in told.values()] == ["ok"] * (len(told) - bool(reason)) + ["fault"] * bool(reason)
    if reason:
        assert told[part][1].endswith(f"{reason}: {remedy('smtp', part, reason)}")
        assert reason in REMEDIES
    assert PASSWORD not in str(told)


def test_mail_that_only_becomes_files_is_told(clinic: Clinic) -> None:
    clinic.connect("stripe")
    rows = json.loads(clinic.world.command("doctor", "--connections", "--json").stdout)
    assert [row["level"] for row in rows if "MAIL_TRANSPORT is spool" in row["finding"]] == ["warning"]


def test_every_scope_has_a_remedy_that_names_it() -> None:
    for scope, part in PARTS.items():
        assert scope in remedy("google", part, f"{part}_scope_missing")


def test_a_reason_that_nobody_knows_leads_to_the_guide() -> None:
    assert remedy("google", "groups", "never_heard_of") == "docs/guides/connect-google.md"
