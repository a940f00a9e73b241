"""A backup is put back: it is noticed, nothing is recorded with it, and the mirror brings back what it lacks."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ledger import mirror, quarantine, restriction, vault
from ledger.audit import audit
from ledger.checkpoints import note_verifiers, read_state
from ledger.database import Database
from ledger.errors import RefusedError, SignerError
from ledger.keyring import SIGNER_STATE, load_keyring
from ledger.log import lock_head, root, size
from ledger.restoration import check_continuation, restore
from ledger.sending import may_send
from ledger.tables import relay, subject
from ledger.tables import vault as vault_table
from schemas.address import parse_address
from tests.ledger.desk import DAY_MS, HOUR_MS, KARI, NOW_MS, Desk, confirmation, sign_up, withdrawal
from tests.ledger.test_erasure import erase_kari
from tests.ledger.test_proof import carried, settle
from tests.world import World

OLA, EVA = "ola@example.no", "eva@example.no"


class Day:
    """One day in the life of an installation: a backup in the morning, a mirror in the evening."""

    def __init__(self, world: World) -> None:
        self.world, self.desk = world, Desk(world)
        self.file = Path(str(world.database.url.database))
        self.backup = self.file.with_name("backup.db")
        self.mirror = self.file.with_name("mirror")
        self.verifiers = note_verifiers(load_keyring("clock", world.settings.keys_dir)["checkpoint"])

    def back_up(self) -> None:
        assert self.world.database.forget_deleted()  # the whole ledger is in one file then
        shutil.copy(self.file, self.backup)

    def mirror_now(self) -> None:
        self.world.sign()
        with self.world.database.read() as connection:
            self.mirror.mkdir(exist_ok=True)
            mirror.extend_mirror(connection, self.mirror)

    def put_back(self) -> None:
        self.world.database.engine.dispose()
        self.world.client.application.extensions["door"].database.engine.dispose()
        self.world.console.app.extensions["operator"].close()
        for suffix in ("-wal", "-shm"):
            Path(f"{self.file}{suffix}").unlink(missing_ok=True)
        shutil.copy(self.backup, self.file)

    def state(self) -> Any:
        return read_state(self.world.settings.keys_dir / SIGNER_STATE)

    def restore(self) -> dict[str, int]:
        database = self.world.database
        with database.read() as connection:
            found = check_continuation(connection, self.mirror, self.verifiers, [self.state()])
        return restore(database, self.desk.recorder(NOW_MS + 2 * DAY_MS), self.mirror, found).done

    def problems(self) -> list[str]:
        with self.world.database.read() as connection:
            report = audit(connection, self.verifiers, state=self.state(), kek=self.desk.keyring["kek"])
        return [one.reason for one in report.problems]


@pytest.fixture
def day(world: World) -> Day:
    return Day(world)


def test_a_backup_that_is_put_back_is_noticed_and_nothing_is_recorded_with_it(day: Day) -> None:
    day.desk.give(KARI, NOW_MS)
    day.back_up()
    day.desk.say(withdrawal(KARI), NOW_MS + HOUR_MS)
    day.mirror_now()
    day.put_back()
    with pytest.raises(SignerError, match="ledger_behind_signer"):
        day.world.sign()
    released = json.loads(day.world.command("database", "upgrade", "--json").stdout)
    assert released["quarantined"] == "ledger_behind_signer"
    assert day.world.post_signed("withdrawal", {"email": OLA}).status_code == 200, "the door is open"
    assert (day.world.record(), day.world.carry(urgent=True)) == (0, 0)
    assert day.world.check(KARI)["reason"] == "quarantined", "it may have been withdrawn since"
    day.restore()
    assert day.world.check(KARI)["reason"] == "withdrawn"
    assert day.world.record() == 1, "what was accepted meanwhile"


def test_withdrawals_come_back_and_are_carried_again(day: Day) -> None:
    day.desk.give(KARI, NOW_MS, "newsletter", "offers")
    day.desk.give(OLA, NOW_MS)
    day.back_up()
    day.desk.say(withdrawal(KARI, "offers"), NOW_MS + HOUR_MS)
    day.mirror_now()
    with day.world.database.read() as connection:
        before = (size(connection), root(connection, size(connection)))
    day.put_back()
    assert day.restore() == {"people_lost": 0, "withdrawn": 1, "lost_in_restore": 1}
    with day.world.database.read() as connection:
        assert root(connection, before[0]) == before[1], "the very same tree"
    assert (day.desk.check(KARI, "offers"), day.desk.check(KARI), day.desk.check(OLA)) == (
        "withdrawn",
        "given",
        "given",
    )
    assert {row.processor for row in day.desk.relays(action="withdraw")} == set(day.world.policy.processors)
    assert day.problems() == []
    assert day.world.sign()
    assert day.problems() == []
    assert day.desk.kinds()[-1] == "ledger.restored"


def test_an_erased_person_is_erased_again_before_anything_else_happens(day: Day) -> None:
    day.desk.give(KARI, NOW_MS)
    handle = day.desk.handle()
    day.back_up()
    erase_kari(day.desk)
    day.mirror_now()
    day.put_back()
    assert day.desk.handle() == handle, "the backup knows her"
    assert day.restore()["erased"] == 1
    with day.world.database.read() as connection:
        assert connection.execute(select(subject)).all() == []
        assert connection.execute(select(vault_table)).all() == []
        assert may_send(connection, day.desk.keyring, [parse_address(KARI)], "newsletter")[0].reason == "suppressed"
    day.desk.say(sign_up(), NOW_MS + 3 * DAY_MS)
    assert day.desk.check() == "suppressed", "not back by a list that is read in again"
    assert day.problems() == []


def test_restrictions_and_proofs_come_back(day: Day) -> None:
    for email in (KARI, OLA, EVA):
        day.desk.say(sign_up(email, profile={"first_name": "Navn"}), NOW_MS)
        day.desk.say(confirmation(day.desk.asked(email)[-1]), NOW_MS + 1_000)
    kari, ola = day.desk.handle(), day.desk.handle(OLA)
    day.back_up()
    with day.world.database.write() as connection:
        lock_head(connection)
        restriction.restrict(connection, ola, "claims", NOW_MS + HOUR_MS, "operator")
    day.desk.say(withdrawal(KARI), NOW_MS + HOUR_MS)
    carried(day.desk)
    assert settle(day.desk, NOW_MS + DAY_MS) == (1, 0)
    with day.world.database.read() as connection:
        until_ms = connection.execute(select(subject.c.keep_until_ms).where(subject.c.handle == kari)).scalar_one()
    day.mirror_now()
    day.put_back()
    done = day.restore()
    assert (done["restricted"], done["withdrawn"]) == (2, len(day.world.policy.purposes))
    with day.world.database.read() as connection:
        assert restriction.reason_of(connection, ola) == "claims"
        assert restriction.reason_of(connection, kari) == "withdrawn"
        row = connection.execute(select(subject).where(subject.c.handle == kari)).one()
        assert row.keep_until_ms == until_ms
        person = vault.for_erasure(vault.load_subject(connection, day.desk.keyring["kek"], kari))
        payloads = vault.open_payloads(connection, person)
    assert payloads == [{"email": KARI}], "the address, so that she can be found and erased; not the name"
    assert day.problems() == []


def test_who_signed_up_since_the_backup_is_lost_and_the_ledger_says_so(day: Day) -> None:
    day.back_up()
    day.desk.give(KARI, NOW_MS)
    day.mirror_now()
    day.put_back()
    assert day.restore()["people_lost"] == 1
    assert day.desk.check() == "never_asked"
    ended = [leaf for leaf in day.world.leaves() if leaf["kind"] == "subject.expired"]
    assert [(leaf["reason"], leaf["source"]) for leaf in ended] == [("lost_in_restore", "restore")]
    assert day.problems() == []


def test_a_database_that_is_gone_altogether_comes_back_as_its_leaves(day: Day) -> None:
    day.back_up()
    for at, email in enumerate((KARI, OLA, EVA)):
        day.desk.give(email, NOW_MS + at * HOUR_MS)
    erase_kari(day.desk, NOW_MS + DAY_MS)
    day.mirror_now()
    day.put_back()
    done = day.restore()
    assert done["people_lost"] == 2
    assert day.problems() == []


def test_a_restore_may_be_run_twice(day: Day) -> None:
    day.desk.give(KARI, NOW_MS)
    day.back_up()
    day.desk.say(withdrawal(KARI), NOW_MS + HOUR_MS)
    day.mirror_now()
    day.put_back()
    day.restore()
    entries = len(day.world.leaves())
    day.world.sign()
    with pytest.raises(RefusedError, match="mirror_is_behind"):
        day.restore()
    assert len(day.world.leaves()) == entries


def test_a_mirror_that_lags_or_is_another_ledgers_is_refused(day: Day) -> None:
    day.desk.give(KARI, NOW_MS)
    day.back_up()
    day.mirror_now()
    day.desk.say(withdrawal(KARI), NOW_MS + HOUR_MS)
    day.world.sign()
    day.put_back()
    with pytest.raises(RefusedError, match="mirror_is_behind"):
        day.restore()
    with day.world.database.read() as connection:
        assert quarantine.reason_of(connection) is None, "refusing changes nothing"


def test_a_backup_that_was_written_on_is_not_of_this_ledger(day: Day) -> None:
    day.desk.give(KARI, NOW_MS)
    day.back_up()
    day.desk.say(withdrawal(KARI), NOW_MS + HOUR_MS)
    day.mirror_now()
    day.put_back()
    day.desk.say(sign_up(OLA), NOW_MS + HOUR_MS)
    with pytest.raises(RefusedError, match="mirror_is_of_another_ledger"):
        day.restore()


def test_the_command_restores_and_says_what_it_did(day: Day) -> None:
    day.desk.give(KARI, NOW_MS)
    day.back_up()
    erase_kari(day.desk)
    day.mirror_now()
    day.put_back()
    arguments = ("ledger", "restore", "--mirror", str(day.mirror), "--json")
    dry = day.world.command(*arguments, "--dry-run")
    assert json.loads(dry.stdout)["result"] == "would_restore"
    done = day.world.command(*arguments)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) | {"result": "restored", "erased": 1} == json.loads(done.stdout)
    assert day.world.command("ledger", "verify").exit_code == 0


def test_without_anything_that_says_how_long_it_was_nothing_is_restored(day: Day) -> None:
    day.desk.give(KARI, NOW_MS)
    day.mirror_now()
    (day.world.settings.keys_dir / SIGNER_STATE).unlink()
    refused = day.world.command("ledger", "restore", "--mirror", str(day.mirror))
    assert (refused.exit_code, "nothing_says_how_long_the_ledger_was" in refused.output) == (4, True)
    kept = day.mirror / "checkpoint"
    done = day.world.command("ledger", "restore", "--mirror", str(day.mirror), "--checkpoint", str(kept), "--dry-run")
    assert done.exit_code == 0, done.output


def test_a_false_alarm_is_ended_by_hand_and_a_true_one_is_not(day: Day) -> None:
    day.desk.give(KARI, NOW_MS)
    day.back_up()
    day.desk.give(OLA, NOW_MS)
    day.mirror_now()
    with day.world.database.write() as connection:
        quarantine.enter(connection, "witness_is_ahead", NOW_MS)
    assert json.loads(day.world.command("ledger", "resume", "--json").stdout)["was"] == "witness_is_ahead"
    assert day.desk.check() == "given"
    day.put_back()
    day.world.command("database", "upgrade")
    refused = day.world.command("ledger", "resume")
    assert (refused.exit_code, refused.output.strip()) == (4, "ledger_behind_signer")
    assert day.desk.check() == "quarantined"


def test_a_drill_shows_that_it_would_work_and_touches_nothing(day: Day) -> None:
    day.desk.give(KARI, NOW_MS)
    day.back_up()
    erase_kari(day.desk)
    day.desk.give(OLA, NOW_MS + HOUR_MS)
    day.mirror_now()
    entries, backup = len(day.world.leaves()), day.backup.read_bytes()
    done = day.world.command("ledger", "drill", str(day.backup), "--mirror", str(day.mirror), "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["quarantined"] == "ledger_behind_signer"
    assert (told["erased"], told["people_lost"], told["problems"]) == (1, 1, 0)
    assert (len(day.world.leaves()), day.backup.read_bytes()) == (entries, backup)


def test_the_backup_command_makes_what_a_drill_takes(day: Day) -> None:
    day.desk.give(KARI, NOW_MS)
    file = day.backup.with_name("by-command.db")
    assert day.world.command("database", "backup", str(file)).exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    again = day.world.command("database", "backup", str(file))
    assert (again.exit_code, again.output.strip()) == (4, "file_exists")
    erase_kari(day.desk)
    day.mirror_now()
    assert day.world.command("ledger", "drill", str(file), "--mirror", str(day.mirror)).exit_code == 0


def test_a_drill_on_the_ledger_in_use_is_refused(day: Day) -> None:
    day.mirror.mkdir()
    url = str(day.world.settings.database_url)
    refused = day.world.command("ledger", "drill", url, "--mirror", str(day.mirror))
    assert (refused.exit_code, "backup_is_the_ledger_in_use" in refused.output) == (4, True)


def test_an_empty_database_of_either_kind_becomes_the_signed_ledger(day: Day, database: Database) -> None:
    day.desk.give(KARI, NOW_MS)
    day.desk.say(withdrawal(KARI), NOW_MS + HOUR_MS)
    day.mirror_now()
    with day.world.database.read() as connection:
        signed = (size(connection), root(connection, size(connection)))
    with database.read() as connection:
        found = check_continuation(connection, day.mirror, day.verifiers, [day.state()])
    restored = restore(database, day.desk.recorder(NOW_MS + DAY_MS), day.mirror, found)
    assert (restored.size_before, restored.leaves, restored.done) == (0, signed[0], {"people_lost": 1})
    with database.read() as connection:
        assert root(connection, signed[0]) == signed[1]
        report = audit(connection, day.verifiers, state=day.state(), kek=day.desk.keyring["kek"])
        assert report.problems == []
        assert connection.execute(select(relay)).all() == []
