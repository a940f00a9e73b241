"""The load: a small HTTP/1.1 client on raw sockets that keeps its connections alive and reads only what it must.

Closed loop: each connection sends its next request when the answer to the last one has come. Every request is made
beforehand, so that the client costs the machine little.
"""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
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
    requests: Iterator[bytes]
    ended: "asyncio.Future[None]"
    open_count: int = 0
    answers_ms: list[float] = field(default_factory=list)

    def fail(self, text: str) -> None:
        if not self.ended.done():
            self.ended.set_exception(BenchmarkError(text))


class _Connection(asyncio.Protocol):
    """One connection, one request on its way at a time. Ends when there is nothing left to send."""

    def __init__(self, shared: _Shared) -> None:
        self._shared = shared
        self._buffer = b""
        self._sent_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._shared.open_count += 1
        self._send()

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
            self._shared.answers_ms.append((time.perf_counter() - self._sent_s) * 1000)
            self._buffer = b""
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._shared.fail("the server closed a connection")

    def _send(self) -> None:
        request = next(self._shared.requests, None)
        if request is not None:
            self._sent_s = time.perf_counter()
            self._transport.write(request)
            return
        self._shared.open_count -= 1
        if self._shared.open_count == 0 and not self._shared.ended.done():
            self._shared.ended.set_result(None)


def send_all(port: int, requests: Sequence[bytes]) -> Load:
    """Send every request once over CONNECTIONS connections. BenchmarkError if any answer is not 200."""
    return asyncio.run(_send_all(port, requests))


async def _send_all(port: int, requests: Sequence[bytes]) -> Load:
    loop = asyncio.get_running_loop()
    shared = _Shared(iter(requests), loop.create_future())
    began_s = time.perf_counter()
    made = await asyncio.gather(
        *(loop.create_connection(lambda: _Connection(shared), HOST, port) for _ in range(CONNECTIONS))
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            await shared.ended
        elapsed_s = time.perf_counter() - began_s
    except TimeoutError:
        raise BenchmarkError(f"no end after {LIMIT_S:.0f} s") from None
    finally:
        for transport, _ in made:
            transport.abort()
    if len(shared.answers_ms) != len(requests):
        raise BenchmarkError("not every request was answered")
    return Load(elapsed_s, shared.answers_ms)
