"""`flask doctor` on senders: each finding where it should be, nothing where nothing is wrong, exit 1 for a fault."""

import datetime
import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from sqlalchemy import insert

from ledger.heartbeat import beat
from ledger.senders import DAY_MS, HOUR_MS, NOES_MAX, fingerprint
from ledger.tables import intake_position, unread_field
from schemas.entry import Kind
from tests.ledger import deliveries
from tests.world import ROOT, SIGNED_SECRET, World, checkout_event, settings_for
from workers.context import now_ms

SOURCE = "form:newsletter"
NEW, OLD = "whsec_bmV3IHNlY3JldCBvZiBuZXdzbGV0dGVy", SIGNED_SECRET
MINUTE_MS = 60_000


@pytest.fixture
def rotating(tmp_path: Path) -> Any:
    """An installation with two live secrets for a form and for Stripe."""
    settings = settings_for(tmp_path)
    forms = MappingProxyType({**settings.form_secrets, "newsletter": (NEW, OLD)})
    world = World(replace(settings, form_secrets=forms, stripe_webhook_secrets=(NEW, OLD)))
    yield world
    world.close()


def deliver(world: World, *ages_ms: int, source: str = SOURCE, **values: object) -> None:
    deliveries.deliver(world, now_ms(), *ages_ms, source=source, **values)


def findings(world: World, *checks: str) -> list[tuple[str, str]]:
    rows = json.loads(world.command("doctor", "--json").stdout)
    return [(row["level"], row["finding"]) for row in rows if row["check"] in (checks or ("senders",))]


def faults(world: World) -> list[str]:
    return [finding for level, finding in findings(world, "senders", "intake", "fields") if level != "ok"]


def test_nothing_is_said_of_senders_that_never_sent_anything(world: World) -> None:
    assert findings(world, "senders", "intake", "fields") == []


def test_a_sender_that_is_well_has_one_line(world: World) -> None:
    deliver(world, 90 * MINUTE_MS, 61 * MINUTE_MS, skew_ms=-59_000)
    deliver(world, 80 * MINUTE_MS, status="parked", reason="email_missing")
    assert findings(world) == [("ok", f"{SOURCE}: last 1 hour ago, 1 of the last 3 parked")]


@pytest.mark.parametrize(("skew_ms", "how"), [(60_001, "ahead of"), (-200_999, "behind")])
def test_a_clock_that_is_over_a_minute_off_is_told(world: World, skew_ms: int, how: str) -> None:
    deliver(world, MINUTE_MS, skew_ms=skew_ms, source="stripe")
    told = f"stripe: its clock is {abs(skew_ms) // 1000} s {how} ours; beyond 300 s it is refused"
    assert findings(world)[1:] == [("warning", told)]


def test_a_source_that_fell_silent_is_a_fault(world: World) -> None:
    deliver(world, *(3 * DAY_MS + hours * HOUR_MS for hours in (8, 6, 4, 2, 0)))
    told = f"{SOURCE}: silent for 3 days; at most 2 hours before: does it still send here?"
    assert findings(world)[1:] == [("fault", told)]
    assert world.command("doctor").exit_code == 1


def test_a_conflict_is_a_fault_until_somebody_has_looked(world: World) -> None:
    for newsletter in ("yes", "no"):
        body = {"email": "kari@example.no", "newsletter": newsletter}
        assert world.post_signed("newsletter", body, message_id="msg_1").status_code == 200
    told = f"{SOURCE}: 1 parked whose id came before with other content: flask deliveries list --source {SOURCE}"
    assert ("fault", told) in findings(world)


