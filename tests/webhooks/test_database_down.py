"""The database is locked, paused or gone while deliveries come in: 503 in time, never a false 200, and nothing lost."""

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select

from ledger.sqlite import sqlite
from ledger.tables import inbox
from tests.faults.senders import Answer, post
from tests.postgres import PostgresServer
from tests.webhooks.server import Server, serving
from tests.world import FORM_SECRET, World, settings_for

CF7 = "/webhooks/forms/newsletter-contact-form-7"
HEADERS = {"Content-Type": "application/json", "X-Gdpr-Token": FORM_SECRET}
SENDERS = 16  # twice as many as there are threads
ANSWERED_MAX_S = 5.0 + 1.0  # the promise, and a little for a machine that tests
OUTAGE_S = 6.0
BACK_WAIT_S = 3.0


class Senders:
    """Each sends one new delivery after the other, and does not try again."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._is_over = threading.Event()
        self._pool = ThreadPoolExecutor(SENDERS)
        self.answers: list[tuple[float, Answer]] = []
        for sender in range(SENDERS):
            self._pool.submit(self._run, sender)

    def _run(self, sender: int) -> None:
        number = 0
        while not self._is_over.is_set():
            address = f"s{'abcdefghijklmnopqrstuvwxyz'[sender]}x{number}@example.test"
            body = b'{"your-email": "%b", "gdpr-consent": "1"}' % address.encode()
            answer = post(self._server.port, CF7, body, HEADERS)
            self.answers.append((time.monotonic(), answer))
            number += 1
            self._is_over.wait(0.2)

    def finish(self) -> list[tuple[float, Answer]]:
        self._is_over.set()
        self._pool.shutdown()
        return self.answers


def stored(world: World) -> int:
    with world.database.read() as connection:
        return connection.execute(select(func.count()).select_from(inbox)).scalar_one()


def break_and_mend(world: World, fault: AbstractContextManager[object]) -> None:
    """Senders before, during and after; the fault lasts longer than anybody may wait."""
    with serving(world.settings, world.settings.data_dir) as server:
        senders = Senders(server)
        time.sleep(1)
        with fault:
            time.sleep(OUTAGE_S)
        time.sleep(BACK_WAIT_S)
        answers = [answer for _, answer in sorted(senders.finish(), key=lambda one: one[0])]
    told = Counter(answer.status for answer in answers)
    assert set(told) == {200, 503}
    assert told[503] >= SENDERS
    assert {dict(answer.headers).get("Retry-After") for answer in answers if answer.status == 503} == {"30"}
    assert max(answer.took_s for answer in answers) < ANSWERED_MAX_S
    assert {answer.status for answer in answers[-SENDERS:]} == {200}  # it is back
    # What was told 200 is there. A commit whose answer was lost is there too: who sent it was told to come again.
    assert told[200] <= stored(world) <= told[200] + SENDERS


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """By a program that does not know of our own lock, as the sqlite3 shell."""
    other = sqlite.connect(str(path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


@contextmanager
def paused(cluster: PostgresServer) -> Iterator[None]:
    """It holds its sockets open and says nothing, which is worse than being away."""
    master = cluster.pid
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    stopped = [master, *map(int, children)]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def outages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, "Future[None]"]]:
    """All at once: each takes its ten seconds."""
    with PostgresServer(tmp_path_factory.mktemp("cluster")) as cluster, cluster.fresh_database("down") as url:
        worlds = [World(settings_for(tmp_path_factory.mktemp("down"), where)) for where in (None, None, url)]
        faults = {
            "locked": locked(worlds[0].settings.data_dir / "samtykke.db"),
            "written to": worlds[1].database.write(),
            "paused": paused(cluster),
        }
        with ThreadPoolExecutor(len(faults)) as pool:
            yield {
                name: pool.submit(break_and_mend, world, fault)
                for world, (name, fault) in zip(worlds, faults.items(), strict=True)
            }
        for world in worlds:
            world.close()


@pytest.mark.parametrize("name", ["locked", "written to", "paused"])
def test_it_says_503_in_time_and_keeps_what_it_acknowledged(outages: Mapping[str, "Future[None]"], name: str) -> None:
    """SQLite by another program, or for long by one of our own processes; PostgreSQL stopped in the middle."""
    outages[name].result()
