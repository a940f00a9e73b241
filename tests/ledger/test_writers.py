"""Many writers at once, and writers that are killed: one order without a gap, and nothing lost that was acknowledged.

Who commits when is not ours to decide, so no two runs are the same; what must hold, holds in all of them.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from ledger.audit import audit
from ledger.database import Database
from ledger.errors import DatabaseAwayError
from ledger.log import read_entries, size
from ledger.migrate import upgrade
from ledger.tables import ledger_head, ledger_node, subject, vault
from tests.ledger.model import Model
from tests.ledger.writers import READY, RECORDER, Acknowledged, append, make_events, read_acknowledged
from tests.postgres import PostgresServer
from tests.stack import ROOT

CREWS = 4
SIXTEEN = [[RECORDER if (crew, one) == (0, 0) else f"{crew}-{one}" for one in range(4)] for crew in range(CREWS)]
THREE = [[RECORDER], ["1-0", "1-1"], ["2-0", "2-1"]]
ENTRIES = 2_000
WAIT_S = 60.0
Crew = subprocess.Popen[str]


def url_of(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


@contextlib.contextmanager
def writing(url: str, folder: Path, crews: Sequence[Sequence[str]]) -> Iterator[list[Crew]]:
    """A process for each crew, all writing by now; killed at the end if they are still there."""
    started: list[Crew] = []
    with contextlib.ExitStack() as stack, (folder / "stderr").open("a") as errors:
        for names in crews:
            argv = [sys.executable, "-m", "tests.ledger.writers", url, str(folder), *names]
            crew = subprocess.Popen(
                argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, bufsize=1
            )
            started.append(stack.enter_context(crew))
            stack.callback(crew.kill)
        for crew in started:
            assert crew.stdout is not None
            assert crew.stdout.readline() == READY, (folder / "stderr").read_text()
        for crew in started:
            assert crew.stdin is not None
            crew.stdin.write("go\n")
        yield started


def end(crews: Sequence[Crew]) -> list[int]:
    """Their exit codes, once each has finished what it was at."""
    for crew in crews:
        assert crew.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            crew.stdin.close()
    return [crew.wait(WAIT_S) for crew in crews]


def acknowledged(folder: Path, crews: Sequence[Sequence[str]]) -> list[Acknowledged]:
    return [one for names in crews for name in names for one in read_acknowledged(folder / name)]


class Follower:
    """Rebuilds the tree from the leaves as the ledger grows, and compares every new row with it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._model = Model()
        self.ids: list[str] = []

    def follow(self) -> int:
        """Read on from where it stopped; returns the size now."""
        first, first_node = len(self._model.leaves), len(self._model.nodes)
        with self._database.read() as connection:
            entries = list(read_entries(connection, first, size(connection)))
            head = connection.execute(select(ledger_head.c.size, ledger_head.c.frontier)).one()
            nodes = connection.execute(
                select(ledger_node).where(ledger_node.c.position >= first_node).order_by(ledger_node.c.position)
            ).all()
            owners = connection.execute(
                select(vault.c.position, subject.c.handle)
                .join(subject, subject.c.handle == vault.c.subject)
                .where(vault.c.position >= first)
                .order_by(vault.c.position)
            ).all()
            people = connection.execute(select(func.count()).select_from(subject)).scalar_one()
        assert [entry.position for entry in entries] == list(range(first, head.size)), "a gap"
        for entry in entries:
            self._model.add_leaf(entry.leaf)
        assert [tuple(node) for node in nodes] == list(enumerate(self._model.nodes))[first_node:]
        assert (head.size, head.frontier) == (len(self._model.leaves), self._model.frontier)
        # What belongs to an entry is there if and only if the entry is.
        assert [tuple(owner) for owner in owners] == [(entry.position, entry.subject) for entry in entries]
        assert people == head.size
        self.ids += [entry.id.hex() for entry in entries]
        return int(head.size)

    def check_kept(self, promises: Sequence[Acknowledged]) -> int:
        """Every entry stands where the writer was told; returns how many were promised."""
        for promise in promises:
            assert self.ids[promise.first : promise.first + len(promise.ids)] == list(promise.ids), promise.writer
        return sum(len(promise.ids) for promise in promises)


