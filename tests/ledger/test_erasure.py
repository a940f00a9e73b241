"""Who is erased cannot be found again, in the rows nor in the files, comes back only by a yes of their own, and the
ledger still verifies.
"""

import secrets
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from ledger import suppression
from ledger.check import pending_purposes
from ledger.database import Database
from ledger.erasure import erase
from ledger.errors import NotFoundError
from ledger.log import entry_at, entry_by_id, lock_head, root, size
from ledger.outbox import PARKED, SUPERSEDED
from ledger.tables import consent_state, inbox, link, metadata, relay, subject, subject_address, vault
from ledger.vault import load_subject, open_payload
from schemas.address import parse_address
from schemas.entry import Kind
from tests.ledger.desk import (
    DAY_MS,
    HOUR_MS,
    KARI,
    NOW_MS,
    Desk,
    confirmation,
    link_withdrawal,
    sign_up,
    unconfirmed,
    withdrawal,
)
from tests.world import World

PEOPLE = (vault, link, subject, subject_address, consent_state)


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


def erase_kari(desk: Desk, at_ms: int = NOW_MS + HOUR_MS, email: str = KARI) -> int:
    handle = desk.handle(email)
    with desk.database.write() as connection:
        lock_head(connection)
        return erase(connection, desk.recorder(at_ms), handle, "consent_withdrawn").position


def known(desk: Desk) -> dict[str, bytes]:
    """Everything in the database that leads to Kari, by what it is; each long enough to be found in a file."""
    handle = desk.handle()
    found: dict[str, bytes] = {}
    with desk.database.read() as connection:
        person = load_subject(connection, desk.keyring["kek"], handle)
        for row in connection.execute(select(subject).where(subject.c.handle == handle)):
            found["wrapped key"] = row.data_key[1:]
        for row in connection.execute(select(subject_address).where(subject_address.c.subject == handle)):
            found |= {"narrow tag": row.narrow, "wide tag": row.wide}
        for row in connection.execute(select(link).where(link.c.subject == handle)):
            found[f"link {row.kind}"] = row.id
        for row in connection.execute(select(vault).where(vault.c.subject == handle)):
            found[f"box {row.position}"] = row.box
            found[f"salt {row.position}"] = open_payload(person, _id_at(connection, row.position), row.box)[0]
    assert len(found) >= 6
    return found


def _id_at(connection: Any, position: int) -> bytes:
    return entry_at(connection, position).id


def in_files(folder: Path, known: dict[str, bytes]) -> set[str]:
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return {name for name, value in known.items() if any(value in data for data in files)}


def settle_relays(desk: Desk) -> None:
    """Everything that was to be carried has been: as if each processor had answered."""
    with desk.database.write() as connection:
        connection.execute(relay.update().values(status="confirmed", box=None))


def test_nothing_is_left_that_leads_to_the_person(any_world: World) -> None:
    desk = Desk(any_world)
    desk.give(KARI, NOW_MS, "newsletter", "offers")
    desk.give("ola@example.no", NOW_MS)
    desk.withdraw_link(KARI, NOW_MS)
    handle, kept = desk.handle(), desk.handle("ola@example.no")
    position = erase_kari(desk)
    for table in PEOPLE:
        column = table.c.handle if table is subject else table.c.subject
        with desk.database.read() as connection:
            assert set(connection.execute(select(column)).scalars()) == {kept}, table.name
    leaf = any_world.leaves()[position]
    assert (leaf["kind"], leaf["subject"], leaf["reason"]) == ("subject.erased", handle.hex(), "consent_withdrawn")
    with pytest.raises(NotFoundError):
        desk.handle()
    assert desk.check() == "suppressed"
    assert desk.check("ola@example.no") == "given"
    assert desk.problems() == []


def test_no_table_has_a_row_of_the_person_that_no_test_knows_of(desk: Desk) -> None:
    """A new table with a column `subject` must be thought of here."""
    with_subject = {name for name, table in metadata.tables.items() if "subject" in table.c}
    assert with_subject == {
        *(
            "ledger_entry",
            "relay",
            "pending_withdrawal",
            "rights_request",
            "erasure",
        ),  # handles only, which then lead nowhere
        *("subject_address", "vault", "consent_state", "link", "product_access", "drift_check"),
        *("answer", "profile_fact"),
    }


