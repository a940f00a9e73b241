"""The relayer's speed: a burst of withdrawals to three processors that each take 20 ms to answer, and one when idle.

The processors are the simulators of the tests: every write is read back. On SQLite and PostgreSQL. Who asks for a
withdrawal has no vault here, so each relay opens its own box.
"""

import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import select

from ledger.tables import inbox, ledger_entry, relay
from schemas.policy import load_policy
from tests.bench.client import BenchmarkError
from tests.bench.table import Row, measured
from tests.ledger.desk import Desk, withdrawal
from tests.postgres import PostgresServer
from tests.simulators.process import SimulatorProcess
from tests.stack import ROOT
from tests.world import World, settings_for
from workers.context import Context, now_ms
from workers.pace import PACES, Pace
from workers.relay import carry_due

LATENCY_S = 0.020
KINDS = ("wordpress", "stripe", "google")
BURST, QUICK_BURST = 1_000, 100
IDLE, QUICK_IDLE = 60, 20
SHIPPED_S = 15.0  # so long a burst is watched at the shipped limits
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
            sides[kind] = stack.enter_context(SimulatorProcess(kind, folder / kind, contract=False))  # type: ignore[arg-type]
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


def burst(desk: Desk, context: Context, count: int, paces: Mapping[str, Pace], seconds: float | None = None) -> Burst:
    """Confirmed relays per second; within `seconds` if that is given, and all of them otherwise."""
    for number in range(count):
        desk.say(withdrawal(f"kari{number}.{time.monotonic_ns()}@example.no"), now_ms())
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


def confirmed(desk: Desk) -> int:
    return len(desk.relays(status="confirmed", action="withdraw"))


def idle_ms(desk: Desk, count: int) -> list[float]:
    """From acceptance to the end of each relay, one withdrawal at a time, without the queue between the processes."""
    context = desk.world.context("relay")
    for number in range(count):
        desk.accept(desk.delivery(withdrawal(f"ola{number}@example.no")), now_ms())
        desk.world.record()
        carry_due(context, urgent=True, paces=UNLIMITED)
    query = (
        select(relay.c.updated_at_ms - inbox.c.received_at_ms)
        .join(ledger_entry, ledger_entry.c.id == relay.c.cause)
        .join(inbox, inbox.c.id == ledger_entry.c.inbox_id)
        .where(relay.c.status == "confirmed")
    )
    with desk.database.read() as connection:
        return [float(taken) for taken in connection.execute(query).scalars()]


def measure(folder: Path, postgresql: PostgresServer, *, is_quick: bool) -> list[Row]:
    rows = []
    for name in ("sqlite", "postgresql"):
        with ExitStack() as stack:
            url = None if name == "sqlite" else stack.enter_context(postgresql.fresh_database("bench_relays"))
            desk = stack.enter_context(installed(folder / name, url))
            context = desk.world.context("relay")
            idle = idle_ms(desk, QUICK_IDLE if is_quick else IDLE)
            lifted = burst(desk, context, QUICK_BURST if is_quick else BURST, UNLIMITED)
            shipped = burst(desk, context, QUICK_BURST * 5, PACES, SHIPPED_S)
        rows += [
            measured(f"relay_burst_per_s ({name}, vendor limits lifted)", "relays/s", [lifted.per_s]),
            measured(f"relay_burst_cpu_ms ({name})", "ms", [lifted.cpu_ms]),
            measured(f"relay_burst_per_s ({name}, shipped limits)", "relays/s", [shipped.per_s]),
            measured(f"relay_idle_p50_ms ({name}, without the queue)", "ms", [statistics.median(idle)]),
        ]
    return rows