def test_a_form_that_stopped_saying_yes_is_a_fault_where_an_unticked_box_is_left_out(world: World) -> None:
    """Elsewhere a renamed field is parked, and noes are noes."""
    policy = world.settings.policy_file.read_text(encoding="utf-8")
    omitting = world.settings.data_dir / "policy.toml"
    omitting.write_text(
        policy.replace('[forms.newsletter]\ndialect = "generic"', '[forms.newsletter]\ndialect = "fluent_forms"'),
        encoding="utf-8",
    )
    deliveries.answer(world, now_ms(), SOURCE, [Kind.REQUESTED], *[[Kind.REFUSED]] * NOES_MAX)
    assert faults(world) == []
    world.console.app.extensions["operator"].settings = replace(world.settings, policy_file=omitting)
    del world.console.app.extensions["operator"].context
    told = f"nobody said yes in its last {NOES_MAX} forms, though people did before: was a field renamed?"
    assert faults(world) == [f"{SOURCE}: {told}"]


def secrets_told(world: World) -> list[str]:
    return [told for _, told in findings(world, "secrets") if told.startswith(("FORM_", "STRIPE_"))]


def test_a_secret_that_is_rotated_is_followed_from_the_first_day_to_the_last(rotating: World) -> None:
    setting = "FORM_SECRETS_NEWSLETTER"
    assert secrets_told(rotating) == []
    deliver(rotating, 20 * DAY_MS, key_id=fingerprint(OLD))
    assert secrets_told(rotating) == [f"{setting}: the first, the newest, was never used: does the sender have it?"]
    deliver(rotating, 2 * DAY_MS, key_id=fingerprint(OLD))
    deliver(rotating, 1 * DAY_MS, key_id=fingerprint(NEW))
    assert secrets_told(rotating) == []


def test_an_old_secret_that_a_newer_one_has_replaced_for_a_week_can_go(rotating: World) -> None:
    deliver(rotating, 8 * DAY_MS, key_id=fingerprint(OLD), source="stripe")
    deliver(rotating, 1 * DAY_MS, key_id=fingerprint(NEW), source="stripe")
    told = "number 2 was not used for 8 days, and a newer one is: remove it"
    assert secrets_told(rotating) == [f"STRIPE_WEBHOOK_SECRETS: {told}"]


def test_a_secret_that_was_never_seen_at_all_can_go_only_after_a_week_of_looking(rotating: World) -> None:
    deliver(rotating, 6 * DAY_MS, key_id=fingerprint(NEW))
    assert secrets_told(rotating) == []
    deliver(rotating, 9 * DAY_MS, key_id=fingerprint(NEW))
    assert len(secrets_told(rotating)) == 1


def test_no_finding_shows_a_secret_or_a_part_of_one(rotating: World) -> None:
    deliver(rotating, 20 * DAY_MS, key_id=fingerprint(OLD))
    output = rotating.command("doctor").output
    assert not any(secret[:12] in output for secret in (NEW, OLD))


def ask(world: World, source: str, checked_ago_ms: int, expires_in_ms: int | None = None) -> None:
    now = now_ms()
    expires_at_ms = None if expires_in_ms is None else now + expires_in_ms
    row = {"source": source, "position": "1", "checked_at_ms": now - checked_ago_ms, "found": 3}
    with world.database.write() as connection:
        connection.execute(insert(intake_position).values(**row, expires_at_ms=expires_at_ms))


def test_missing_is_0_as_of_the_last_time_that_a_source_was_asked(world: World) -> None:
    ask(world, "stripe", 25 * HOUR_MS)
    ((level, told),) = findings(world, "intake")
    assert level == "ok"
    assert told.startswith("stripe: missing = 0 as of 20")
    assert told.endswith("; 3 came only because we asked")


def test_a_source_that_was_not_asked_for_over_a_day_is_a_fault(world: World) -> None:
    ask(world, "stripe", 27 * HOUR_MS)
    ((level, told),) = findings(world, "intake")
    assert level == "fault"
    assert told.endswith(", and not asked since: is the intake running?")


@pytest.mark.parametrize(("expires_in_ms", "is_fault"), [(49 * HOUR_MS, False), (47 * HOUR_MS, True), (-HOUR_MS, True)])
def test_a_subscription_that_ends_soon_is_a_fault(world: World, expires_in_ms: int, is_fault: bool) -> None:
    ask(world, "gmail", 0, expires_in_ms)
    assert (len(findings(world, "intake")) == 2) is is_fault


