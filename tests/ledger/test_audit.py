"""The audit names every tampering, each by the part that can see it, and nothing that is lawful."""

from dataclasses import dataclass

import pytest

from ledger.audit import audit
from ledger.audit_report import Problem, Report
from ledger.checkpoints import SignerState, newest_checkpoint, note_verifiers, read_state
from ledger.keyring import SIGNER_STATE, load_keyring
from ledger.log import entry_at
from ledger.note import NoteVerifier
from tests.ledger.desk import NOW_MS, Desk, append_purchases, append_purchases_in, sign_up, withdrawal
from tests.ledger.tampering import change_leaf, cut, open_file, rebuild_tree
from tests.world import World


@dataclass
class Audited:
    """A ledger with boxes and two checkpoints; the later note and the signer's memory are kept elsewhere."""

    desk: Desk
    outside: str
    state: SignerState

    def report(self, *, outside: bool = False, state: bool = False) -> Report:
        with self.desk.database.read() as connection:
            connection.exec_driver_sql("PRAGMA query_only = ON")  # the audit may not write into what it audits
            try:
                return audit(
                    connection,
                    self.verifiers,
                    [self.outside] if outside else [],
                    self.state if state else None,
                    self.desk.keyring["kek"],
                )
            finally:
                connection.exec_driver_sql("PRAGMA query_only = OFF")

    @property
    def verifiers(self) -> tuple[NoteVerifier, ...]:
        return note_verifiers(load_keyring("clock", self.desk.world.settings.keys_dir)["checkpoint"])

    def reasons(self, **seen: bool) -> set[str]:
        return {problem.reason for problem in self.report(**seen).problems}

    def problem(self, reason: str, position: int) -> Problem:
        with self.desk.database.read() as connection:
            return Problem(reason, position, entry_at(connection, position).id.hex())


@pytest.fixture
def audited(world: World) -> Audited:
    desk = Desk(world)
    desk.say(sign_up("kari@example.no", "newsletter", "offers"), NOW_MS)
    desk.give("ola@example.no", NOW_MS)
    world.sign()
    desk.say(withdrawal("kari@example.no"), NOW_MS)
    append_purchases(world.database, 3)
    world.sign()
    with world.database.read() as connection:
        newest = newest_checkpoint(connection)
    assert newest is not None
    made = Audited(desk, newest[1], read_state(world.settings.keys_dir / SIGNER_STATE))
    assert made.report(outside=True, state=True).problems == []
    return made


def test_an_untouched_ledger_is_clean_and_counted(audited: Audited) -> None:
    report = audited.report(outside=True, state=True)
    assert (report.size, report.checkpoints, report.boxes, report.problems) == (11, 3, 7, [])
    assert report.root == audited.state.root


def test_an_edited_entry_is_named(audited: Audited) -> None:
    with open_file(audited.desk.database) as file:
        change_leaf(file, 3, b'"source":"link"', b'"source":"stripe"')
    problems = audited.report().problems
    assert problems[0] == audited.problem("entry_differs_from_tree", 3)
    assert {problem.reason for problem in problems[1:]} == {"checkpoint_differs", "head_differs"}


def test_a_deleted_entry_is_named_by_its_position(audited: Audited) -> None:
    with open_file(audited.desk.database) as file:
        file.execute("DELETE FROM ledger_entry WHERE position = 3")
    assert audited.report().problems[0] == Problem("entry_missing", 3)


def test_deleted_last_entries_are_missed(audited: Audited) -> None:
    with open_file(audited.desk.database) as file:
        file.execute("DELETE FROM ledger_entry WHERE position >= 9")
    assert audited.reasons() == {"head_differs", "node_differs", "ledger_cut_short"}


def test_a_clean_cut_is_seen_only_from_outside(audited: Audited) -> None:
    with open_file(audited.desk.database) as file:
        cut(file, 8)
    assert audited.reasons() == set()
    assert audited.reasons(outside=True) == {"ledger_cut_short"}
    assert audited.reasons(state=True) == {"ledger_cut_short"}


def test_a_rewritten_history_is_seen_by_a_stored_checkpoint(audited: Audited) -> None:
    with open_file(audited.desk.database) as file:
        change_leaf(file, 1, b"offers", b"profiling")
        rebuild_tree(file)
    assert audited.reasons() == {"checkpoint_differs"}


