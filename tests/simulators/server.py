"""The HTTP side of every simulator: keep-alive on 127.0.0.1, the control routes, and an exit at once."""

import argparse
import json
import os
import signal
import socketserver
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn

from tests.simulators.exchange import Reply, Request, SeedError, Simulator
from tests.simulators.faults import FaultError, parse_faults
from tests.simulators.journal import Journal
from tests.simulators.stage import Delivery, Stage

HOST = "127.0.0.1"
BODY_SIZE_MAX_BYTES = 8_000_000
CONTROL_PREFIX = "/_control/"


class Server(ThreadingHTTPServer):
    """One thread per connection; none of them keeps the process alive."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, stage: Stage) -> None:
        self.stage = stage
        super().__init__((HOST, port), Handler)

    def server_bind(self) -> None:
        # HTTPServer's own version asks the name server for the machine's name.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is one of the things simulated, not an error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Reads the request whole, then lets the stage play it."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version = "simulator"
    sys_version = ""

    def log_message(self, format: str, *args: Any) -> None:
        """The journal is the log."""

    def answer(self) -> None:
        try:
            request = self._read()
            if request is None:
                return
            if request.path.startswith(CONTROL_PREFIX):
                self._send(control(self.server.stage, request))
                return
            delivery = self._play(request)
            if delivery.reply is None:
                self.close_connection = True
                return
            self._send(delivery.reply, delivery)
        except ConnectionError:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def _play(self, request: Request) -> Delivery:
        try:
            return self.server.stage.play(request)
        except Exception as error:
            reply = self.server.stage.bug(request, f"{type(error).__name__}: {error}")
            return Delivery(reply, 0, self.server.stage.faults.use(request)[1])

    def _read(self) -> Request | None:
        length = self.headers.get("Content-Length", "0")
        refusal = None
        if "Transfer-Encoding" in self.headers or not length.isdigit():
            refusal = Reply(411, {"message": "a Content-Length is needed"})
        elif int(length) > BODY_SIZE_MAX_BYTES:
            refusal = Reply(413, {"message": "the body is too large"})
        if refusal is not None:
            self.close_connection = True
            self._send(refusal)
            return None
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(self.command, path, query, headers, self.rfile.read(int(length)))

    def _send(self, reply: Reply, delivery: Delivery | None = None) -> None:
        payload = encode_body(reply.body)
        self.send_response(reply.status)
        headers = {"Content-Type": "text/html" if isinstance(reply.body, str) else "application/json"}
        for name, value in {**headers, **reply.headers}.items():
            self.send_header(name, value)
        if reply.status not in (204, 304):
            self.send_header("Content-Length", str(len(payload)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if delivery is None or not delivery.interval_s:
            self.wfile.write(payload)
            return
        for position, byte in enumerate(payload):
            if delivery.released.wait(delivery.interval_s):
                self.wfile.write(payload[position:])
                return
            self.wfile.write(bytes([byte]))


def encode_body(body: Any) -> bytes:
    if body is None:
        return b""
    return body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()


def control(stage: Stage, request: Request) -> Reply:
    """The routes by which a test arranges and looks at the simulator; never journalled."""
    deed = CONTROLS.get((request.method, request.path.removeprefix(CONTROL_PREFIX)))
    if deed is None:
        return Reply(404, {"message": "no such control route"})
    try:
        return Reply(200, deed(stage, json.loads(request.body or b"{}")))
    except (SeedError, FaultError, TypeError, ValueError) as error:
        return Reply(400, {"message": f"{type(error).__name__}: {error}"})


def _seed(stage: Stage, document: Any) -> Any:
    if not isinstance(document, dict):
        raise SeedError("a seed is an object")
    stage.seed(document)
    return stage.snapshot()


def _plan_faults(stage: Stage, document: Any) -> Any:
    planned = parse_faults(document)
    stage.faults.add(planned)
    return {"planned": len(planned)}


def _clear(stage: Stage, _: Any) -> Any:
    stage.faults.clear()
    return {}


CONTROLS: dict[tuple[str, str], Callable[[Stage, Any], Any]] = {
    ("POST", "seed"): _seed,
    ("POST", "faults"): _plan_faults,
    ("POST", "clear"): _clear,
    ("GET", "state"): lambda stage, _: stage.snapshot(),
    ("GET", "journal"): lambda stage, _: stage.journal.read(),
}


class Exit(BaseException):
    """Raised by a signal in the main thread."""


def argument_parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--port-file", type=Path, help="where to write the port that was taken")
    parser.add_argument("--journal", type=Path, help="NDJSON, one line per request")
    parser.add_argument("--state", type=Path, help="keeps the state across restarts")
    return parser


def serve(simulator: Simulator, arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT, then return at once; requests in flight are dropped."""

    def leave(*_: Any) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise Exit

    try:
        signal.signal(signal.SIGTERM, leave)
        signal.signal(signal.SIGINT, leave)
        journal = Journal(arguments.journal or Path(os.devnull))
        server = Server(arguments.port, Stage(simulator, journal, arguments.state))
        if arguments.port_file is not None:
            draft = arguments.port_file.with_name(arguments.port_file.name + ".draft")
            draft.write_text(f"{server.server_port}\n")
            os.replace(draft, arguments.port_file)
        server.serve_forever()
    except Exit:
        return
