"""`flask ledger verify` opens nothing; `flask ledger audit` opens everything, and says before whose."""

import json
from typing import Any

import pytest

from ledger import quarantine, restriction
from ledger.log import lock_head
from tests.ledger.desk import HOUR_MS, KARI, NOW_MS, Desk, sign_up
from tests.ledger.tampering import open_file, swap
from tests.world import World


@pytest.fixture
def desk(any_world: World) -> Desk:
    """Kari asked for two purposes and is restricted; Ola gave one."""
    made = Desk(any_world)
    made.say(sign_up(KARI, "newsletter", "offers"), NOW_MS)
    made.give("ola@example.no", NOW_MS)
    handle = made.handle()
    with made.database.write() as connection:
        lock_head(connection)
        restriction.restrict(connection, handle, "claims", NOW_MS + HOUR_MS, "operator")
    any_world.sign()
    return made


def run(desk: Desk, *arguments: str) -> tuple[int, dict[str, Any]]:
    result = desk.world.command("ledger", *arguments, "--json")
    return result.exit_code, json.loads(result.stdout)


def test_verify_counts_what_it_read_and_writes_nothing(desk: Desk) -> None:
    before = desk.kinds()
    code, document = run(desk, "verify")
    assert (code, document["verified"], document["counts"], document["problems"]) == (0, True, [], [])
    assert [document[name] for name in ("entries", "people", "consent_states", "sealed_payloads")] == [5, 2, 3, 3]
    assert desk.kinds() == before


def test_the_boxes_of_restricted_people_are_opened_after_an_entry_that_counts_them(desk: Desk) -> None:
    code, document = run(desk, "audit")
    assert (code, document["opened"], document["left_closed"], document["entries"]) == (0, 3, 0, 6)
    leaf = desk.world.leaves()[-1]
    assert (leaf["kind"], leaf["count"], leaf["source"], leaf["method"]) == (
        "ledger.audited",
        2,
        "operator",
        "operator",
    )
    assert "subject" not in leaf


def test_they_stay_closed_if_that_is_asked_and_nothing_is_written(desk: Desk) -> None:
    code, document = run(desk, "audit", "--no-restricted")
    assert (code, document["opened"], document["left_closed"], document["entries"]) == (0, 1, 2, 5)


def test_they_stay_closed_in_quarantine_where_nothing_is_recorded(desk: Desk) -> None:
    with desk.database.write() as connection:
        quarantine.enter(connection, "ledger_forked", NOW_MS)
    code, document = run(desk, "audit")
    assert (code, document["opened"], document["left_closed"], document["entries"]) == (0, 1, 2, 5)


def test_an_audit_of_nobody_restricted_writes_nothing(any_world: World) -> None:
    desk = Desk(any_world)
    desk.say(sign_up(), NOW_MS)
    code, document = run(desk, "audit")
    assert (code, document["opened"], document["entries"]) == (0, 1, 1)


def test_what_is_in_a_box_only_the_audit_sees(world: World) -> None:
    desk = Desk(world)
    desk.say(sign_up(KARI, "newsletter", "offers"), NOW_MS)
    with open_file(world.database) as file:
        swap(file, "vault", 0, 1)
    assert run(desk, "verify")[0] == 0
    code, document = run(desk, "audit")
    assert (code, document["verified"], document["counts"]) == (
        1,
        False,
        [{"reason": "box_does_not_open", "count": 2}],
    )


def test_what_does_not_fit_is_told_in_words_too(world: World) -> None:
    desk = Desk(world)
    desk.say(sign_up(), NOW_MS)
    with open_file(world.database) as file:
        file.execute("DELETE FROM vault")
    result = world.command("ledger", "verify")
    assert result.exit_code == 1
    assert "counts:\n  box_missing  1\n" in result.stdout
    assert "problems:\n  box_missing  0  " in result.stdout
