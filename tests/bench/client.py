"""The load: a small HTTP/1.1 client on raw sockets that keeps its connections alive and reads only what it must.

Closed loop: each connection sends its next request when the answer to the last one has come. Open loop: requests
become due at a fixed rate whatever the answers do, and each answer's time counts from when its request was due, so a
server that stalls is charged with everybody who had to wait. Every request is made beforehand, so that the client
costs the machine little.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

HOST = "127.0.0.1"
CONNECTIONS = 16
LIMIT_S = 60.0
HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)\r\n", re.IGNORECASE)


class BenchmarkError(Exception):
    """Something was not as it must be, so no figure of this run counts."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a client saw: how long all took, and each answer's time in order of arrival."""

    elapsed_s: float
    answers_ms: list[float]


@dataclass
class _Shared:
    """`waiting`: requests that are due and no connection is free for. `idle`: the other way round."""

    total: int
    ended: "asyncio.Future[None]"
    waiting: "deque[tuple[float | None, bytes]]" = field(default_factory=deque)
    idle: "list[_Connection]" = field(default_factory=list)
    answers_ms: list[float] = field(default_factory=list)

    def fail(self, text: str) -> None:
        if not self.ended.done():
            self.ended.set_exception(BenchmarkError(text))

    def add(self, due_s: float | None, request: bytes) -> None:
        """`due_s`: from when its answer's time counts; None: from when it is sent."""
        self.waiting.append((due_s, request))
        if self.idle:
            self.idle.pop().send_next()

    def answered(self, sent_s: float) -> None:
        self.answers_ms.append((time.perf_counter() - sent_s) * 1000)
        if len(self.answers_ms) == self.total and not self.ended.done():
            self.ended.set_result(None)


class _Connection(asyncio.Protocol):
    """One connection, one request on its way at a time."""

    def __init__(self, shared: _Shared) -> None:
        self._shared = shared
        self._buffer = b""
        self._counts_from_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(HEAD_END)
        if head_end < 0:
            return
        found = _LENGTH.search(self._buffer, 0, head_end + 2)
        if found is None or self._buffer[9:12] != b"200":
            self._shared.fail(f"an answer was not a 200 with a length: {self._buffer[:12]!r}")
            self._transport.abort()
        elif len(self._buffer) >= head_end + len(HEAD_END) + int(found[1]):
            self._buffer = b""
            self._shared.answered(self._counts_from_s)
            self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._shared.fail("the server closed a connection")

    def send_next(self) -> None:
        if not self._shared.waiting:
            self._shared.idle.append(self)
            return
        due_s, request = self._shared.waiting.popleft()
        self._counts_from_s = time.perf_counter() if due_s is None else due_s
        self._transport.write(request)


def send_all(
    port: int, requests: Sequence[bytes], connections: int = CONNECTIONS, rate_per_s: float | None = None
) -> Load:
    """Send every request once. `rate_per_s`: in an open loop. BenchmarkError if any answer is not 200."""
    return asyncio.run(_send_all(port, requests, connections, rate_per_s))


async def _send_all(port: int, requests: Sequence[bytes], connections: int, rate_per_s: float | None) -> Load:
    loop = asyncio.get_running_loop()
    shared = _Shared(len(requests), loop.create_future())
    made = await asyncio.gather(
        *(loop.create_connection(lambda: _Connection(shared), HOST, port) for _ in range(connections))
    )
    began_s = time.perf_counter()
    try:
        async with asyncio.timeout(LIMIT_S):
            shared.idle.extend(connection for _, connection in made)
            if rate_per_s is None:
                for request in requests:
                    shared.add(None, request)
            else:
                await _add_in_time(shared, requests, rate_per_s, began_s)
            await shared.ended
        elapsed_s = time.perf_counter() - began_s
    except TimeoutError:
        raise BenchmarkError(f"no end after {LIMIT_S:.0f} s") from None
    finally:
        for transport, _ in made:
            transport.abort()
    return Load(elapsed_s, shared.answers_ms)


async def _add_in_time(shared: _Shared, requests: Sequence[bytes], rate_per_s: float, began_s: float) -> None:
    """One request every 1 / `rate_per_s`. If we wake late, those that are due go at once, and count from then."""
    for number, request in enumerate(requests):
        due_s = began_s + number / rate_per_s
        pause_s = due_s - time.perf_counter()
        if pause_s > 0:
            await asyncio.sleep(pause_s)
        if shared.ended.done():  # something failed
            return
        shared.add(due_s, request)
