"""kill -9 of every process while 500 deliveries come in: whoever was told 200 is recorded, once."""

import os
import random
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.conftest import Note
from tests.faults.oracle import assert_ledger_verifies, breaches, database_of, wait_until_recorded
from tests.faults.senders import Campaign, Journal, fresh_name
from tests.stack import Stack

COUNT = 500
OURS = ("web", "record", "relay-urgent", "relay", "intake", "clock", "valkey")
ROUNDS = 3


def gunicorn_workers(stack: Stack) -> list[int]:
    """The children of gunicorn's master: the processes that answer."""
    master = str(stack.pids()["web"])
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = path.read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if parent == master:
            found.append(int(path.parent.name))
    return found


def kill_under_load(stack: Stack, victims: list[str]) -> Journal:
    """500 deliveries; the victims die one after the other, evenly over them, each while the others run on."""
    campaign = Campaign(stack, f"kill-{fresh_name()}", COUNT).start()
    killed: dict[str, int] = {}
    try:
        for number, name in enumerate(victims, 1):
            campaign.wait_for_progress(number * COUNT // (len(victims) + 2))
            if name in killed:
                stack.wait_restarted(name, killed[name])
            if name == "web-worker":
                stack.wait_for(lambda: gunicorn_workers(stack) != [], "for a worker of gunicorn's")
                os.kill(gunicorn_workers(stack)[0], signal.SIGKILL)
            else:
                killed[name] = stack.kill(name)
        journal = campaign.finish()
    finally:
        campaign.stop()
    for name, pid in killed.items():
        stack.wait_restarted(name, pid)
    stack.wait_ready()
    return journal


def assert_kept(stack: Stack, journal: Journal, note: Note) -> None:
    wait_until_recorded(stack)
    note("acknowledged", len(journal.acknowledged))
    note("answers", dict(journal.answers))
    note("slowest_answer_s", round(journal.slowest_s, 3))
    assert len(set(journal.acknowledged)) == COUNT
    assert breaches(database_of(stack), journal.acknowledged) == []
    assert_ledger_verifies(stack)


def test_whoever_dies_what_was_acknowledged_is_recorded_once(service: Stack, note: Note) -> None:
    journal = kill_under_load(service, ["record", "valkey", "relay", "web", "clock", "relay-urgent", "web-worker"])
    assert_kept(service, journal, note)


@pytest.mark.long
@pytest.mark.parametrize("victim", [*OURS, "web-worker"])
def test_a_process_that_dies_again_and_again_loses_nothing(service: Stack, victim: str, note: Note) -> None:
    assert_kept(service, kill_under_load(service, [victim] * ROUNDS), note)


@pytest.mark.long
def test_a_recorder_that_dies_twenty_times_loses_nothing(service: Stack, note: Note) -> None:
    assert_kept(service, kill_under_load(service, ["record"] * 20), note)


@pytest.mark.long
def test_everything_at_once_as_in_a_power_cut(tmp_path: Path, note: Note) -> None:
    """Every process, the launcher too, in one moment under load; then a start on the same data."""
    with Stack(tmp_path) as stack:
        campaign = Campaign(stack, "cut", COUNT).start()
        try:
            campaign.wait_for_progress(COUNT // 2)
            assert stack.launcher is not None
            for pid in (stack.launcher.pid, *stack.pids().values(), *gunicorn_workers(stack)):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            stack.stop()
            stack.start()
            journal = campaign.finish()
        finally:
            campaign.stop()
        assert_kept(stack, journal, note)


@pytest.mark.long
def test_all_that_the_manager_runs_may_die_in_any_order(service: Stack, note: Note) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    note("seed", seed)
    names = sorted(name for name in service.pids() if name != "manager") * 2
    random.Random(seed).shuffle(names)
    assert_kept(service, kill_under_load(service, names), note)
