"""gunicorn's threads, behind a loop that takes in a whole request first: no sender, however slow, holds a thread.

gthread itself reads a request in the thread that answers it, so as many slow senders as there are threads shut the
door; and its answer to what it cannot read repeats it to the sender. docs/decisions/0003-the-door.md has the figures.
"""

import contextlib
import select
import selectors
import socket
import time
from functools import partial
from typing import Any

from gunicorn.http.errors import UnsupportedTransferCoding
from gunicorn.http.parser import RequestParser
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from schemas.refusal import Refused
from webhooks.arrival import CONTINUE, Arrival, Progress
from webhooks.framing import BodyReader, error_response, refusal_of

REQUEST_WAIT_S = 10.0  # from the connection, or from the first byte on a kept one, to the last byte of the request
ANSWER_WAIT_S = 5.0  # who does not read its answer in this time gets no more of it
GOODBYE_WAIT_S = 2.0
RECEIVE_SIZE_BYTES = 65_536
HELD_SIZE_MAX_BYTES = 64 * 1024 * 1024  # of all requests that have not come whole
SEND_BUFFER_SIZE_BYTES = 256 * 1024  # every public answer fits in, so no thread waits for a slow reader
SPARE_CONNECTIONS = 16


def _is_writable(sock: socket.socket) -> bool:
    """Whether there is room for an answer: a third of the buffer (tcp_poll of Linux)."""
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    return bool(poll.poll(0))


