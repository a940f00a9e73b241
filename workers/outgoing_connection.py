"""The connections of the outgoing policy: each is checked when it is made, and ended when its exchange is over time."""

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from workers.addresses import is_public_address, resolve
from workers.deadline import DEADLINES

CONNECT_TIMEOUT_S = 3.05  # a little over 3 s, the TCP retransmission window (documentation of requests)
# A connection is used again at once or not at all: a server that ends an idle one meanwhile would have to be asked
# again, and of a POST nobody could say whether it had arrived.
IDLE_MAX_S = 1.0
KEPT_MAX = 16  # connections to one host, as many as threads call it at a time


class ExchangeError(Exception):
    """An exchange that the policy refuses. Not an OSError: urllib3 would wrap that, with the URL, in one of its own."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Exchange:
    """One request under the policy. Its deadline shuts the socket down when the total time is over, because the
    timeout of a socket starts again at every byte and so never ends a trickle."""

    allowed_hosts: frozenset[str]
    allow_loopback: bool
    ends_at_s: float
    expired: bool = False
    _socket: socket.socket | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self) -> Iterator[None]:
        token = EXCHANGE.set(self)
        deadline = DEADLINES.add(self.ends_at_s, self._expire)
        try:
            yield
        finally:
            DEADLINES.cancel(deadline)
            EXCHANGE.reset(token)
            with self._lock:
                if self._socket is not None:
                    self._socket.close()

    def remaining_s(self) -> float:
        return max(self.ends_at_s - time.monotonic(), 0.001)

    def watch(self, connected: socket.socket) -> None:
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket = connected.dup()  # its own, so that nobody closes it while the deadline shuts it down
        if self.expired:
            self._expire()

    def _expire(self) -> None:
        with self._lock, suppress(OSError):
            self.expired = True
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)


EXCHANGE: ContextVar[Exchange] = ContextVar("outgoing_exchange")


def _is_allowed(ip: str, exchange: Exchange, encrypted: bool) -> bool:
    address = ipaddress.ip_address(ip.partition("%")[0])
    return exchange.allow_loopback if address.is_loopback else encrypted and is_public_address(address)


class CheckedConnection(HTTPConnection):
    """Checked when it is made. Used again by the next exchange of the same session, and under that one's deadline."""

    _connected: socket.socket | None = None  # a second descriptor: TLS takes the first from the socket that it wraps
    _used_at_s = 0.0

    @property
    def is_connected(self) -> bool:
        """Asked before a connection is used again; not while it is in use."""
        return time.monotonic() - self._used_at_s < IDLE_MAX_S and super().is_connected

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self._connected is not None:
            EXCHANGE.get().watch(self._connected)
        super().request(*args, **kwargs)

    def getresponse(self) -> Any:
        try:
            return super().getresponse()
        finally:
            self._used_at_s = time.monotonic()

    def close(self) -> None:
        super().close()
        if self._connected is not None:
            self._connected.close()
            self._connected = None

    def _new_conn(self) -> socket.socket:
        exchange = EXCHANGE.get()
        encrypted = isinstance(self, HTTPSConnection)
        if self.host.lower() not in exchange.allowed_hosts:
            raise ExchangeError("host_not_allowed")
        if not encrypted and not exchange.allow_loopback:
            raise ExchangeError("scheme_not_allowed")
        try:
            found = resolve(self._dns_host, self.port, exchange.remaining_s())
        except TimeoutError:
            raise ExchangeError("deadline") from None
        # One refused address refuses them all: a public name with a private address is a mistake or an attack.
        if not all(_is_allowed(str(address[0]), exchange, encrypted) for _, address in found):
            raise ExchangeError("address_not_allowed")
        for family, address in found:
            with suppress(OSError):
                connected = _connect(family, address, exchange)
                self._connected = connected.dup()
                return connected
        raise ExchangeError("connect" if found else "dns")


def _connect(family: int, address: tuple[Any, ...], exchange: Exchange) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(min(CONNECT_TIMEOUT_S, exchange.remaining_s()))
        connection.connect(address)  # the very address that was checked: there is no second look-up
        connection.settimeout(exchange.remaining_s())
        exchange.watch(connection)
    except OSError:
        connection.close()
        raise
    return connection


class CheckedTlsConnection(CheckedConnection, HTTPSConnection):
    pass


class CheckedAdapter(HTTPAdapter):
    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = CheckedTlsConnection if pool.scheme == "https" else CheckedConnection
        return pool