def test_no_byte_is_left_in_the_files_of_sqlite(desk: Desk) -> None:
    desk.give(KARI, NOW_MS, "newsletter", "offers")
    desk.withdraw_link(KARI, NOW_MS)
    desk.give("ola@example.no", NOW_MS)
    secrets_of_kari = known(desk)
    folder = Path(str(desk.database.url.database)).parent
    assert in_files(folder, secrets_of_kari) >= {name for name in secrets_of_kari if not name.startswith("salt")}
    erase_kari(desk)
    settle_relays(desk)
    assert desk.database.forget_deleted()
    assert in_files(folder, secrets_of_kari) == set()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_no_byte_is_left_in_the_files_of_postgresql_after_a_full_vacuum(any_world: World) -> None:
    """Its write-ahead log keeps copies until it is recycled, and so does every backup: for their time."""
    desk = Desk(any_world)
    desk.give("ola@example.no", NOW_MS)
    desk.give(KARI, NOW_MS, "newsletter", "offers")
    desk.withdraw_link(KARI, NOW_MS)
    secrets_of_kari = known(desk)
    erase_kari(desk)
    settle_relays(desk)
    assert desk.database.forget_deleted(thoroughly=True)
    with desk.database.engine.connect() as connection:
        server = connection.execution_options(isolation_level="AUTOCOMMIT")
        folder = Path(server.execute(text("SHOW data_directory")).scalar_one())
        server.execute(text("CHECKPOINT"))
        assert in_files(folder / "base", secrets_of_kari) == set()
        for _ in range(3):
            server.execute(text("SELECT pg_switch_wal()"))
            server.execute(text("CHECKPOINT"))
    assert in_files(folder, secrets_of_kari) == set()


def test_the_write_ahead_log_would_keep_them(desk: Desk) -> None:
    """Why forget_deleted is there: secure_delete alone does not reach it."""
    desk.give(KARI, NOW_MS)
    secrets_of_kari = known(desk)
    erase_kari(desk)
    assert in_files(Path(str(desk.database.url.database)).parent, secrets_of_kari) != set()


