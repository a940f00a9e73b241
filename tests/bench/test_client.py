"""The load client: it times every answer, and one that is wrong ends the run."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.bench.client import CONNECTIONS, BenchmarkError, send_all


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response({"/ok": 200, "/close": 200}.get(self.path, 503))
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


def test_it_fails_at_any_answer_but_200(port: int) -> None:
    with pytest.raises(BenchmarkError, match="not a 200"):
        send_all(port, [*requests("/ok", 30), *requests("/busy", 1), *requests("/ok", 30)])


def test_it_fails_when_a_connection_is_closed(port: int) -> None:
    with pytest.raises(BenchmarkError, match="closed a connection"):
        send_all(port, requests("/close", 40))
