"""The relayer's speed: a burst of withdrawals to three processors that each take 20 ms to answer, and one when idle.

The processors are the simulators of the tests: every write is read back. On SQLite and PostgreSQL. Of somebody unknown
each relay opens its own box; of somebody known, the vault.
"""

import json
import multiprocessing
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import requests
from sqlalchemy import select

from ledger.database import Database
from ledger.tables import inbox, ledger_entry, relay
from schemas.log_line import configure_logging
from schemas.policy import load_policy
from schemas.settings import Settings
from tests.bench.client import BenchmarkError
from tests.bench.table import Row, measured
from tests.ledger.desk import Desk, withdrawal
from tests.postgres import PostgresServer
from tests.simulators.process import SimulatorProcess
from tests.stack import ROOT, Stack
from tests.world import World, settings_for
from workers.context import Context, build_context, now_ms
from workers.pace import PACES, Pace
from workers.relay import carry_due

LATENCY_S = 0.020
KINDS = ("wordpress", "stripe", "google")
BURST, QUICK_BURST = 1_000, 100
IDLE, QUICK_IDLE = 60, 20
SHIPPED_S = 15.0  # so long a burst is watched at the shipped limits
IDLE_REST_S = 1.0  # the paces have saved up what the next one needs, as they have when somebody comes now and then
PROCESSES = 2
UNLIMITED: Mapping[str, Pace] = {}


@dataclass(frozen=True, slots=True)
class Burst:
    """`cpu_ms`: of the relayer, for each relay."""

    per_s: float
    cpu_ms: float


@contextmanager
def installed(folder: Path, database_url: str | None) -> Iterator[Desk]:
    """A world whose three processors are connected."""
    with ExitStack() as stack:
        sides: dict[str, SimulatorProcess] = {}
        for kind in KINDS:
            (folder / kind).mkdir(parents=True)
            sides[kind] = stack.enter_context(SimulatorProcess(kind, folder / kind, contract=False, state=None))  # type: ignore[arg-type]
        sides["wordpress"].seed({"plugin": True, "adapters": ["mailpoet"]})
        groups = load_policy(ROOT / "policy.toml").processors["google"].groups
        sides["google"].seed({"groups": {group: [] for group in groups.values()}})
        for side in sides.values():
            side.faults([{"delay_s": LATENCY_S, "count": None}])
        world = World(
            replace(
                settings_for(folder / "world", database_url),
                wordpress_url=sides["wordpress"].url,
                wordpress_secret=sides["wordpress"].secret,
                stripe_api_key="rk_test_bench",
                stripe_api_base=sides["stripe"].url,
                google_credentials=sides["google"].service_account_path.read_text(encoding="utf-8"),
                google_subject="admin@example.no",
                google_api_base=sides["google"].url,
            )
        )
        stack.callback(world.close)
        yield Desk(world)


def burst(
    desk: Desk,
    context: Context,
    count: int,
    paces: Mapping[str, Pace],
    seconds: float | None = None,
    *,
    are_known: bool = False,
) -> Burst:
    """Confirmed relays per second; within `seconds` if that is given, and all of them otherwise."""
    emails = [f"kari{number}.{time.monotonic_ns()}@example.no" for number in range(count)]
    if are_known:
        for email in emails:
            desk.give(email, now_ms())
        while carry_due(context, urgent=False, paces=UNLIMITED):
            pass
    for email in emails:
        desk.say(withdrawal(email), now_ms())
    before = confirmed(desk)
    began_s, cpu_began_s = time.perf_counter(), time.process_time()
    while carry_due(context, urgent=True, paces=paces):
        if seconds is not None and time.perf_counter() - began_s >= seconds:
            break
    elapsed_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_began_s
    done = confirmed(desk) - before
    if not done or (seconds is None and done != count * len(KINDS)):
        raise BenchmarkError(f"{done} of {count * len(KINDS)} relays were confirmed")
    return Burst(done / elapsed_s, cpu_s / done * 1e3)


def shared_burst(desk: Desk, count: int, processes: int) -> Burst:
    """The same by several relayer processes, each with its own copy of Python's one lock."""
    spawn = multiprocessing.get_context("spawn")
    start, used = spawn.Barrier(processes + 1), spawn.SimpleQueue()
    carriers = [spawn.Process(target=_carry_all, args=(desk.world.settings, start, used)) for _ in range(processes)]
    for number in range(count):
        desk.say(withdrawal(f"kari{number}.{time.monotonic_ns()}@example.no"), now_ms())
    before = confirmed(desk)
    for carrier in carriers:
        carrier.start()
    start.wait()
    began_s = time.perf_counter()
    cpu_s = sum(used.get() for _ in carriers)
    elapsed_s = time.perf_counter() - began_s
    for carrier in carriers:
        carrier.join()
    done = confirmed(desk) - before
    if done != count * len(KINDS):
        raise BenchmarkError(f"{done} of {count * len(KINDS)} relays were confirmed")
    return Burst(done / elapsed_s, cpu_s / done * 1e3)


