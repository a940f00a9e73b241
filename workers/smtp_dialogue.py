"""One dialogue with a mail server: connected and encrypted within a time, and what it means when it breaks."""

import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from schemas.settings import TLS
from workers.addresses import resolve
from workers.allowance import call_ends_at_s
from workers.deadline import DEADLINES
from workers.relays.action import RelayError

DEADLINE_S = 50.0  # for a whole mail: some servers look for viruses before they answer; the lease is longer
CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """`encryption`: STARTTLS, TLS or NO_TLS. `domain`: what we call ourselves. `user` None: no login."""

    host: str
    port: int
    encryption: str
    domain: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    deadline_s: float = DEADLINE_S


class Dialogue(smtplib.SMTP):
    """Whose total time is limited: the timeout of a socket begins again at every byte, and so never ends a trickle."""

    def __init__(self, server: SmtpServer, ends_at_s: float) -> None:
        self._server = server
        self._ends_at_s = ends_at_s
        self._watched: socket.socket | None = None
        self._deadline = DEADLINES.add(ends_at_s, self._expire)
        super().__init__(local_hostname=server.domain)
        self._host = server.host  # whose certificate STARTTLS asks for; smtplib sets it only where it connects at once

    def open(self) -> None:
        code, _ = self.connect(self._server.host, self._server.port)
        expect(code, 220, "server_refused")

    def end(self) -> None:
        DEADLINES.cancel(self._deadline)
        self.close()
        if self._watched is not None:
            self._watched.close()

    @property
    def is_expired(self) -> bool:
        return time.monotonic() >= self._ends_at_s

    def remaining_s(self) -> float:
        return max(self._ends_at_s - time.monotonic(), 0.001)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        found = resolve(host, port, self.remaining_s())
        for family, address in found:
            connected = socket.socket(family, socket.SOCK_STREAM)
            try:
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connected.settimeout(min(CONNECT_TIMEOUT_S, self.remaining_s()))
                connected.connect(address)
            except OSError:
                connected.close()
                continue
            connected.settimeout(self.remaining_s())
            self._watched = connected.dup()  # TLS takes the descriptor away from the socket that it wraps
            if self._server.encryption == TLS:
                return ssl.create_default_context().wrap_socket(connected, server_hostname=host)
            return connected
        raise RelayError("connect" if found else "dns")

    def _expire(self) -> None:
        with suppress(OSError):
            if self._watched is not None:
                self._watched.shutdown(socket.SHUT_RDWR)


@contextmanager
def connected(server: SmtpServer) -> Iterator[Dialogue]:
    """After the greeting. Whatever goes wrong becomes a RelayError that says nothing of what was said."""
    ends_at_s = call_ends_at_s(server.deadline_s)
    if ends_at_s is None:
        raise RelayError("lease_over")
    dialogue = Dialogue(server, ends_at_s)
    try:
        dialogue.open()
        yield dialogue
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise _error_of(error, dialogue.is_expired) from None
    finally:
        dialogue.end()


def _error_of(error: Exception, is_expired: bool) -> RelayError:
    if is_expired or isinstance(error, TimeoutError):
        return RelayError("deadline")
    if isinstance(error, ssl.SSLCertVerificationError):
        return RelayError("tls", halt=True)
    if isinstance(error, ssl.SSLError):
        return RelayError("tls_handshake")
    if isinstance(error, smtplib.SMTPResponseException | ValueError):
        return RelayError("unexpected_answer")
    return RelayError("connection_lost")


def expect(code: int, wanted: int, reason: str) -> None:
    """What is refused here would be refused to every mail: later (4yz), or until somebody mends it (5yz)."""
    if code == wanted:
        return
    if 400 <= code < 500:
        raise RelayError("busy")
    if code < 500:
        raise RelayError("unexpected_answer")
    raise RelayError(reason, halt=True)
