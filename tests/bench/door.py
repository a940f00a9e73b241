"""What is measured, and in which order: ours and the floor in turn, so that other work on the machine hits both."""

import contextlib
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.bench import accept, peer
from tests.bench.accept import FLOOR, OURS, POSTGRESQL, SQLITE, AcceptPath, Series, Side
from tests.bench.client import BenchmarkError, send_all
from tests.bench.deliveries import FORM, make_requests
from tests.bench.drain import inserted_per_s, record
from tests.bench.installation import Installation, install
from tests.bench.processes import FLOOR_APPLICATION, OUR_APPLICATION, Valkey, cpu_of_tree_s, serve
from tests.bench.table import Row, compare, percentile
from tests.postgres import PostgresServer

RUNNING, KILLED, PAUSED = "running", "killed", "paused"
HEARD = {RUNNING: "reached", KILLED: "away", PAUSED: "away"}  # what /health/ready must tell of the queue


@dataclass(frozen=True, slots=True)
class Size:
    """How much at most: rounds, and requests of each load. No round begins after `budget_s`; there is always one."""

    rounds: int
    accept: accept.Size
    budget_s: float


FULL = Size(rounds=3, accept=accept.Size(requests=800, steady=800, peer=300, warm_up=100), budget_s=200)
QUICK = Size(rounds=1, accept=accept.Size(requests=250, steady=250, peer=100, warm_up=50), budget_s=0)


class Benchmark:
    """One run. `folder` must lie on the disk that is to be measured."""

    def __init__(
        self, size: Size, folder: Path, valkey: Valkey, postgresql: PostgresServer, clients: ProcessPoolExecutor
    ) -> None:
        self._size = size
        self._folder = folder
        self._valkey = valkey
        self._postgresql = postgresql
        self._clients = clients
        self._series = Series()
        pid = _pid_of(postgresql)
        self._paths = {
            SQLITE: AcceptPath(SQLITE, size.accept, clients, lambda: 0.0, peer.NAME),
            POSTGRESQL: AcceptPath(POSTGRESQL, size.accept, clients, lambda: cpu_of_tree_s(pid), peer.NAME),
        }
        self.rounds = 0

    def run(self) -> list[Row]:
        stop_at = time.monotonic() + self._size.budget_s
        while self.rounds < self._size.rounds and (self.rounds == 0 or time.monotonic() < stop_at):
            self._sqlite_round()
            self._postgresql_round()
            self._queue_round()
            self.rounds += 1
        return self._rows()

    def _rows(self) -> list[Row]:
        rows = [row for path in self._paths.values() for row in path.rows()]
        rows.append(self._row("recorded from the inbox", "deliveries/s", "drain", FLOOR))
        rows += [
            compare(
                f"answer p99, queue {state} (floor: running)",
                "ms",
                self._series.of("p99", state),
                self._series.of("p99", RUNNING),
            )
            for state in (KILLED, PAUSED)
        ]
        return rows

    def _row(self, name: str, unit: str, figure: str, floor: str) -> Row:
        return compare(name, unit, self._series.of(figure, OURS), self._series.of(figure, floor))

    def _sqlite_round(self) -> None:
        """The accept path, and then both drains."""
        folder = self._folder / f"sqlite-{self.rounds}"
        with install(folder, self._valkey.url) as installation:
            self._accept_round(installation, SQLITE)
            recorded = record(installation)
            self._paths[SQLITE].add_recorder(recorded.cpu_us)
            self._series.add("drain", OURS, recorded.rate_per_s)
            self._series.add("drain", FLOOR, inserted_per_s(folder / "drain-floor"))

    def _postgresql_round(self) -> None:
        folder = self._folder / f"postgresql-{self.rounds}"
        with install(folder, self._valkey.url, self._postgresql) as installation:
            self._accept_round(installation, POSTGRESQL)

    def _accept_round(self, installation: Installation, database: str) -> None:
        """On empty databases. Who goes first takes turns, too."""
        with (
            serve(OUR_APPLICATION, installation.environment, installation.log_path) as ours,
            serve(FLOOR_APPLICATION, installation.environment, installation.log_path) as floor,
            peer.serve_peers(installation, processes=database == SQLITE) as peers,
        ):
            sides = [Side(OURS, ours), Side(FLOOR, floor)]
            accepted = self._paths[database].measure(sides[:: -1 if self.rounds % 2 else 1], peers)
            if not accepted == installation.accepted() == installation.stored():
                raise BenchmarkError("the rows are not as many as the answers of 200")
            peer.check_stored(installation, peers, self._size.accept.warm_up + self._size.accept.peer)

    def _queue_round(self) -> None:
        """Answer times of one server while the queue runs, is killed and is paused."""
        warm_up, count = self._size.accept.warm_up, self._size.accept.requests
        with (
            install(self._folder / f"queue-{self.rounds}", self._valkey.url) as installation,
            serve(OUR_APPLICATION, installation.environment, installation.log_path) as server,
        ):
            for state in (RUNNING, KILLED, PAUSED):
                with self._queue_is(state):
                    for requests in (make_requests(FORM, warm_up), make_requests(FORM, count)):
                        load = self._clients.submit(send_all, server.port, requests).result()
                    if server.readiness().get("queue") != HEARD[state]:
                        raise BenchmarkError(f"the door did not notice that the queue was {state}")
                self._series.add("p99", state, percentile(load.answers_ms, 0.99))
            if installation.accepted() != len(HEARD) * (warm_up + count):
                raise BenchmarkError("the rows are not as many as the answers of 200")

    @contextlib.contextmanager
    def _queue_is(self, state: str) -> Iterator[None]:
        if state == KILLED:
            self._valkey.kill()
        if state == PAUSED:
            self._valkey.pause()
        try:
            yield
        finally:
            if state == KILLED:
                self._valkey.start()
            if state == PAUSED:
                self._valkey.resume()


def one_client() -> ProcessPoolExecutor:
    """The client's own process; a fresh interpreter, so that it shares nothing with the servers' parent."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def _pid_of(server: PostgresServer) -> int:
    """The first line of its postmaster.pid."""
    with psycopg.connect(server.admin_url) as connection:
        (folder,) = connection.execute("SELECT current_setting('data_directory')").fetchone() or ("",)
    return int((Path(folder) / "postmaster.pid").read_text(encoding="ascii").splitlines()[0])