def test_forgetting_waits_for_no_reader_for_ever(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    other = Database(desk.world.settings.database_url, busy_timeout_s=0.2)
    with desk.database.read() as connection:
        connection.execute(select(subject)).all()
        erase_after = Desk(desk.world)
        erase_kari(erase_after)
        assert other.forget_deleted() is False
    assert other.forget_deleted() is True
    other.close()


def test_the_root_and_every_proof_stay_what_they_were(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    with desk.database.read() as connection:
        before = size(connection)
        was = root(connection, before)
    desk.world.sign()
    erase_kari(desk)
    with desk.database.read() as connection:
        assert root(connection, before) == was
    desk.world.sign()
    assert desk.problems() == []


def test_every_processor_is_told_and_the_address_is_gone_once_all_have_answered(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    erase_kari(desk)
    rows = desk.relays(action="erase")
    assert {row.processor for row in rows} == set(desk.world.policy.processors)
    assert all(row.box for row in rows)
    settle_relays(desk)
    assert not any(row.box for row in desk.relays())


def test_an_old_list_that_is_read_in_again_brings_nobody_back(any_world: World) -> None:
    unconfirmed(any_world)  # purposes that a form alone gives
    desk = Desk(any_world)
    desk.say(sign_up(), NOW_MS)
    assert desk.check() == "given"
    erase_kari(desk)
    # An import, later than the erasure, of an address and of another spelling of it.
    for at, email in enumerate((KARI, "Kari+liste@example.no")):
        desk.say(sign_up(email), NOW_MS + 2 * DAY_MS + at)
        assert desk.check(email) == "suppressed"
    assert desk.kinds().count("consent.given") == 1, "asked, not given"
    # A yes of their own, by the link that was mailed.
    desk.say(confirmation(desk.asked()[-1]), NOW_MS + 3 * DAY_MS)
    assert desk.check() == "given"
    assert desk.check(purpose="offers") == "suppressed", "nobody asked for that"
    desk.say(sign_up(KARI, "offers"), NOW_MS + 5 * DAY_MS)
    assert desk.check(purpose="offers") == "suppressed"


def test_a_purpose_that_comes_later_is_covered_too(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    erase_kari(desk)
    address = parse_address(KARI)
    with desk.database.read() as connection:
        found = suppression.find(connection, desk.keyring["suppression"], address)
    assert suppression.since_ms(found, "a-purpose-of-next-year") == NOW_MS + HOUR_MS


def test_who_was_erased_is_asked_once_a_day_at_most(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    erase_kari(desk)
    for minute in range(5):
        desk.say(sign_up(), NOW_MS + 2 * HOUR_MS + minute * 60_000)
    assert len(desk.asked()) == 1


def test_a_grant_of_before_the_erasure_that_comes_late_asks_nobody(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    erase_kari(desk)
    desk.say(sign_up(sent_at_ms=NOW_MS - HOUR_MS), NOW_MS + DAY_MS)
    assert desk.asked() == []
    assert desk.check() == "suppressed"


def test_another_spelling_of_the_address_is_somebody_else(desk: Desk) -> None:
    """Wide matches stop sending; they never erase."""
    desk.give(KARI, NOW_MS)
    desk.give("kari+blogg@example.no", NOW_MS)
    erase_kari(desk)
    assert desk.handle("kari+blogg@example.no")


def test_a_body_that_waits_for_an_operator_goes_too(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    for at, email in enumerate((KARI, "okari@example.no", "KARI@example.no")):
        assert desk.world.post_signed("newsletter", {"email": email, "newsletter": "yes", "n": at}).status_code == 200
    with desk.database.write() as connection:
        connection.execute(inbox.update().values(status=PARKED, reason="for_a_test"))
    erase_kari(desk)
    with desk.database.read() as connection:
        rows = connection.execute(select(inbox.c.box).order_by(inbox.c.id)).scalars().all()
    assert [box is None for box in rows] == [True, False, True]


def test_a_parked_relay_of_the_person_is_over(desk: Desk) -> None:
    """It would hold the address for as long as nobody looks; the erasure carries what it would have done."""
    desk.say(withdrawal(KARI), NOW_MS)  # nobody's address yet: sealed in the relays
    desk.say(withdrawal("ola@example.no"), NOW_MS)
    desk.give(KARI, NOW_MS + HOUR_MS)
    with desk.database.write() as connection:
        connection.execute(relay.update().where(relay.c.box.is_not(None)).values(status=PARKED))
    erase_kari(desk, NOW_MS + DAY_MS)
    ended = desk.relays(status=SUPERSEDED, action="withdraw")
    assert [(row.reason, row.box) for row in ended] == [("subject_erased", None)] * 3
    assert len(desk.relays(status=PARKED, action="withdraw")) == 3, "somebody else's"


def test_what_was_accepted_before_and_is_recorded_after_has_nobody_to_meet(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    link_id = desk.withdraw_link(KARI, NOW_MS)
    question = desk.asked()[-1]
    handle = desk.handle()
    erase_kari(desk)
    assert desk.say(link_withdrawal(link_id), NOW_MS + 2 * HOUR_MS) == []
    assert desk.say(confirmation(question), NOW_MS + 2 * HOUR_MS) == []
    with desk.database.read() as connection:
        assert pending_purposes(connection, [handle], []) == set()


def test_the_link_in_an_old_mail_still_answers_as_it_always_did(desk: Desk) -> None:
    world = desk.world
    world.give(KARI)
    path = world.link("w")
    before = world.client.post(path, data={"List-Unsubscribe": "One-Click"})
    erase_kari(desk)
    after = world.client.post(path, data={"List-Unsubscribe": "One-Click"})
    assert (after.status_code, after.data) == (before.status_code, before.data) == (200, before.data)


def test_an_erasure_that_fails_has_changed_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.give(KARI, NOW_MS)
    rows = {table.name: desk.count(table) for table in metadata.tables.values()}
    monkeypatch.setattr("ledger.erasure_work.begin", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        erase_kari(desk)
    assert {table.name: desk.count(table) for table in metadata.tables.values()} == rows
    assert desk.check() == "given"


def test_who_is_not_there_cannot_be_erased(desk: Desk) -> None:
    with pytest.raises(NotFoundError), desk.database.write() as connection:
        erase(connection, desk.recorder(NOW_MS), secrets.token_bytes(16), "consent_withdrawn")


def test_the_person_gets_a_receipt_at_the_address_that_was_erased(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    position = erase_kari(desk)
    mails = {row.action: row for row in desk.relays(processor="mail") if row.sequence == position}
    assert {action: bool(row.box) for action, row in mails.items()} == {"receipt": True, "outcome": True}
    mail = mails["receipt"]
    with desk.database.read() as connection:
        assert entry_by_id(connection, mail.cause).kind == Kind.ERASED