def test_a_rewritten_history_without_its_checkpoints_is_seen_only_from_outside(audited: Audited) -> None:
    with open_file(audited.desk.database) as file:
        change_leaf(file, 1, b"offers", b"profiling")
        rebuild_tree(file)
        file.execute("DELETE FROM ledger_checkpoint")
    assert audited.reasons() == set()
    assert audited.reasons(outside=True) == {"checkpoint_differs"}
    assert audited.reasons(state=True) == {"checkpoint_differs"}


def test_a_history_signed_anew_with_the_stolen_key_is_seen_from_outside(audited: Audited) -> None:
    with open_file(audited.desk.database) as file:
        change_leaf(file, 1, b"offers", b"profiling")
        rebuild_tree(file)
        file.execute("DELETE FROM ledger_checkpoint")
    state_file = audited.desk.world.settings.keys_dir / SIGNER_STATE
    state_file.write_text('{"size": 0, "root": ""}', encoding="ascii")
    assert audited.desk.world.sign() == 11
    assert audited.reasons() == set()
    assert audited.reasons(outside=True) == {"two_roots_for_one_size", "checkpoint_differs"}


def test_two_swapped_entries_are_both_named(audited: Audited) -> None:
    with open_file(audited.desk.database) as file:
        for old, new in ((8, -8), (9, 8), (-8, 9)):
            file.execute("UPDATE ledger_entry SET position = ? WHERE position = ?", (new, old))
    named = [problem.position for problem in audited.report().problems if problem.reason == "entry_differs_from_tree"]
    assert named == [8, 9]


def test_two_swapped_boxes_of_one_person_are_both_named(audited: Audited) -> None:
    with open_file(audited.desk.database) as file:
        for old, new in ((0, -1), (1, 0), (-1, 1)):
            file.execute("UPDATE vault SET position = ? WHERE position = ?", (new, old))
    assert audited.report().problems == [audited.problem("box_does_not_open", position) for position in (0, 1)]


def test_a_dropped_box_is_named(audited: Audited) -> None:
    with open_file(audited.desk.database) as file:
        file.execute("DELETE FROM vault WHERE position = 1")
    assert audited.report().problems == [audited.problem("box_missing", 1)]


def test_an_edited_node_is_named_by_the_entry_that_completes_it(audited: Audited) -> None:
    with open_file(audited.desk.database) as file:
        file.execute("UPDATE ledger_node SET hash = zeroblob(32) WHERE position = 5")  # over entries 2 and 3
    assert audited.report().problems == [Problem("node_differs", 3)]


def test_a_missing_node_is_named(audited: Audited) -> None:
    with open_file(audited.desk.database) as file:
        file.execute("DELETE FROM ledger_node WHERE position = 5")
    assert audited.report().problems == [Problem("node_differs", 3)]


@pytest.mark.parametrize(
    "edit", ["subject = zeroblob(16)", "kind = 'consent.given'", "recorded_at_ms = 0", "subject = NULL", "id = x'00'"]
)
def test_an_edited_column_is_named(audited: Audited, edit: str) -> None:
    with open_file(audited.desk.database) as file:
        file.execute(f"UPDATE ledger_entry SET {edit} WHERE position = 0")
    assert audited.problem("columns_differ", 0) in audited.report().problems


def test_an_edited_head_is_named(audited: Audited) -> None:
    with open_file(audited.desk.database) as file:
        file.execute("UPDATE ledger_head SET frontier = zeroblob(96)")
    assert audited.reasons() == {"head_differs"}


def test_a_checkpoint_of_somebody_else_is_named(audited: Audited) -> None:
    with open_file(audited.desk.database) as file:
        file.execute("UPDATE ledger_checkpoint SET note = replace(note, 'samtykke', 'somebody') WHERE size = 11")
    assert audited.reasons() != set()


def test_entries_that_arrive_during_an_audit_are_no_problem(any_world: World) -> None:
    append_purchases(any_world.database, 3)
    any_world.sign()
    arrived: list[int] = []

    def meanwhile(_done: int) -> None:
        if not arrived:
            with any_world.database.write() as connection:
                arrived.extend(append_purchases_in(connection, 2))

    with any_world.database.read() as connection:
        report = audit(connection, [NoteVerifier.from_vkey(any_world.signer.vkey)], progress=meanwhile)
    assert (arrived, report.size, report.problems) == ([3, 4], 3, [])
