"""The load client: it times every answer, in an open loop from when it was due; one wrong answer ends the run."""

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.bench.client import CONNECTIONS, BenchmarkError, send_all

STALL_S = 0.2


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/stall":
            time.sleep(STALL_S)
        self.send_response(503 if self.path == "/busy" else 200)
        self.send_header("Content-Length", "2")
        with contextlib.suppress(ConnectionError):  # the client leaves at the first fault
            self.end_headers()
            self.wfile.write(b"ok")
        self.close_connection = self.path == "/close"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to stderr."""


class _Server(ThreadingHTTPServer):
    request_queue_size = CONNECTIONS


@pytest.fixture
def port() -> Iterator[int]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def requests(path: str, count: int) -> list[bytes]:
    return [
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{number:02}".encode() for number in range(count)
    ]


def test_it_times_one_answer_per_request(port: int) -> None:
    load = send_all(port, requests("/ok", 40))
    assert len(load.answers_ms) == 40
    assert 0 < min(load.answers_ms) <= max(load.answers_ms) <= load.elapsed_s * 1000


@pytest.mark.parametrize("rate_per_s", [None, 1000.0])
def test_it_fails_at_any_answer_but_200(port: int, rate_per_s: float | None) -> None:
    with pytest.raises(BenchmarkError, match="not a 200"):
        send_all(port, [*requests("/ok", 30), *requests("/busy", 1), *requests("/ok", 30)], rate_per_s=rate_per_s)


def test_it_fails_when_a_connection_is_closed(port: int) -> None:
    with pytest.raises(BenchmarkError, match="closed a connection"):
        send_all(port, requests("/close", 40))


def test_in_an_open_loop_requests_go_at_their_rate(port: int) -> None:
    load = send_all(port, requests("/ok", 40), rate_per_s=100.0)
    assert len(load.answers_ms) == 40
    assert load.elapsed_s >= 0.39


def test_in_an_open_loop_who_waits_behind_a_stall_is_counted_from_when_it_was_due(port: int) -> None:
    """In a closed loop one answer of the two would be slow: the other had not been sent meanwhile."""
    stall, after = send_all(
        port, [*requests("/stall", 1), *requests("/ok", 1)], connections=1, rate_per_s=100.0
    ).answers_ms
    assert stall >= STALL_S * 1000
    assert after >= (STALL_S - 0.01) * 1000