class DoorWorker(ThreadWorker):  # type: ignore[misc]
    """The loop receives, the threads answer, the loop says goodbye. Whoever is slow waits in the loop, for a while.

    gunicorn calls `enqueue_req` for each connection that is new, or on which the next request begins.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        assert not self.cfg.is_ssl, "TLS is the proxy's: docs/guides/reverse-proxy.md"
        # Both in the order of their deadlines.
        self._arriving: dict[Any, tuple[float, Arrival]] = {}
        self._leaving: dict[Any, float] = {}
        self._held_bytes = 0

    def init_process(self) -> None:
        for listener in self.sockets:  # what it accepts inherits this
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_SIZE_BYTES)
        super().init_process()

    # A request arrives.

    def enqueue_req(self, conn: Any) -> None:
        if conn.sock.gettimeout() != 0:
            conn.sock.setblocking(False)
        if conn.parser is None:
            conn.parser = RequestParser(self.cfg, (), conn.client)  # it reads what it is given, and never a socket
            conn.initialized = True
        arrival = Arrival()
        self._arriving[conn] = time.monotonic() + REQUEST_WAIT_S, arrival
        ahead = conn.parser.unreader.take_buffered()
        if not (ahead and self._add(conn, arrival, ahead)):
            self._receive(conn, arrival)
        if conn in self._arriving:  # nearly every request is here at once
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_readable, conn))

    def _on_readable(self, conn: Any, _sock: Any) -> None:
        if conn in self._arriving:  # or it was sent away in this very round of the loop
            self._receive(conn, self._arriving[conn][1])

    def _receive(self, conn: Any, arrival: Arrival) -> None:
        try:
            data = conn.sock.recv(RECEIVE_SIZE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._add(conn, arrival, data)
        elif arrival.received:  # it has closed its side: what came is all there is
            self._hand_over(conn, arrival)
        else:
            self._drop(conn)

    def _add(self, conn: Any, arrival: Arrival, data: bytes) -> bool:
        """Whether that was all of it."""
        held_bytes = len(arrival.received)
        progress = arrival.add(data)
        self._held_bytes += len(arrival.received) - held_bytes
        if progress is Progress.WAITING:
            if arrival.is_expecting:
                arrival.is_expecting, conn.is_told_to_go_on = False, True
                with contextlib.suppress(OSError):
                    conn.sock.send(CONTINUE)
            return False
        if progress is Progress.HEAD_TOO_LARGE:
            self._send_away(conn, 431, "request_headers_too_large")
        else:
            self._hand_over(conn, arrival)
        return True

    def _forget(self, conn: Any) -> None:
        _, arrival = self._arriving.pop(conn)
        self._held_bytes -= len(arrival.received)
        if conn.sock in self.poller.get_map():
            self.poller.unregister(conn.sock)

    def _hand_over(self, conn: Any, arrival: Arrival) -> None:
        self._forget(conn)
        if conn.parser.req_count and not _is_writable(conn.sock):  # it asks on and on, and does not read
            self._close(conn)
            return
        conn.data_ready = True
        conn.parser.unreader.unread(bytes(arrival.received))
        super().enqueue_req(conn)

    def _send_away(self, conn: Any, status: int, reason: str) -> None:
        self._forget(conn)
        self.log.warning("Invalid request")
        with contextlib.suppress(OSError):
            conn.sock.send(error_response(status, reason))
        self._say_goodbye(conn)

    # A thread answers it.

    def handle_request(self, req: Any, conn: Any) -> Any:
        if any(name == "TRANSFER-ENCODING" and value.lower() != "chunked" for name, value in req.headers):
            raise UnsupportedTransferCoding("")  # gunicorn takes "gzip, chunked", and hands the body over as it is
        conn.sock.settimeout(ANSWER_WAIT_S)
        req.body.reader = BodyReader(req.body.reader)
        if getattr(conn, "is_told_to_go_on", False):
            req._expected_100_continue = conn.is_told_to_go_on = False
        try:
            return super().handle_request(req, conn)
        except TimeoutError:
            return False

    def _keepalive_after(self, conn: Any, keepalive: Any) -> bool:
        """Only after a body that was well formed and is here is it known where the next request begins."""
        with contextlib.suppress(Refused):
            return bool(keepalive and conn.parser.finish_body())
        return False

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Any) -> None:
        status, reason = refusal_of(exc)
        if status == 500:
            self.log.exception("Error handling request")
        else:
            self.log.warning("Invalid request")
        with contextlib.suppress(OSError):  # the sender may be gone
            write_nonblock(client, error_response(status, reason))

    # The connection is kept, or ends.

    def finish_request(self, conn: Any, fs: Any) -> None:
        if fs.cancelled() or fs.exception() or not fs.result():
            self._say_goodbye(conn)
        else:
            super().finish_request(conn, fs)

    def _say_goodbye(self, conn: Any) -> None:
        """Close our side and wait for theirs, or the answer may be lost with the connection (RFC 9112, 9.6)."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_last_words, conn))
        except OSError:
            self._close(conn)
        else:
            self._leaving[conn] = time.monotonic() + GOODBYE_WAIT_S

    def _on_last_words(self, conn: Any, _sock: Any) -> None:
        if conn not in self._leaving:
            return
        try:
            is_over = not conn.sock.recv(RECEIVE_SIZE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            is_over = True
        if is_over:
            self._part(conn)

    def _part(self, conn: Any) -> None:
        del self._leaving[conn]
        self.poller.unregister(conn.sock)
        self._close(conn)

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()

    # The time is over, or the place.

    def accept(self, listener: Any) -> None:
        try:
            super().accept(listener)
        except OSError:  # no descriptor left, and gunicorn would end
            self._drop_oldest()

    def murder_pending(self) -> None:
        """gunicorn calls this after each round of the loop."""
        now_s = time.monotonic()
        while self._leaving and next(iter(self._leaving.values())) <= now_s:
            self._part(next(iter(self._leaving)))
        while self._arriving and next(iter(self._arriving.values()))[0] <= now_s:
            conn, (_, arrival) = next(iter(self._arriving.items()))
            if arrival.received:
                self._send_away(conn, 408, "request_too_slow")
            else:
                self._drop(conn)
        while self._is_crowded() and self._drop_oldest():
            pass

    def _drop_oldest(self) -> bool:
        """Honest requests come whole within milliseconds, so the oldest that has not is the likeliest not to be one."""
        if self._leaving:
            self._part(next(iter(self._leaving)))
        elif self._arriving:
            self._drop(next(iter(self._arriving)))
        elif self.keepalived_conns:
            conn = self.keepalived_conns.popleft()
            self.poller.unregister(conn.sock)
            self._close(conn)
        else:
            return False
        return True

    def _drop(self, conn: Any) -> None:
        self._forget(conn)
        self._close(conn)

    def _is_crowded(self) -> bool:
        is_full = self.nr_conns > self.worker_connections - SPARE_CONNECTIONS
        return is_full or self._held_bytes > HELD_SIZE_MAX_BYTES

    def _cap_keepalive(self, deadline: float) -> None:
        """A stopping worker waits no longer for the rest of a request than for the next one."""
        super()._cap_keepalive(deadline)
        self._arriving = {
            conn: (min(until_s, deadline), arrival) for conn, (until_s, arrival) in self._arriving.items()
        }
