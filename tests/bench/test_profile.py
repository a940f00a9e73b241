"""The profile: requests as gunicorn hands them over, and layers that leave no time out."""

import cProfile
import pstats

from ledger.sqlite import sqlite
from tests.bench import deliveries
from tests.bench.client import HEAD_END
from tests.bench.profile import ROOT, environ_of, layer_of, shares


def test_a_request_becomes_the_environment_that_a_server_makes_of_it() -> None:
    (request,) = deliveries.make_requests(deliveries.STRIPE, 1)
    environ = environ_of(request)
    assert (environ["REQUEST_METHOD"], environ["PATH_INFO"]) == ("POST", "/webhooks/stripe")
    assert environ["CONTENT_TYPE"] == "application/json"
    assert environ["HTTP_STRIPE_SIGNATURE"].startswith("t=")
    assert environ["wsgi.input"].read() == request.partition(HEAD_END)[2]


def test_a_function_belongs_to_the_room_or_library_it_is_in() -> None:
    assert layer_of((f"{ROOT}/schemas/strict_json.py", 1, "parse")) == "schemas"
    assert layer_of((f"{ROOT}/.venv/lib/site-packages/werkzeug/local.py", 1, "__get__")) == "Flask, Werkzeug"
    assert layer_of(("~", 0, "<method 'execute' of 'pysqlite3.dbapi2.Connection' objects>")) == "driver"
    assert layer_of(("~", 0, "<built-in method builtins.len>")) is None


def test_what_is_built_in_counts_for_who_calls_it_and_nothing_is_left_out() -> None:
    connection = sqlite.connect(":memory:")
    profiler = cProfile.Profile()
    profiler.runcall(lambda: [connection.execute("SELECT 1").fetchall() for _ in range(100)])
    connection.close()
    found = shares(pstats.Stats(profiler))
    assert abs(sum(found.values()) - 1) < 1e-9
    assert found["driver"] > 0