def test_sixteen_writers_make_one_order_and_a_reader_that_follows_it_misses_nothing(
    database: Database, tmp_path: Path
) -> None:
    follower = Follower(database)
    seen = 0
    with writing(url_of(database), tmp_path, SIXTEEN) as crews:
        while seen < ENTRIES:
            # A position that is passed over is never read again: if it were filled later, the last line would fail.
            seen = follower.follow()
            assert all(crew.poll() is None for crew in crews), (tmp_path / "stderr").read_text()
        assert end(crews) == [0] * CREWS, (tmp_path / "stderr").read_text()
    stored = follower.follow()
    of_writer = {name: read_acknowledged(tmp_path / name) for names in SIXTEEN for name in names}
    for own in of_writer.values():
        assert [one.first for one in own] == sorted(one.first for one in own)
    promises = [one for own in of_writer.values() for one in own]
    assert follower.check_kept(promises) == stored == len({*follower.ids})
    # Nobody waits until the others have done: each had its turn again and again.
    assert min(len(own) for own in of_writer.values()) >= 5


def kill_rounds(url: str, folder: Path, rounds: int, seed: int) -> tuple[int, int]:
    """Kill busy writers, one process after the other; returns how many entries were acknowledged and are stored."""
    rng = random.Random(seed)
    database = Database(url)
    follower = Follower(database)
    promised = 0
    for number in range(rounds):
        round_folder = folder / f"round-{number}"
        round_folder.mkdir()
        with writing(url, round_folder, THREE) as crews:
            for crew in rng.sample(crews, len(crews)):
                time.sleep(rng.uniform(0.01, 0.2))
                crew.send_signal(signal.SIGKILL)
                assert crew.wait(WAIT_S) == -signal.SIGKILL, (round_folder / "stderr").read_text()
        again = Database(url)
        (position,) = append(again, make_events(1))
        again.close()
        assert follower.follow() == position + 1
        promised += 1 + follower.check_kept(acknowledged(round_folder, THREE))
    with database.read() as connection:
        assert audit(connection).problems == []
    database.close()
    return promised, len(follower.ids)


def test_writers_that_are_killed_lose_nothing_that_was_acknowledged(database: Database, tmp_path: Path) -> None:
    promised, stored = kill_rounds(url_of(database), tmp_path, 3, seed=1)
    assert 3 < promised <= stored


@pytest.mark.long
def test_forty_rounds_of_killed_writers_lose_nothing_that_was_acknowledged(database: Database, tmp_path: Path) -> None:
    promised, stored = kill_rounds(url_of(database), tmp_path, 40, seed=2)
    assert 40 < promised <= stored


def crash(database: Database) -> None:
    """kill -9 of one server process: PostgreSQL ends all the others too, and recovers from its WAL."""
    with database.read() as connection:
        others = text("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        pid = random.choice(connection.execute(others).scalars().all())
    os.kill(pid, signal.SIGKILL)


def wait_until_back(database: Database) -> None:
    give_up_at = time.monotonic() + WAIT_S
    while True:
        try:
            with database.read() as connection:
                size(connection)
            return
        except DatabaseAwayError:
            assert time.monotonic() < give_up_at
            time.sleep(0.05)


def test_a_postgresql_that_crashes_under_its_writers_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    with PostgresServer(tmp_path) as server, server.fresh_database("crash") as url:
        database = Database(url)
        upgrade(database)
        follower = Follower(database)
        with writing(url, tmp_path, THREE) as crews:
            while follower.follow() < 50:
                time.sleep(0.01)
            crash(database)
            assert any(end(crews)), "nobody noticed"
        wait_until_back(database)
        append(database, make_events(1))
        stored = follower.follow()
        assert 50 <= follower.check_kept(acknowledged(tmp_path, THREE)) < stored
        with database.read() as connection:
            assert audit(connection).problems == []
        database.close()
