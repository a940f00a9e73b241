"""The accept path: every kind of traffic to ours, the floor and the peer in turn, on one database, in one round."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from tests.bench.client import Load, send_all
from tests.bench.deliveries import FORM, KINDS, STRIPE, make_requests
from tests.bench.processes import Server
from tests.bench.table import Row, compare, compare_peer, measured, percentile

OURS, FLOOR = "ours", "floor"
KIND_TITLES = {FORM: "signed form", STRIPE: "Stripe checkout"}
SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
PER_CPU, RECORDED_PER_CPU = "accepted per second of CPU", "recorded per second of CPU"


@dataclass(frozen=True, slots=True)
class Traffic:
    """`rate_per_s`: an open loop; None: a closed one."""

    title: str
    connections: int
    rate_per_s: float | None = None


FEW, MANY, STEADY = Traffic("16 connections", 16), Traffic("64 connections", 64), Traffic("200/s", 64, 200.0)
CLOSED = (FEW, MANY)


@dataclass(frozen=True, slots=True)
class Side:
    """Who is measured. `path`: where its requests go, if not where ours do. `records`: whether it has done everything
    with a delivery when it answers, which ours leaves to the recorder.
    """

    name: str
    server: Server
    path: str | None = None
    records: bool = False


@dataclass(frozen=True, slots=True)
class Size:
    """Requests of each load, in the open loop, to the peer; and before each that count in no figure."""

    requests: int
    steady: int
    peer: int
    warm_up: int


class Series:
    """What was measured, one value for each round: `[figure, side]`."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], list[float]] = defaultdict(list)

    def add(self, figure: str, side: str, value: float) -> None:
        self._values[figure, side].append(value)

    def of(self, figure: str, side: str) -> list[float]:
        return self._values[figure, side]


class AcceptPath:
    """On one database. `database_cpu_s`: seconds of CPU that its own processes have used so far; 0 for SQLite."""

    def __init__(
        self,
        database: str,
        size: Size,
        clients: ProcessPoolExecutor,
        database_cpu_s: Callable[[], float],
        peer_name: str,
    ) -> None:
        self._database = database
        self._size = size
        self._clients = clients
        self._database_cpu_s = database_cpu_s
        self._peer_name = peer_name
        self._series = Series()
        self._peers: dict[str, Side] = {}

    def measure(self, sides: Sequence[Side], peers: Sequence[Side]) -> int:
        """One round; how many requests each of `sides` has accepted."""
        accepted = 0
        for kind in KINDS:
            for traffic in (*CLOSED, STEADY):
                count = self._size.steady if traffic is STEADY else self._size.requests
                for side in sides:
                    self._load(kind, side, traffic, count)
                accepted += self._size.warm_up + count
        for peer in peers:
            self._peers[peer.name] = peer
            self._load(STRIPE, peer, FEW, self._size.peer)
        return accepted

    def add_recorder(self, cpu_us: float) -> None:
        """What the recorder adds to each acceptance of the round."""
        *_, per_cpu = self._series.of(self._name(PER_CPU, STRIPE, FEW), OURS)
        self._series.add(self._name(RECORDED_PER_CPU, STRIPE, FEW), OURS, 1e6 / (1e6 / per_cpu + cpu_us))

    def _load(self, kind: str, side: Side, traffic: Traffic, count: int) -> None:
        self._send(kind, side, FEW, self._size.warm_up)
        before_s, database_before_s = side.server.cpu_s(), self._database_cpu_s()
        load = self._send(kind, side, traffic, count)
        server_us = (side.server.cpu_s() - before_s) / count * 1e6
        database_us = (self._database_cpu_s() - database_before_s) / count * 1e6
        for figure, value in (
            ("rate", count / load.elapsed_s),
            ("server CPU", server_us),
            ("database CPU", database_us),
            (PER_CPU, 1e6 / (server_us + database_us)),
            ("p50", percentile(load.answers_ms, 0.5)),
            ("p99", percentile(load.answers_ms, 0.99)),
        ):
            self._series.add(self._name(figure, kind, traffic), side.name, value)

    def _send(self, kind: str, side: Side, traffic: Traffic, count: int) -> Load:
        requests = make_requests(kind, count, side.path)
        return self._clients.submit(
            send_all, side.server.port, requests, traffic.connections, traffic.rate_per_s
        ).result()

    def rows(self) -> list[Row]:
        rows = []
        for kind in KINDS:
            for traffic in CLOSED:
                rows.append(self._compared("accepted", "rate", "deliveries/s", kind, traffic))
                rows += self._cpu_rows(kind, traffic)
            rows += self._cpu_rows(kind, STEADY)
            rows += [self._compared(f"answer {share}", share, "ms", kind, STEADY) for share in ("p50", "p99")]
        return rows + [row for peer in self._peers.values() for row in self._peer_rows(peer)]

    def _cpu_rows(self, kind: str, traffic: Traffic) -> list[Row]:
        server = self._compared("server CPU", "server CPU", "µs/request", kind, traffic)
        figure = self._name("server CPU", kind, traffic)
        both = zip(self._series.of(figure, OURS), self._series.of(figure, FLOOR), strict=True)
        above = measured(
            self._name("above the floor", kind, traffic), "µs/request", [mine - least for mine, least in both]
        )
        if self._database == SQLITE:
            return [server, above]
        return [server, above, self._compared("database CPU", "database CPU", "µs/request", kind, traffic)]

    def _compared(self, title: str, figure: str, unit: str, kind: str, traffic: Traffic) -> Row:
        name = self._name(figure, kind, traffic)
        return compare(
            self._name(title, kind, traffic), unit, self._series.of(name, OURS), self._series.of(name, FLOOR)
        )

    def _peer_rows(self, peer: Side) -> Iterator[Row]:
        theirs = self._series.of(self._name(PER_CPU, STRIPE, FEW), peer.name)
        for figure in (PER_CPU, RECORDED_PER_CPU) if peer.records else (PER_CPU,):
            ours = self._series.of(self._name(figure, STRIPE, FEW), OURS)
            name = f"{figure}, {KIND_TITLES[STRIPE]}, {self._database}, {peer.name}"
            yield compare_peer(name, "deliveries/s", ours, theirs, self._peer_name)

    def _name(self, figure: str, kind: str, traffic: Traffic) -> str:
        return f"{figure}, {KIND_TITLES[kind]}, {self._database}, {traffic.title}"