def _carry_all(settings: Settings, start: Barrier, used: "SimpleQueue[float]") -> None:
    configure_logging(settings.log_level)
    context = build_context(settings, "relay")
    start.wait()
    cpu_began_s = time.process_time()
    while carry_due(context, urgent=True, paces=UNLIMITED):
        pass
    used.put(time.process_time() - cpu_began_s)


def confirmed(desk: Desk) -> int:
    return len(desk.relays(status="confirmed", action="withdraw"))


def idle_ms(folder: Path, database_url: str | None, count: int) -> list[float]:
    """From acceptance to the end of each relay, one withdrawal at a time, through all processes of an installation."""
    folder.mkdir()
    url = database_url or f"sqlite:///{folder / 'idle.db'}"
    with ExitStack() as stack:
        service = stack.enter_context(Stack(folder, {"DATABASE_URL": url}))
        for kind in KINDS:
            _control(service.simulator(kind), "faults", {"faults": [{"delay_s": LATENCY_S, "count": None}]})
        database = Database(url)
        stack.callback(database.close)
        for number in range(1, count + 1):
            _withdraw(service, f"ola{number}@example.no")
            wanted = number * len(KINDS)
            service.wait_for(lambda wanted=wanted: len(_ended_ms(database)) == wanted, "for the relays to end")  # type: ignore[misc]
            time.sleep(IDLE_REST_S)
        return _ended_ms(database)


def _control(url: str, name: str, document: object) -> None:
    requests.post(f"{url}/_control/{name}", json=document, timeout=10).raise_for_status()


def _withdraw(service: Stack, email: str) -> None:
    body = json.dumps({"email": email}).encode()
    headers = {**service.form_headers("withdrawal", body), "Content-Type": "application/json"}
    answer = requests.post(f"{service.url}/webhooks/forms/withdrawal", data=body, headers=headers, timeout=10)
    answer.raise_for_status()


def _ended_ms(database: Database) -> list[float]:
    query = (
        select(relay.c.updated_at_ms - inbox.c.received_at_ms)
        .join(ledger_entry, ledger_entry.c.id == relay.c.cause)
        .join(inbox, inbox.c.id == ledger_entry.c.inbox_id)
        .where(relay.c.status == "confirmed")
    )
    with database.read() as connection:
        return [float(taken) for taken in connection.execute(query).scalars()]


def measure(folder: Path, postgresql: PostgresServer, *, is_quick: bool) -> list[Row]:
    rows = []
    for name in ("sqlite", "postgresql"):
        with ExitStack() as stack:
            url = None if name == "sqlite" else stack.enter_context(postgresql.fresh_database("bench_relays"))
            desk = stack.enter_context(installed(folder / name, url))
            context = desk.world.context("relay")
            lifted = burst(desk, context, QUICK_BURST if is_quick else BURST, UNLIMITED)
            shared = shared_burst(desk, QUICK_BURST if is_quick else BURST, PROCESSES)
            known = burst(desk, context, QUICK_BURST if is_quick else BURST, UNLIMITED, are_known=True)
            shipped = burst(desk, context, QUICK_BURST * 5, PACES, SHIPPED_S)
        with ExitStack() as stack:
            url = None if name == "sqlite" else stack.enter_context(postgresql.fresh_database("bench_idle"))
            idle = idle_ms(folder / f"{name}-idle", url, QUICK_IDLE if is_quick else IDLE)
        rows += [
            measured(f"relay_burst_per_s ({name}, vendor limits lifted)", "relays/s", [lifted.per_s]),
            measured(f"relay_burst_cpu_ms ({name})", "ms", [lifted.cpu_ms]),
            measured(
                f"relay_burst_per_s ({name}, {PROCESSES} processes, vendor limits lifted)", "relays/s", [shared.per_s]
            ),
            measured(f"relay_burst_cpu_ms ({name}, {PROCESSES} processes)", "ms", [shared.cpu_ms]),
            measured(f"relay_burst_per_s ({name}, known people, vendor limits lifted)", "relays/s", [known.per_s]),
            measured(f"relay_burst_cpu_ms ({name}, known people)", "ms", [known.cpu_ms]),
            measured(f"relay_burst_per_s ({name}, shipped limits)", "relays/s", [shipped.per_s]),
            measured(f"relay_idle_p50_ms ({name}, door and queue included)", "ms", [statistics.median(idle)]),
        ]
    return rows