def test_with_a_key_for_stripe_it_must_have_been_asked(tmp_path: Path) -> None:
    world = World(replace(settings_for(tmp_path), stripe_api_key="rk_test_0123456789abcdef"))
    told = ("warning", "stripe: never asked: is the intake running?")
    assert findings(world, "intake") == [told]
    ask(world, "stripe", 0)
    assert told not in findings(world, "intake")
    world.close()


def test_events_of_a_version_that_nobody_read_here_are_told_for_a_week(world: World) -> None:
    beat(world.database, "stripe-version:2027-03-31.fuchsia", now_ms() - 8 * DAY_MS)
    assert findings(world) == []
    assert world.post_stripe(checkout_event(api_version="2027-03-31.fuchsia")).status_code == 200
    ((level, told),) = [one for one in findings(world) if "version" in one[1]]
    assert level == "warning"
    assert told.startswith("stripe: its events speak version 2027-03-31.fuchsia, this release was written for ")


def test_a_conflict_of_a_source_that_left_the_policy_is_told_too(world: World) -> None:
    deliver(world, 1, source="form:gone", status="parked", reason="conflict")
    assert [level for level, _ in findings(world)] == ["fault"]


def test_fields_that_nobody_reads_are_named_but_not_all_of_them(world: World) -> None:
    names = ("phone", "birthday", "address", "town", "country", "income", "shoe-size")
    rows = [{"source": SOURCE, "name": name, "count": 1, "seen_at_ms": 100 - place} for place, name in enumerate(names)]
    with world.database.write() as connection:
        connection.execute(insert(unread_field), rows)
    shown = "phone, birthday, address, town, country, …"
    assert findings(world, "fields") == [("warning", f"{SOURCE} sends 7 fields that nobody reads: {shown}")]


def test_the_metrics_of_senders_tell_the_same(world: World) -> None:
    deliver(world, HOUR_MS, HOUR_MS, source="stripe", skew_ms=-94_500)
    deliver(world, 2 * HOUR_MS, status="parked", reason="conflict")
    ask(world, "stripe", 2 * HOUR_MS)
    text = world.client.get("/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert values['samtykke_sender_skew_seconds{source="stripe"}'] == "-94.5"
    assert f'samtykke_sender_skew_seconds{{source="{SOURCE}"}}' not in values
    assert 3600 <= float(values['samtykke_sender_silent_seconds{source="stripe"}']) < 3900
    assert 7200 <= float(values[f'samtykke_sender_silent_seconds{{source="{SOURCE}"}}']) < 7500
    assert 7200 <= float(values['samtykke_intake_checked_seconds{source="stripe"}']) < 7500
    assert values["samtykke_conflicts"] == "1.0"


def test_a_processor_that_nobody_has_looked_at_for_a_year_is_a_fault(tmp_path: Path) -> None:
    shipped = (ROOT / "policy.toml").read_text(encoding="utf-8")
    last_year, long_ago = (
        f"{datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days):%Y-%m-%d}" for days in (360, 370)
    )
    for name, when in (("stripe", last_year), ("google", long_ago)):
        shipped = shipped.replace(f"[processors.{name}]\n", f'[processors.{name}]\nreviewed_at = "{when}"\n')
    policy = tmp_path / "policy.toml"
    policy.write_text(shipped, encoding="utf-8")
    world = World(settings_for(tmp_path, policy_file=policy))
    rows = json.loads(world.command("doctor", "--json").stdout)
    told = {row["finding"]: row["level"] for row in rows if "review" in row["finding"]}
    assert told == {
        "wordpress: never reviewed; read its terms, set reviewed_at": "warning",
        f"google: reviewed {long_ago}, over a year ago": "fault",
    }
    world.close()
