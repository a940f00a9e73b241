"""The one outgoing HTTP policy: where a request may go, how long it may take and how much may come back."""

import io
import logging
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3

from workers.allowance import call_ends_at_s
from workers.outgoing_connection import EXCHANGE, KEPT_MAX, CheckedAdapter, Exchange, ExchangeError

LEASE_OVER = "lease_over"

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


def _reason(error: BaseException) -> str:
    match error:
        case ExchangeError():
            return error.reason
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
        self.headers.update({"Accept-Encoding": "identity"})
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            self.mount(scheme, CheckedAdapter(pool_maxsize=KEPT_MAX, max_retries=0))

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        ends_at_s = call_ends_at_s(self._deadline_s)
        if ends_at_s is None:  # whoever has taken the relay over must not be overtaken by this
            raise OutgoingError(LEASE_OVER, permanent=False)
        exchange = Exchange(self._allowed_hosts, self._allow_loopback, ends_at_s)
        try:
            with exchange.running():
                return super().request(method, url, *args, **kwargs)
        except (ExchangeError, urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
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
                raise ExchangeError("redirect")
            # Counted after decompression, which urllib3 stops at the number asked for: a bomb stays small.
            body: bytes = response.raw.read(self._response_size_max_bytes + 1, decode_content=True)
            if EXCHANGE.get().expired:  # a body without a length ends like this too, and looks complete
                raise ExchangeError("deadline")
            if len(body) > self._response_size_max_bytes and response.status_code < 400:
                raise ExchangeError("response_too_large")
            return body[: self._response_size_max_bytes]
        finally:
            response.close()
