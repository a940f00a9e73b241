"""The clock: rings for what waits in the database, signs whatever else is slow, and says that it is alive."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger import quarantine
from ledger.checkpoints import newest_checkpoint, note_signers
from ledger.cosignature import CosignatureSigner
from ledger.errors import SignerError
from ledger.heartbeat import beat, last_beat_ms
from ledger.keyring import Key, load_keyring, replace_key
from ledger.note import open_note
from tests.ledger.desk import append_purchases
from tests.ledger.tampering import change_leaf, cut, open_file
from tests.workers.logged import errors
from tests.workers.witnessing import Backup, silent, witnessing
from tests.world import World
from workers import clock, publishing
from workers.clock import due_queues, sign
from workers.context import now_ms
from workers.queue import INTAKE, RECORD, RELAY, RELAY_URGENT


def test_it_rings_for_exactly_what_is_due(world: World) -> None:
    assert due_queues(world.database, now_ms()) == []
    world.post_signed("newsletter", {"email": "kari@example.no", "newsletter": "yes"})
    assert due_queues(world.database, now_ms()) == [RECORD]
    world.record()
    assert due_queues(world.database, now_ms()) == [RELAY]
    world.post_signed("withdrawal", {"email": "ola@example.no"})
    world.carry()
    world.record()
    assert due_queues(world.database, now_ms()) == [RELAY_URGENT]


def test_once_a_minute_it_rings_for_what_the_calendar_says(world: World) -> None:
    """Proofs need keys that the clock does not hold, sources must be asked; nothing else rings when all is done."""
    context = world.context("clock")
    assert clock.sweep(context) == []
    assert clock.sweep(context, calendar=True) == [RECORD, INTAKE]
    world.post_signed("newsletter", {"email": "kari@example.no", "newsletter": "yes"})
    assert sorted(clock.sweep(context, calendar=True)) == sorted([RECORD, INTAKE])


def test_a_heartbeat_replaces_the_one_before(any_world: World) -> None:
    beat(any_world.database, "clock", 1_000)
    beat(any_world.database, "clock", 2_000)
    with any_world.database.read() as connection:
        assert last_beat_ms(connection, "clock") == 2_000
        assert last_beat_ms(connection, "record") is None


def test_the_doctor_misses_a_clock_that_has_stopped(world: World) -> None:
    def finding() -> tuple[str, str]:
        rows = json.loads(world.command("doctor", "--json").stdout)
        return next((row["level"], row["finding"]) for row in rows if row["check"] == "clock")

    assert finding()[0] == "warning"
    beat(world.database, "clock", now_ms())
    assert finding()[0] == "ok"
    beat(world.database, "clock", now_ms() - 3_600_000)
    assert finding() == ("fault", "seen 3600 s ago")


# Signing


def grow(world: World, count: int) -> None:
    append_purchases(world.database, count)
    sign(world.context("clock"))


def quarantined(world: World) -> str | None:
    with world.database.read() as connection:
        return quarantine.reason_of(connection)


def signed(world: World) -> int:
    with world.database.read() as connection:
        newest = newest_checkpoint(connection)
    return newest[0] if newest else 0


@pytest.mark.parametrize(("written", "reason"), [(0, "ledger_behind_signer"), (9, "ledger_forked")])
def test_another_history_than_the_signed_one_is_quarantined_and_told_once(
    world: World, written: int, reason: str
) -> None:
    grow(world, 3)
    assert quarantined(world) is None
    grow(world, 3)
    with open_file(world.database) as file:
        cut(file, 3)
    append_purchases(world.database, written)
    with errors() as told:
        for _ in range(3):
            sign(world.context("clock"))
    assert quarantined(world) == reason
    assert told == [{"event": "quarantine_entered", "reason": reason}]
    assert signed(world) == 3


def test_whatever_else_the_signer_refuses_is_no_quarantine(world: World) -> None:
    grow(world, 3)
    append_purchases(world.database, 1)
    with open_file(world.database) as file:
        change_leaf(file, 3, b"contract", b"consent")
    with pytest.raises(SignerError, match="ledger_leaf_changed"):
        sign(world.context("clock"))
    assert quarantined(world) is None


def test_a_key_that_is_rotated_signs_without_a_restart(world: World) -> None:
    context = world.context("clock")
    append_purchases(world.database, 1)
    sign(context)
    keys_dir = world.settings.keys_dir
    old = load_keyring("clock", keys_dir)["checkpoint"]
    new = Key(2, {**old.versions, 2: b"2" * 32}, old.origin)
    replace_key(keys_dir, "checkpoint", new)
    append_purchases(world.database, 1)
    sign(context)
    with world.database.read() as connection:
        newest = newest_checkpoint(connection)
    assert newest is not None
    verifiers = [signer.verifier() for signer in note_signers(new)]
    assert open_note(newest[1], verifiers).signed_by == tuple(verifiers)


# The whole process


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A clock without its pauses, and the test's own signal handlers afterwards."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(clock, "TICK_S", 0.01)
    monkeypatch.setattr(publishing, "INTERVAL_S", 0.01)
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def run_during(world: World, deed: Callable[[], object]) -> None:
    """The clock as its process runs it, with `deed` beside it, and SIGTERM when that is done."""

    def work() -> None:
        try:
            deed()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        clock.run(world.context("clock"))
        done.result()


def wait_until(condition: Callable[[], object]) -> None:
    while not condition():
        time.sleep(0.01)


@pytest.mark.usefixtures("hurried")
def test_a_witness_that_hangs_delays_no_signature_and_no_end(world: World) -> None:
    vkey = CosignatureSigner("witness.example.org/mute", Ed25519PrivateKey.generate()).verifier().vkey()
    with silent() as mute:
        world.settings = replace(world.settings, witnesses=((vkey, mute.url),))

        def grow_meanwhile() -> None:
            append_purchases(world.database, 1)
            mute.is_asked.wait()
            append_purchases(world.database, 1)
            wait_until(lambda: signed(world) == 2)

        run_during(world, grow_meanwhile)
    assert signed(world) == 2


@pytest.mark.usefixtures("hurried")
def test_a_restored_backup_that_a_witness_knows_better_is_quarantined(world: World, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    with witnessing(world) as witness:
        world.settings = replace(world.settings, checkpoint_drop_dir=tmp_path / "elsewhere")
        backup = Backup(world)
        append_purchases(world.database, 3)
        run_during(world, lambda: wait_until(lambda: witness.size == 3 and any((tmp_path / "elsewhere").iterdir())))
        backup.restore()
        append_purchases(world.database, 1)
        run_during(world, lambda: wait_until(lambda: quarantined(world)))
    assert quarantined(world) == "witness_is_ahead"
