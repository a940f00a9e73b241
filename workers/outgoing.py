"""The one outgoing HTTP policy: where a request may go, how long it may take and how much may come back."""

import io
import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from workers.addresses import is_public_address, resolve
from workers.allowance import call_ends_at_s
from workers.deadline import DEADLINES

LEASE_OVER = "lease_over"
CONNECT_TIMEOUT_S = 3.05  # a little over 3 s, the TCP retransmission window (documentation of requests)

# Any other reason is a fault that may mend by itself, and is tried again.
PERMANENT_REASONS = frozenset(
    {"host_not_allowed", "scheme_not_allowed", "invalid_request", "redirect", "tls", "response_too_large"}
)

# These write whole URLs, some at INFO and WARNING, and those for Google and Stripe carry an e-mail address.
# A filter survives a later logging configuration; a level or a disabled flag does not.
URLLIB3_LOGGERS = ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry")
for _name in (*URLLIB3_LOGGERS, "stripe", "google.auth.transport.requests"):
    logging.getLogger(_name).addFilter(lambda _record: False)


class OutgoingError(requests.RequestException):
    """An outgoing request was refused or failed. The message is the reason; it never holds a URL or a body."""

    def __init__(self, reason: str, permanent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent


class _RefusedError(Exception):
    """Not an OSError: urllib3 would wrap that, with the URL, in an error of its own."""


@dataclass(slots=True)
class _Exchange:
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
        token = _EXCHANGE.set(self)
        deadline = DEADLINES.add(self.ends_at_s, self._expire)
        try:
            yield
        finally:
            DEADLINES.cancel(deadline)
            _EXCHANGE.reset(token)
            with self._lock:
                if self._socket is not None:
                    self._socket.close()

    def remaining_s(self) -> float:
        return max(self.ends_at_s - time.monotonic(), 0.001)

    def watch(self, connected: socket.socket) -> None:
        with self._lock:
            self._socket = connected.dup()  # TLS takes the descriptor away from the socket that it wraps
        if self.expired:
            self._expire()

    def _expire(self) -> None:
        with self._lock, suppress(OSError):
            self.expired = True
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)


_EXCHANGE: ContextVar[_Exchange] = ContextVar("outgoing_exchange")


def _is_allowed(ip: str, exchange: _Exchange, encrypted: bool) -> bool:
    address = ipaddress.ip_address(ip.partition("%")[0])
    return exchange.allow_loopback if address.is_loopback else encrypted and is_public_address(address)


class _CheckedConnection(HTTPConnection):
    @property
    def is_connected(self) -> bool:
        return False  # serves once, so each exchange is checked, and nobody can close it while it is idle

    def _new_conn(self) -> socket.socket:
        exchange = _EXCHANGE.get()
        encrypted = isinstance(self, HTTPSConnection)
        if self.host.lower() not in exchange.allowed_hosts:
            raise _RefusedError("host_not_allowed")
        if not encrypted and not exchange.allow_loopback:
            raise _RefusedError("scheme_not_allowed")
        try:
            found = resolve(self._dns_host, self.port, exchange.remaining_s())
        except TimeoutError:
            raise _RefusedError("deadline") from None
        # One refused address refuses them all: a public name with a private address is a mistake or an attack.
        if not all(_is_allowed(str(address[0]), exchange, encrypted) for _, address in found):
            raise _RefusedError("address_not_allowed")
        for family, address in found:
            with suppress(OSError):
                return _connect(family, address, exchange)
        raise _RefusedError("connect" if found else "dns")


def _connect(family: int, address: tuple[Any, ...], exchange: _Exchange) -> socket.socket:
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


class _CheckedTlsConnection(_CheckedConnection, HTTPSConnection):
    pass


class _CheckedAdapter(HTTPAdapter):
    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = _CheckedTlsConnection if pool.scheme == "https" else _CheckedConnection
        return pool


def _reason(error: BaseException) -> str:
    match error:
        case _RefusedError():
            return str(error)
        case requests.exceptions.SSLError() | urllib3.exceptions.SSLError():
            # Only a refused certificate: a handshake that was cut off may go better next time.
            return "tls" if "CERTIFICATE_VERIFY_FAILED" in str(error) else "tls_handshake"
        case requests.Timeout() | urllib3.exceptions.TimeoutError():
            return "deadline"
        case ValueError():
            return "invalid_request"
    return "connection_lost"


class OutgoingSession(requests.Session):
    """A requests session that only makes exchanges the policy allows; every failure is an `OutgoingError`.

    An answer is read whole, up to the limit, before it is returned; an error answer (400 and above) is cut at the limit
    instead of refused, for its status is what counts. `allow_loopback` is for tests and for a service on the same host,
    and is the only way to plain http. Threads may share a session.
    """

    def __init__(
        self,
        allowed_hosts: frozenset[str],
        allow_loopback: bool = False,
        deadline_s: float = 10.0,
        response_size_max_bytes: int = 65_536,
    ) -> None:
        super().__init__()
        self._allowed_hosts = frozenset(host.lower() for host in allowed_hosts)
        self._allow_loopback = allow_loopback
        self._deadline_s = deadline_s
        self._response_size_max_bytes = response_size_max_bytes
        self.trust_env = False
        self.headers.update({"Accept-Encoding": "identity", "Connection": "close"})
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            self.mount(scheme, _CheckedAdapter(max_retries=0))

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        ends_at_s = call_ends_at_s(self._deadline_s)
        if ends_at_s is None:  # whoever has taken the relay over must not be overtaken by this
            raise OutgoingError(LEASE_OVER, permanent=False)
        exchange = _Exchange(self._allowed_hosts, self._allow_loopback, ends_at_s)
        try:
            with exchange.running():
                return super().request(method, url, *args, **kwargs)
        except (_RefusedError, urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
            reason = "deadline" if exchange.expired else _reason(error)
            raise OutgoingError(reason, reason in PERMANENT_REASONS) from None

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        # What a caller or an SDK asks for here does not count: the policy does.
        kwargs.update(stream=True, allow_redirects=False, proxies={}, verify=self.verify or True)
        response = super().send(request, **kwargs)
        response.raw = io.BytesIO(self._read(response))
        return response

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: requests would read the whole body of a redirect to prepare the next request."""

    def _read(self, response: requests.Response) -> bytes:
        try:
            if 300 <= response.status_code < 400:
                raise _RefusedError("redirect")
            # Counted after decompression, which urllib3 stops at the number asked for: a bomb stays small.
            body: bytes = response.raw.read(self._response_size_max_bytes + 1, decode_content=True)
            if _EXCHANGE.get().expired:  # a body without a length ends like this too, and looks complete
                raise _RefusedError("deadline")
            if len(body) > self._response_size_max_bytes and response.status_code < 400:
                raise _RefusedError("response_too_large")
            return body[: self._response_size_max_bytes]
        finally:
            response.close()
