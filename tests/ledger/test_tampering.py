"""Which part of the audit sees which attack: the whole table, exactly, on both databases, and the page that prints it.

The attacker may write every row, and has every copy of the database; what is kept elsewhere is out of reach.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger import restriction
from ledger.audit import audit
from ledger.audit_report import Part, Report
from ledger.checkpoints import newest_checkpoint, note_verifiers, read_state
from ledger.erasure import erase
from ledger.keyring import SIGNER_STATE, Key, generate_keys, load_keyring
from ledger.log import lock_head
from ledger.note import NoteVerifier
from ledger.rectification import Correction, rectify
from tests.ledger.desk import HOUR_MS, KARI, NOW_MS, Desk, append_purchases, confirmation, sign_up, withdrawal
from tests.ledger.tampering import change_leaf, cut, hand_at, put_back, rebuild_tree, rows_of, swap
from tests.ledger.test_product_access import COURSE, ended, paid, sell
from tests.world import ORIGIN, ROOT, World

OLA = "ola@example.no"
KARI_FIRST, KARI_SECOND, OLA_REQUESTED, OLA_GIVEN = range(4)
PURCHASE = 20
TREE, CHECKPOINTS, ELSEWHERE, COLUMNS, PEOPLE, BOXES, OPENED = Part
PAGE = ROOT / "docs" / "concepts" / "the-ledger.md"


@dataclass
class Scene:
    """Kari asked for two purposes, Ola gave one; then sixty purchases. Signed before and after those.

    `outside` is the newest note; `verifiers` and `kek` are what whoever audits has.
    """

    desk: Desk
    outside: str
    signed_first: int
    verifiers: tuple[NoteVerifier, ...]
    kek: Key

    @property
    def state_file(self) -> Path:
        return self.desk.world.settings.keys_dir / SIGNER_STATE

    def report(self) -> Report:
        with self.desk.database.read() as connection:
            return audit(connection, self.verifiers, [self.outside], read_state(self.state_file), self.kek)


@pytest.fixture
def scene(any_world: World) -> Scene:
    desk = Desk(any_world)
    desk.say(sign_up(KARI, "newsletter", "offers"), NOW_MS)
    desk.say(sign_up(OLA, profile={"first_name": "Olav"}), NOW_MS)
    desk.say(confirmation(desk.asked(OLA)[-1]), NOW_MS + 1_000)
    signed_first = any_world.sign()
    append_purchases(any_world.database, 60)
    any_world.sign()
    with any_world.database.read() as connection:
        newest = newest_checkpoint(connection)
    assert newest is not None
    assert signed_first is not None
    verifiers = note_verifiers(load_keyring("clock", any_world.settings.keys_dir)["checkpoint"])
    made = Scene(desk, newest[1], signed_first, verifiers, desk.keyring["kek"])
    assert made.report().problems == []
    return made


Deed = Callable[[Scene], object]
ATTACKS: dict[str, tuple[Deed, set[Part]]] = {}


def attack(name: str, *seen_by: Part) -> Callable[[Deed], Deed]:
    def register(deed: Deed) -> Deed:
        ATTACKS[name] = (deed, set(seen_by))
        return deed

    return register


@attack("One entry is edited", TREE, CHECKPOINTS, ELSEWHERE)
def edit(scene: Scene) -> None:
    with hand_at(scene.desk.database) as hand:
        change_leaf(hand, OLA_GIVEN, b'"source":"link"', b'"source":"stripe"')


@attack("One entry is deleted from the middle", TREE, CHECKPOINTS, ELSEWHERE)
def delete(scene: Scene) -> None:
    with hand_at(scene.desk.database) as hand:
        hand.execute("DELETE FROM ledger_entry WHERE position = ?", (PURCHASE,))


@attack("The last fifty entries are cut off every table", ELSEWHERE)
def cut_off(scene: Scene) -> None:
    with hand_at(scene.desk.database) as hand:
        cut(hand, 14)


@attack("Two entries are swapped", TREE, CHECKPOINTS, ELSEWHERE, PEOPLE, BOXES, OPENED)
def swap_entries(scene: Scene) -> None:
    with hand_at(scene.desk.database) as hand:
        swap(hand, "ledger_entry", KARI_FIRST, OLA_REQUESTED)


@attack("One entry is edited and the tree rebuilt over it", CHECKPOINTS, ELSEWHERE)
def edit_and_rebuild(scene: Scene) -> None:
    with hand_at(scene.desk.database) as hand:
        change_leaf(hand, OLA_GIVEN, b'"source":"link"', b'"source":"stripe"')
        rebuild_tree(hand)


@attack("The same, and the stored checkpoints deleted", ELSEWHERE)
def edit_and_forget(scene: Scene) -> None:
    edit_and_rebuild(scene)
    with hand_at(scene.desk.database) as hand:
        hand.execute("DELETE FROM ledger_checkpoint")


@attack("The same, and all signed anew with the stolen key", ELSEWHERE)
def edit_and_sign(scene: Scene) -> None:
    edit_and_forget(scene)
    scene.state_file.write_text('{"size": 0, "root": ""}', encoding="ascii")
    assert scene.desk.world.sign() == 64


@attack("An old backup is put back and written on", ELSEWHERE)
def put_back_and_write_on(scene: Scene) -> None:
    with hand_at(scene.desk.database) as hand:
        cut(hand, scene.signed_first)
    append_purchases(scene.desk.database, 70)


@attack("Two boxes of one person are swapped", OPENED)
def swap_boxes(scene: Scene) -> None:
    with hand_at(scene.desk.database) as hand:
        swap(hand, "vault", KARI_FIRST, KARI_SECOND)


@attack("A box is dropped without a word", BOXES)
def drop_box(scene: Scene) -> None:
    with hand_at(scene.desk.database) as hand:
        hand.execute("DELETE FROM vault WHERE position = ?", (KARI_SECOND,))


@attack("A stored node is edited", TREE)
def edit_node(scene: Scene) -> None:
    with hand_at(scene.desk.database) as hand:
        hand.execute("UPDATE ledger_node SET hash = ? WHERE position = 5", (bytes(32),))


@attack("The stored head is edited", TREE)
def edit_head(scene: Scene) -> None:
    with hand_at(scene.desk.database) as hand:
        hand.execute("UPDATE ledger_head SET size = size + 1")


@attack("A column beside a leaf is edited", COLUMNS)
def edit_column(scene: Scene) -> None:
    with hand_at(scene.desk.database) as hand:
        hand.execute("UPDATE ledger_entry SET subject = ? WHERE position = ?", (bytes(16), OLA_GIVEN))


@attack("A member that no leaf has is written into one, and the tree rebuilt", CHECKPOINTS, ELSEWHERE, COLUMNS)
def insert_member(scene: Scene) -> None:
    with hand_at(scene.desk.database) as hand:
        change_leaf(hand, PURCHASE, b',"v":1}', b',"unknown":"word","v":1}')
        rebuild_tree(hand)


@attack("A stored checkpoint is edited", CHECKPOINTS)
def edit_checkpoint(scene: Scene) -> None:
    with hand_at(scene.desk.database) as hand:
        hand.execute("UPDATE ledger_checkpoint SET note = replace(note, '64', '63') WHERE size = 64")


@attack("The checkpoint key is exchanged", CHECKPOINTS, ELSEWHERE)
def exchange_checkpoint_key(scene: Scene) -> None:
    scene.verifiers = note_verifiers(generate_keys(ORIGIN)["checkpoint"])


@attack("The signer's state file of an earlier day is put back", ELSEWHERE)
def put_back_state(scene: Scene) -> None:
    scene.state_file.write_text('{"size": 0, "root": ""}', encoding="ascii")


@attack("The key-encryption key is exchanged", OPENED)
def exchange_kek(scene: Scene) -> None:
    scene.kek = generate_keys(ORIGIN)["kek"]


@attack("A consent state is edited", PEOPLE)
def edit_state(scene: Scene) -> None:
    with hand_at(scene.desk.database) as hand:
        hand.execute("UPDATE consent_state SET state = 'given' WHERE position = ?", (KARI_FIRST,))


@attack("A restriction is lifted without a word", PEOPLE)
def lift_restriction(scene: Scene) -> None:
    handle = scene.desk.handle()
    with scene.desk.database.write() as connection:
        restriction.restrict(connection, handle, "claims", NOW_MS + HOUR_MS, "operator")
    with hand_at(scene.desk.database) as hand:
        hand.execute("UPDATE subject SET restricted_at_ms = NULL, restricted_reason = NULL")


@attack("All rows about a person are deleted without a word", PEOPLE, BOXES)
def delete_person(scene: Scene) -> None:
    handle = scene.desk.handle()
    with hand_at(scene.desk.database) as hand:
        for table in ("vault", "link", "subject_address", "consent_state"):
            hand.execute(f"DELETE FROM {table} WHERE subject = ?", (handle,))
        hand.execute("DELETE FROM subject WHERE handle = ?", (handle,))


@attack("An erased person's rows are put back from a backup", PEOPLE)
def put_back_person(scene: Scene) -> None:
    handle = scene.desk.handle()
    with hand_at(scene.desk.database) as hand:
        backup = [("subject", rows_of(hand, "subject", "handle", handle))]
        backup += [(table, rows_of(hand, table, "subject", handle)) for table in ("subject_address", "vault")]
    erase_kari(scene)
    with hand_at(scene.desk.database) as hand:
        for table, rows in backup:
            put_back(hand, table, rows)


@attack("A box that was redacted is put back from a backup", BOXES)
def put_back_box(scene: Scene) -> None:
    handle = scene.desk.handle(OLA)
    with hand_at(scene.desk.database) as hand:
        backup = rows_of(hand, "vault", "position", OLA_REQUESTED)
    with scene.desk.database.write() as connection:
        rectify(connection, scene.desk.recorder(NOW_MS + HOUR_MS), handle, Correction({"first_name": "Ola"}))
    with hand_at(scene.desk.database) as hand:
        assert rows_of(hand, "vault", "position", OLA_REQUESTED) == []
        put_back(hand, "vault", backup)


@attack("An erasure is called complete before every processor has answered", PEOPLE)
def complete_erasure(scene: Scene) -> None:
    erase_kari(scene)
    with hand_at(scene.desk.database) as hand:
        assert hand.execute("UPDATE erasure SET completed_at_ms = 1").rowcount == 1


@attack("An erasure that is under way is forgotten", PEOPLE)
def forget_erasure(scene: Scene) -> None:
    erase_kari(scene)
    with hand_at(scene.desk.database) as hand:
        assert hand.execute("DELETE FROM erasure").rowcount == 1


@attack("Access to a product is kept after its payment was given back", PEOPLE)
def keep_access(scene: Scene) -> None:
    sell(scene.desk.world, COURSE)
    scene.desk.say(paid(), NOW_MS + HOUR_MS)
    scene.desk.say(ended(), NOW_MS + 2 * HOUR_MS)
    with hand_at(scene.desk.database) as hand:
        assert hand.execute("UPDATE product_access SET status = 'granted' WHERE product = 'course'").rowcount == 2


@attack("A suppression is deleted")
def delete_suppression(scene: Scene) -> None:
    scene.desk.say(withdrawal("nobody@example.no"), NOW_MS + HOUR_MS)
    with hand_at(scene.desk.database) as hand:
        assert hand.execute("DELETE FROM suppression").rowcount > 0


@attack("Somebody is erased, restricted or corrected as the law asks: no attack")
def erase_lawfully(scene: Scene) -> None:
    handle = scene.desk.handle(OLA)
    recorder = scene.desk.recorder(NOW_MS + HOUR_MS)
    erase_kari(scene)
    with scene.desk.database.write() as connection:
        rectify(connection, recorder, handle, Correction({"first_name": "Ola"}))
        restriction.restrict(connection, handle, "claims", NOW_MS + HOUR_MS, "operator")
    scene.desk.world.sign()


def erase_kari(scene: Scene) -> None:
    handle = scene.desk.handle()
    with scene.desk.database.write() as connection:
        lock_head(connection)
        erase(connection, scene.desk.recorder(NOW_MS + HOUR_MS), handle, reason="asked_by_person")


@pytest.mark.parametrize("name", ATTACKS)
def test_exactly_these_parts_of_the_audit_see_it(scene: Scene, name: str) -> None:
    deed, seen_by = ATTACKS[name]
    deed(scene)
    assert scene.report().seen_by == seen_by


def test_the_page_prints_the_same_table() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## Which check sees which attack\n")[2].partition("\n## ")[0]
    told = {}
    for row in re.findall(r"^\| (.*) \|$", section, re.MULTILINE)[1:]:
        name, *marks = (cell.strip() for cell in row.split("|"))
        assert set(marks) <= {"X", "-"}
        told[name] = {part for part, mark in zip(Part, marks, strict=True) if mark == "X"}
    assert told == {name: seen_by for name, (_, seen_by) in ATTACKS.items()}
    assert list(told) == list(ATTACKS)
