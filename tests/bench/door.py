"""What is measured, and in which order: ours and the floor in turn, so that other work on the machine hits both."""

import contextlib
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.bench.client import BenchmarkError, Load, send_all
from tests.bench.deliveries import FORM, KINDS, STRIPE, make_requests
from tests.bench.drain import inserted_per_s, recorded_per_s
from tests.bench.installation import install
from tests.bench.processes import FLOOR, OURS, Server, Valkey, serve
from tests.bench.table import Row, compare, percentile

TITLES = {FORM: "signed form", STRIPE: "Stripe checkout"}
RUNNING, KILLED, PAUSED = "running", "killed", "paused"
HEARD = {RUNNING: "reached", KILLED: "away", PAUSED: "away"}  # what /health/ready must tell of the queue


@dataclass(frozen=True, slots=True)
class Size:
    """How much at most: rounds, requests of each load, and requests before it that count in no figure.

    No round begins after `budget_s`; there is always one.
    """

    rounds: int
    requests: int
    warm_up: int
    budget_s: float


FULL = Size(rounds=5, requests=1000, warm_up=100, budget_s=100)
QUICK = Size(rounds=2, requests=250, warm_up=50, budget_s=20)

Series = dict[tuple[str, str], list[float]]  # (figure, side) -> one value per round


class Benchmark:
    """One run. `folder` must lie on the disk that is to be measured."""

    def __init__(self, size: Size, folder: Path, valkey: Valkey, clients: ProcessPoolExecutor) -> None:
        self._size = size
        self._folder = folder
        self._valkey = valkey
        self._clients = clients
        self._series: Series = defaultdict(list)
        self.rounds = 0

    def run(self) -> list[Row]:
        stop_at = time.monotonic() + self._size.budget_s
        while self.rounds < self._size.rounds and (self.rounds == 0 or time.monotonic() < stop_at):
            self._door_round(self._folder / f"door-{self.rounds}")
            self._queue_round(self._folder / f"queue-{self.rounds}")
            self.rounds += 1
        return self._rows()

    def _rows(self) -> list[Row]:
        rows = []
        for kind in KINDS:
            rows.append(self._row(f"accepted, {TITLES[kind]}", "deliveries/s", f"{kind} rate"))
            rows.append(self._row(f"server CPU, {TITLES[kind]}", "µs/request", f"{kind} cpu"))
        rows.append(self._row("recorded from the inbox", "deliveries/s", "drain"))
        for state in (KILLED, PAUSED):
            name, series = f"answer p99, queue {state} (floor: running)", self._series
            rows.append(compare(name, "ms", series["p99", state], series["p99", RUNNING]))
        return rows

    def _row(self, name: str, unit: str, figure: str) -> Row:
        return compare(name, unit, self._series[figure, OURS], self._series[figure, FLOOR])

    def _door_round(self, folder: Path) -> None:
        """Both doors on empty databases: each kind of delivery to ours and to the floor; then both drains."""
        with (
            install(folder, self._valkey.url) as installation,
            serve(OURS, installation.environment, installation.log_path) as ours,
            serve(FLOOR, installation.environment, installation.log_path) as floor,
        ):
            for kind in KINDS:
                for side, server in ((OURS, ours), (FLOOR, floor)):
                    self._measure(kind, side, server)
        sent = len(KINDS) * (self._size.warm_up + self._size.requests)
        if not sent == installation.accepted() == installation.stored():
            raise BenchmarkError("the rows are not as many as the answers of 200")
        self._series["drain", OURS].append(recorded_per_s(installation))
        self._series["drain", FLOOR].append(inserted_per_s(folder / "drain-floor"))

    def _measure(self, kind: str, side: str, server: Server) -> None:
        self._load(server, kind, self._size.warm_up)
        cpu_before_s = server.cpu_s()
        load = self._load(server, kind, self._size.requests)
        cpu_s = server.cpu_s() - cpu_before_s
        self._series[f"{kind} rate", side].append(self._size.requests / load.elapsed_s)
        self._series[f"{kind} cpu", side].append(cpu_s / self._size.requests * 1e6)

    def _load(self, server: Server, kind: str, count: int) -> Load:
        return self._clients.submit(send_all, server.port, make_requests(kind, count)).result()

    def _queue_round(self, folder: Path) -> None:
        """Answer times of one server while the queue runs, is killed and is paused."""
        with (
            install(folder, self._valkey.url) as installation,
            serve(OURS, installation.environment, installation.log_path) as server,
        ):
            for state in (RUNNING, KILLED, PAUSED):
                with self._queue_is(state):
                    self._load(server, FORM, self._size.warm_up)
                    load = self._load(server, FORM, self._size.requests)
                    if server.readiness().get("queue") != HEARD[state]:
                        raise BenchmarkError(f"the door did not notice that the queue was {state}")
                self._series["p99", state].append(percentile(load.answers_ms, 0.99))
        if installation.accepted() != len(HEARD) * (self._size.warm_up + self._size.requests):
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
