"""The list of a mailer: who may be sent a purpose at this moment, nobody else, and nothing that a spreadsheet runs."""

import csv
import stat
from pathlib import Path

import pytest

from console.sendable import harmless
from ledger.identity import address_tags
from ledger.restriction import restrict
from ledger.vault import find_by_narrow
from schemas.address import parse_address
from tests.ledger.desk import HOUR_MS, NOW_MS, Desk, withdrawal
from tests.world import World

PEOPLE = ("kari@example.no", "ola@example.no", "per@example.no", "siri@example.no", "liv@example.no")


def export(world: World, path: Path, purpose: str = "newsletter") -> tuple[int, str]:
    result = world.command("consents", "export", purpose, "--to", str(path))
    return result.exit_code, result.output


def test_it_lists_exactly_those_who_may_be_sent_it(any_world: World, tmp_path: Path) -> None:
    desk = Desk(any_world)
    for number, email in enumerate(PEOPLE):
        desk.give(email, NOW_MS + number * HOUR_MS, "newsletter", "offers")
    desk.say(withdrawal(PEOPLE[1], "newsletter"), NOW_MS + 10 * HOUR_MS)
    desk.accept(desk.delivery(withdrawal(PEOPLE[2], "newsletter")), NOW_MS + 11 * HOUR_MS)
    with any_world.database.write() as connection:
        handle = find_by_narrow(connection, address_tags(desk.web["index_pepper"], parse_address(PEOPLE[3])))
        assert handle is not None
        restrict(connection, handle, "claims", NOW_MS + 12 * HOUR_MS, "operator")
    path = tmp_path / "list.csv"
    assert export(any_world, path)[0] == 0
    rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
    assert {row["email"] for row in rows} == {PEOPLE[0], PEOPLE[4]}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [(leaf["kind"], leaf["purpose"], leaf["reason"]) for leaf in any_world.leaves()[-1:]] == [
        ("payload.revealed", "newsletter", "sendable_list")
    ]
    assert export(any_world, tmp_path / "offers.csv", "offers")[0] == 0
    assert len((tmp_path / "offers.csv").read_text("utf-8").splitlines()) == 1 + len(PEOPLE) - 1


def test_a_file_that_is_there_and_a_purpose_that_is_not_are_refused_before_anything_is_opened(
    world: World, tmp_path: Path
) -> None:
    path = tmp_path / "there.csv"
    path.write_text("mine")
    entries = len(world.leaves())
    assert export(world, path) == (2, "file_exists\n")
    assert export(world, tmp_path / "new.csv", "weather")[0] == 2
    assert export(world, tmp_path / "no" / "folder.csv") == (2, "file_cannot_be_written\n")
    assert (path.read_text(), len(world.leaves())) == ("mine", entries)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_is_a_formula(start: str) -> None:
    assert harmless(f"{start}1+1") == f"'{start}1+1"
    assert harmless(f"kari{start}x") == f"kari{start}x"
