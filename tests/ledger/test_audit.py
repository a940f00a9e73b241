"""The audit names every tampering, each by the part that can see it, and nothing that is lawful."""

import re
from dataclasses import dataclass

import pytest

from ledger.audit import audit
from ledger.audit_report import LISTED_MAX, Problem, Report
from ledger.checkpoints import SignerState, newest_checkpoint, note_verifiers, read_state
from ledger.keyring import SIGNER_STATE, load_keyring
from ledger.log import READ_BATCH, entry_at
from ledger.note import NoteVerifier
from ledger.vault import load_subject, seal_payload
from tests.ledger.desk import NOW_MS, Desk, append_purchases, append_purchases_in, sign_up, withdrawal
from tests.ledger.tampering import change_leaf, cut, open_file, rebuild_tree
from tests.world import ROOT, World


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


@pytest.mark.parametrize(
    ("edit", "reasons"),
    [
        (
            "INSERT INTO subject (handle, data_key, language, created_at_ms) VALUES (zeroblob(16), X'', '', 1)",
            "person_unknown",
        ),
        ("UPDATE subject SET restricted_at_ms = 1 WHERE rowid = 1", "restriction_differs"),
        ("INSERT INTO consent_state VALUES (zeroblob(16), 'newsletter', 'given', 1, 1, NULL)", "state_unknown"),
        ("DELETE FROM consent_state WHERE position = 3", "state_missing"),
        ("UPDATE consent_state SET effective_at_ms = effective_at_ms + 1 WHERE position = 3", "state_differs"),
        ("UPDATE consent_state SET position = 2 WHERE position = 3", "state_differs"),
        ("INSERT INTO vault SELECT 3, subject, box FROM vault WHERE position = 2", "box_without_commitment"),
        ("INSERT INTO vault SELECT 99, subject, box FROM vault WHERE position = 2", "box_without_entry"),
        (
            "UPDATE vault SET subject = (SELECT subject FROM vault WHERE position = 2) WHERE position = 0",
            "box_of_somebody_else box_does_not_open",
        ),
        ("UPDATE ledger_checkpoint SET size = 12 WHERE size = 11", "checkpoint_size_differs"),
        ("INSERT INTO ledger_node VALUES (999, zeroblob(32))", "node_differs"),
    ],
)
def test_a_row_that_follows_from_no_entry_is_named(audited: Audited, edit: str, reasons: str) -> None:
    with open_file(audited.desk.database) as file:
        assert file.execute(edit).rowcount == 1
    assert audited.reasons() == set(reasons.split())


def test_another_payload_under_the_right_key_is_not_what_was_committed(audited: Audited) -> None:
    desk = audited.desk
    with desk.database.read() as connection:
        person = load_subject(connection, desk.keyring["kek"], desk.handle("ola@example.no"))
        _, box = seal_payload(person, entry_at(connection, 2).id.hex(), {"email": "other@example.no"})
    with open_file(desk.database) as file:
        file.execute("UPDATE vault SET box = ? WHERE position = 2", (box,))
    assert audited.report().problems == [audited.problem("box_differs_from_commitment", 2)]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'"state":"dpv:ConsentGiven"', b'"state":"dpv:ConsentRequested"', "leaf_outside_vocabulary"),
        (b'"kind":"consent.given"', b'"kind":"consent.granted"', "leaf_outside_vocabulary"),
        (b'"recorded_at":"2096-', b'"recorded_at":"2096-13-', "leaf_outside_vocabulary"),
        (b'"recorded_at":"2096-10-', b'"recorded_at":"2096-13-', "leaf_time_impossible"),
        (b'"v":1}', b'"v":1 }', "leaf_not_canonical"),
    ],
)
def test_a_leaf_that_we_never_write_is_named(audited: Audited, old: bytes, new: bytes, reason: str) -> None:
    with open_file(audited.desk.database) as file:
        change_leaf(file, 3, old, new)
    assert audited.problem(reason, 3) in audited.report().problems


def test_a_ledger_of_several_batches_keeps_its_place_beside_a_gap(world: World) -> None:
    append_purchases(world.database, READ_BATCH + 40)
    world.sign()
    verifiers = [NoteVerifier.from_vkey(world.signer.vkey)]
    with world.database.read() as connection:
        assert audit(connection, verifiers).problems == []
    with open_file(world.database) as file:
        file.execute("DELETE FROM ledger_entry WHERE position IN (4000, 4001, ?)", (READ_BATCH + 7,))
        change_leaf(file, READ_BATCH, b"contract", b"consent")
    with world.database.read() as connection:
        report = audit(connection, verifiers)
    assert [(one.reason, one.position) for one in report.problems] == [
        ("entry_missing", 4000),
        ("entry_missing", 4001),
        ("entry_differs_from_tree", READ_BATCH),
        ("entry_missing", READ_BATCH + 7),
        ("checkpoint_differs", READ_BATCH + 39),
        ("head_differs", READ_BATCH + 40),
    ]


def test_all_problems_are_counted_and_the_first_hundred_listed(world: World) -> None:
    append_purchases(world.database, 150)
    with open_file(world.database) as file:
        file.execute("UPDATE ledger_entry SET recorded_at_ms = 0")
    with world.database.read() as connection:
        report = audit(connection)
    assert (report.counts, len(report.problems)) == ({"columns_differ": 150}, LISTED_MAX)
    assert [one.position for one in report.problems] == list(range(LISTED_MAX))


def test_an_older_memory_of_the_signer_is_named(audited: Audited) -> None:
    audited.state = SignerState(0, b"")
    assert audited.reasons(state=True) == {"signer_state_behind"}
    assert audited.reasons(outside=True) == set()


def test_every_reason_of_the_audit_is_explained() -> None:
    page = (ROOT / "docs" / "concepts" / "the-ledger.md").read_text(encoding="utf-8")
    sources = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "ledger").glob("audit*.py"))
    reasons = set(re.findall(r'note\(\s*"(\w+)"', sources)) | set(re.findall(r'return "(\w+)"', sources))
    assert len(reasons) >= 25
    assert {reason for reason in reasons if f"`{reason}`" not in page} == set()
