"""Whatever a hand at the database file leaves behind, of whatever type, `ledger audit` names it and goes on."""

import json

import pytest

from tests.ledger.tampering import open_file
from tests.world import World


@pytest.fixture
def audited(world: World) -> World:
    world.give("kari@example.no")
    world.sign()
    return world


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE ledger_entry SET leaf = replace(leaf, 'relay', 'relax') WHERE position = 1",
        "UPDATE ledger_entry SET leaf = CAST(leaf AS TEXT) || ' ' WHERE position = 1",
        "UPDATE ledger_entry SET leaf = X'00FF' WHERE position = 1",
        "UPDATE ledger_entry SET leaf = '[]' WHERE position = 1",
        "UPDATE ledger_entry SET id = 'text' WHERE position = 1",
        "UPDATE ledger_entry SET subject = 'text' WHERE position = 1",
        "UPDATE ledger_entry SET subject = NULL WHERE position = 1",
        "UPDATE ledger_entry SET recorded_at_ms = 'text' WHERE position = 1",
        "UPDATE ledger_entry SET kind = X'00' WHERE position = 1",
        "UPDATE ledger_entry SET kind = CAST(X'FF' AS TEXT) WHERE position = 1",
        "UPDATE ledger_entry SET leaf = 7 WHERE position = 1",
        "UPDATE ledger_entry SET leaf = CAST(X'FF' AS TEXT) WHERE position = 1",
        "UPDATE ledger_entry SET position = 1.5 WHERE position = 1",
        "UPDATE ledger_entry SET position = -1 WHERE position = 1",
        "UPDATE ledger_entry SET position = 9223372036854775807 WHERE position = 1",
    ],
)
def test_a_value_of_another_type_is_named_and_stops_nothing(audited: World, edit: str) -> None:
    """As somebody does it by hand: SQLite's replace() makes text of a blob."""
    with open_file(audited.database) as file:
        file.execute(edit)
    report = audited.command("ledger", "audit", "--json")
    problems = json.loads(report.stdout)["problems"]
    assert report.exit_code == 1
    assert problems[0]["position"] == 1


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE vault SET box = 'text'",
        "UPDATE vault SET box = X''",
        "UPDATE ledger_node SET hash = 'text' WHERE position = 0",
        "UPDATE ledger_checkpoint SET note = X'00'",
        "UPDATE ledger_head SET frontier = 'text'",
        "UPDATE subject SET data_key = 'text'",
        "UPDATE subject SET handle = 7",
        "UPDATE vault SET position = 'text'",
        "UPDATE vault SET subject = X'FF'",
        "UPDATE ledger_node SET position = 'text' WHERE position = 0",
        "UPDATE ledger_node SET position = -1 WHERE position = 0",
        "UPDATE ledger_checkpoint SET size = 'text'",
        "UPDATE ledger_checkpoint SET size = 1",
        "UPDATE ledger_head SET size = 'text'",
        "DELETE FROM ledger_head",
        "UPDATE consent_state SET purpose = 7",
        "UPDATE consent_state SET state = CAST(X'FF' AS TEXT)",
        "UPDATE consent_state SET effective_at_ms = 'text'",
    ],
)
def test_a_broken_row_beside_the_ledger_is_a_finding_and_not_a_crash(audited: World, edit: str) -> None:
    with open_file(audited.database) as file:
        file.execute(edit)
    report = audited.command("ledger", "audit", "--json")
    assert report.exit_code == 1
    assert json.loads(report.stdout)["verified"] is False
