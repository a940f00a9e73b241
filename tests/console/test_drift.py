"""`flask drift`, and what `flask doctor` and /metrics say of the nightly comparison."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from ledger import drift
from ledger.drift import Standing, Sweep
from tests.ledger.desk import KARI, Desk, sign_up, unconfirmed, withdrawal
from tests.world import World
from workers.context import now_ms
from workers.relays import OBSERVERS
from workers.relays.action import Presence, RelayAction

HOUR_MS = 3600 * 1000


@pytest.fixture
def desk(world: World) -> Desk:
    unconfirmed(world)
    return Desk(world)


def finished(desk: Desk, ago_ms: int, **counts: int) -> None:
    at_ms = now_ms() - ago_ms
    sweep = Sweep(at_ms, people=7, finished_at_ms=at_ms, counts=counts)
    with desk.database.write() as connection:
        drift._store(connection, Standing(sweep, sweep, at_ms))


def document(desk: Desk, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(desk.world.command("drift", *arguments, "--json").stdout)
    return found


def findings(desk: Desk) -> list[tuple[str, str]]:
    rows = json.loads(desk.world.command("doctor", "--json").stdout)
    return [(row["level"], row["finding"]) for row in rows if row["check"] == "drift"]


def metrics(desk: Desk) -> dict[str, float]:
    lines = desk.world.client.get("/metrics").text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("samtykke_drift"))
    return {name: float(value) for name, value in pairs}


def test_before_the_first_night_nothing_is_said(desk: Desk) -> None:
    assert document(desk, "status") == {"begun": None, "cannot_be_asked_about": 0}
    assert (findings(desk), metrics(desk)) == ([], {})


def test_a_comparison_by_hand_tells_what_it_found(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def observe(action: RelayAction, _connection: object) -> Mapping[str, Presence]:
        return dict.fromkeys(action.purposes, Presence.GIVEN)

    context = desk.world.console.app.extensions["operator"].context
    monkeypatch.setattr(context.connections, "to", lambda processor: object() if processor == "google" else None)
    monkeypatch.setitem(OBSERVERS, "google", observe)
    desk.say(sign_up(KARI), now_ms())
    desk.say(withdrawal(KARI, "newsletter"), now_ms())
    desk.say(withdrawal("nobody@example.no", "newsletter"), now_ms())
    result = desk.world.command("drift", "run", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) | {"begun": 0, "finished": 0} == {
        **{"begun": 0, "finished": 0, "people": 1, "resting": []},
        **dict.fromkeys(("same", "repaired", "withdrawn", "reported", "gone", "failed"), 0),
        "busy": 1,  # the withdrawal is on its way there
    }
    assert document(desk, "status")["cannot_be_asked_about"] == 1
    assert KARI not in result.output


def test_a_sweep_that_somebody_has_is_not_begun_again(desk: Desk) -> None:
    with desk.database.write() as connection:
        drift.claim(connection, now_ms(), begins=True)
    assert desk.world.command("drift", "run").exit_code == 4
    assert document(desk, "status")["finished"] is None


def test_withdrawals_that_had_to_be_repaired_are_a_fault(desk: Desk) -> None:
    finished(desk, 2 * HOUR_MS, repaired=2, withdrawn=1, same=4)
    levels = [level for level, _ in findings(desk)]
    assert levels == ["ok", "fault", "warning"]
    assert findings(desk)[0][1] == "7 people compared with the processors 2 hours ago"
    assert findings(desk)[1][1].startswith("2 withdrawals were undone there")
    assert metrics(desk)['samtykke_drift{outcome="repaired"}'] == 2
    assert 7200 <= metrics(desk)["samtykke_drift_checked_seconds"] < 7300


def test_two_nights_without_a_comparison_are_a_warning(desk: Desk) -> None:
    finished(desk, 49 * HOUR_MS)
    assert [level for level, _ in findings(desk)] == ["ok"]
    finished(desk, 51 * HOUR_MS)
    assert [level for level, _ in findings(desk)] == ["warning", "ok"]
