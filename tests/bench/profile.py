"""`python -m tests.bench.profile`: what one acceptance costs in CPU, ours and the floor's, in this one process.

No server, no client, no threads but the doorbell's: both applications are called as gunicorn calls them, in turn, on
real databases with full fsync, so the difference is steady even on a machine that is busy. With one caller nobody
shares a commit. Afterwards cProfile tells where ours went, by layer and by function.
"""

import argparse
import cProfile
import os
import pstats
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from werkzeug.test import create_environ

from tests.bench import floor
from tests.bench.client import HEAD_END, BenchmarkError
from tests.bench.deliveries import KINDS, make_requests
from tests.bench.installation import Installation, install
from tests.bench.processes import Valkey
from tests.postgres import PostgresServer
from tests.stack import ROOT

SQLITE, POSTGRESQL = "sqlite", "postgresql"
WARM_UP = 100
# A function belongs to the first layer whose word is in its file, or in its name if it is not written in Python.
LAYERS = (
    *((room, (f"{ROOT}/{room}/",)) for room in ("webhooks", "schemas", "ledger", "workers")),
    ("driver", ("sqlite3", "psycopg")),
    ("SQLAlchemy", ("sqlalchemy",)),
    ("cryptography", ("cryptography", "_hashlib", "hmac", "openssl", "AESGCM", "base64")),
    ("Flask, Werkzeug", ("flask", "werkzeug", "jinja2", "itsdangerous", "blinker")),
    ("prometheus_client", ("prometheus_client",)),
    ("structlog", ("structlog",)),
    ("JSON", ("/json/", "_json.", "json.decoder")),
    ("other libraries", ("site-packages",)),
)
PYTHON = "Python's own"

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Environ = dict[str, Any]
Function = tuple[str, int, str]  # as pstats names it; ("~", 0, name) for what is not written in Python


def environ_of(request: bytes) -> Environ:
    """The WSGI environment (PEP 3333) of a whole HTTP request."""
    head, _, body = request.partition(HEAD_END)
    line, *fields = head.decode("ascii").split("\r\n")
    method, path, _ = line.split(" ")
    headers = dict(field.split(": ", 1) for field in fields)
    return create_environ(path, method=method, headers=headers, data=body)


def answer_all(application: Application, environs: Iterable[Environ]) -> None:
    """Every request, as a server without threads would. BenchmarkError if one is not answered with 200."""
    statuses: list[str] = []

    def start_response(status: str, headers: object, exc_info: object = None) -> Callable[[bytes], object]:
        statuses.append(status)
        return lambda data: None

    for environ in environs:
        answer = application(environ, start_response)
        b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
    if {*statuses} != {"200 OK"}:
        raise BenchmarkError(f"not only answers of 200: {Counter(statuses)}")


def cpu_us(application: Application, kind: str, accepts: int) -> float:
    """Microseconds of CPU, user and system, of this process for each of `accepts`."""
    environs = [environ_of(request) for request in make_requests(kind, accepts)]
    began_ns = time.process_time_ns()
    answer_all(application, environs)
    return (time.process_time_ns() - began_ns) / accepts / 1000


@contextmanager
def applications(database: str, folder: Path) -> Iterator[tuple[Application, Application]]:
    """Ours and the floor, on fresh databases, with Valkey behind the doorbell."""
    with ExitStack() as stack:
        queue_folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="samtykke-"))
        valkey = stack.enter_context(Valkey(Path(queue_folder)))
        server = stack.enter_context(PostgresServer(folder)) if database == POSTGRESQL else None
        installation = stack.enter_context(install(folder / database, valkey.url, server))
        yield _ours(installation), _floor(installation.environment)


def _ours(installation: Installation) -> Application:
    os.environ.update(installation.environment)
    from app import create_app  # noqa: PLC0415 - its settings are read from the environment

    return create_app().wsgi_app


def _floor(environment: Mapping[str, str]) -> Application:
    os.environ.update(environment)
    return floor.create_app().wsgi_app


def layer_of(function: Function) -> str | None:
    file, _, name = function
    place = name if file == "~" else file
    found = (layer for layer, words in LAYERS if any(word in place for word in words))
    return next(found, None if file == "~" else PYTHON)


def shares(stats: pstats.Stats) -> dict[str, float]:
    """The share of the time that each layer's own functions took. What is built into Python counts for who calls it."""
    spent: Counter[str] = Counter()
    for function, (_, _, own_s, _, callers) in stats.stats.items():  # type: ignore[attr-defined]
        layer = layer_of(function)
        if layer is not None:
            spent[layer] += own_s
            continue
        for caller, (_, _, caller_s, _) in callers.items():
            spent[layer_of(caller) or PYTHON] += caller_s
    total_s = sum(spent.values())
    return {layer: seconds / total_s for layer, seconds in spent.items()}


def profile(application: Application, kind: str, accepts: int) -> pstats.Stats:
    environs = [environ_of(request) for request in make_requests(kind, accepts)]
    profiler = cProfile.Profile(time.process_time)
    profiler.runcall(answer_all, application, environs)
    return pstats.Stats(profiler)


def _compare(ours: Application, least: Application, kind: str, accepts: int, rounds: int) -> tuple[float, float]:
    """Medians of the rounds."""
    for application in (ours, least):
        cpu_us(application, kind, WARM_UP)
    pairs = [(cpu_us(ours, kind, accepts), cpu_us(least, kind, accepts)) for _ in range(rounds)]
    mine, floors = (statistics.median(series) for series in zip(*pairs, strict=True))
    return mine, floors


def _tell_layers(ours: Mapping[str, float], least: Mapping[str, float]) -> None:
    for layer in sorted({*ours, *least}, key=lambda name: -ours.get(name, 0)):
        sys.stdout.write(f"  {ours.get(layer, 0):6.0f} µs, floor {least.get(layer, 0):4.0f}  {layer}\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.profile", description=__doc__)
    parser.add_argument("--database", choices=(SQLITE, POSTGRESQL), default=SQLITE)
    parser.add_argument("--kind", choices=KINDS, help="one of the two")
    parser.add_argument("--accepts", type=int, default=300, help="in one round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--functions", type=int, default=0, help="tell so many functions too, the dearest first")
    arguments = parser.parse_args()
    (ROOT / "var").mkdir(mode=0o700, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="profile-", dir=ROOT / "var") as folder,
        applications(arguments.database, Path(folder)) as (ours, least),
    ):
        for kind in [arguments.kind] if arguments.kind else KINDS:
            mine, floors = _compare(ours, least, kind, arguments.accepts, arguments.rounds)
            sys.stdout.write(
                f"{kind} on {arguments.database}: ours {mine:.0f} µs of CPU, floor {floors:.0f}, "
                f"ratio {mine / floors:.2f}, {mine - floors:+.0f} µs\n"
            )
            stats = profile(ours, kind, arguments.accepts)
            sides = (mine, shares(stats)), (floors, shares(profile(least, kind, arguments.accepts)))
            _tell_layers(*({layer: total * share for layer, share in parts.items()} for total, parts in sides))
            if arguments.functions:
                stats.sort_stats("tottime").print_stats(arguments.functions)


if __name__ == "__main__":
    main()
