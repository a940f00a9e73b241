"""The outgoing HTTP policy against servers that misbehave in every way a server can."""

import gzip
import ipaddress
import logging
import socketserver
import ssl
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import socket
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from workers.addresses import is_public_address
from workers.outgoing import OutgoingError, OutgoingSession

HOST = "127.0.0.1"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"
BODY = b"kari@example.no"
Talk = Callable[[socket], object]


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, talk: Talk, tls: ssl.SSLContext | None) -> None:
        super().__init__((HOST, 0), socketserver.BaseRequestHandler)
        self.talk, self.tls = talk, tls
        self.requests: list[bytes] = []
        self.connections = self.completed = 0
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server_address[1]}/"

    def finish_request(self, request: Any, client_address: Any) -> None:
        with suppress(OSError), self.tls.wrap_socket(request, server_side=True) if self.tls else request as connection:
            self.connections += 1
            while request := connection.recv(65536):
                if request == BODY:  # of the request before
                    continue
                self.requests.append(request)
                self.talk(connection)
                self.completed += 1


@contextmanager
def serving(talk: Talk, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    with Server(talk, tls) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def saying(*parts: bytes) -> Talk:
    return lambda connection: connection.sendall(b"".join(parts))


def trickling(head: bytes) -> Talk:
    def talk(connection: socket) -> None:
        connection.sendall(head)
        for _ in range(100):  # without the policy it would end as well, but much later and otherwise
            connection.sendall(b"a")
            time.sleep(0.05)

    return talk


def refusal(session: OutgoingSession, url: str, method: str = "GET") -> OutgoingError:
    with pytest.raises(OutgoingError) as caught:
        session.request(method, url, data=BODY if method == "POST" else None, timeout=5)
    return caught.value


def loopback_session(**limits: float) -> OutgoingSession:
    return OutgoingSession(frozenset({HOST}), allow_loopback=True, **limits)  # type: ignore[arg-type]


def test_it_refuses_a_host_that_is_not_on_the_list_and_connects_to_nobody() -> None:
    with serving(saying(OK)) as server:
        error = refusal(OutgoingSession(frozenset({"example.org"}), allow_loopback=True), server.url)
    assert (error.reason, error.permanent, server.requests) == ("host_not_allowed", True, [])


@pytest.mark.parametrize("url", ["http://example.org/", "ftp://127.0.0.1/", "//127.0.0.1/"])
def test_it_refuses_a_scheme_that_is_not_https(url: str) -> None:
    assert refusal(OutgoingSession(frozenset({"example.org", HOST})), url).reason in {
        "scheme_not_allowed",
        "invalid_request",
    }


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0"])
def test_it_refuses_an_allowed_host_whose_address_is_private(host: str) -> None:
    with serving(saying(OK)) as server:
        session = OutgoingSession(frozenset({host.strip("[]")}))
        error = refusal(session, f"https://{host}:{server.server_address[1]}/")
        assert (error.reason, error.permanent, server.requests) == ("address_not_allowed", False, [])


def test_it_allows_loopback_but_no_other_private_address_where_loopback_is_allowed() -> None:
    session = OutgoingSession(frozenset({"10.0.0.1"}), allow_loopback=True, deadline_s=1)
    assert {refusal(session, f"{scheme}://10.0.0.1/").reason for scheme in ("https", "http")} == {"address_not_allowed"}


NOT_PUBLIC = """0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 169.254.169.254 172.16.0.1 192.168.1.1 198.18.0.1 224.0.0.1
240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 64:ff9b::7f00:1 64:ff9b:1::1
2001:0:53aa:64c:0:0:f5ff:fffe 2001:db8::1 2002:7f00:1:: fc00::1 fe80::1 fec0::1 ff02::1"""
PUBLIC = " 1.1.1.1 ::ffff:1.1.1.1 64:ff9b::101:101 2606:4700::1111"


@pytest.mark.parametrize("address", (NOT_PUBLIC + PUBLIC).split())
def test_it_knows_a_public_address_in_each_of_its_forms(address: str) -> None:
    assert is_public_address(ipaddress.ip_address(address)) == (address in PUBLIC.split())


def test_it_fails_on_a_name_that_does_not_exist() -> None:
    error = refusal(OutgoingSession(frozenset({"nobody.invalid"}), deadline_s=0.5), "https://nobody.invalid/")
    assert (error.reason in {"dns", "deadline"}, error.permanent) == (True, False)


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
def test_it_takes_a_redirect_for_a_failure_and_sends_nothing_again(status: int) -> None:
    with serving(saying(OK)) as target:
        answer = f"HTTP/1.1 {status} Away\r\nLocation: {target.url}\r\nContent-Length: 0\r\n\r\n"
        with serving(saying(answer.encode())) as server:
            error = refusal(loopback_session(), server.url, "POST")
            assert (error.reason, error.permanent) == ("redirect", True)
            assert (len(server.requests), target.requests) == (1, [])


TALKS: dict[str, Talk] = {
    "silence": lambda connection: connection.recv(1),
    "status line": trickling(b""),
    "header": trickling(b"HTTP/1.1 200 OK\r\nX-Slow: "),
    "body with a length": trickling(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
    "body without a length": trickling(b"HTTP/1.1 200 OK\r\n\r\n"),
    "redirect": trickling(b"HTTP/1.1 302 Away\r\nLocation: /\r\nContent-Length: 1000\r\n\r\n"),
}


@pytest.mark.parametrize("talk", TALKS.values(), ids=TALKS)
def test_it_ends_an_answer_that_does_not_end_at_the_deadline(talk: Talk) -> None:
    with serving(talk) as server:
        error = refusal(loopback_session(deadline_s=0.3), server.url)
    assert error.reason == ("redirect" if talk is TALKS["redirect"] else "deadline")
    assert server.completed == 0 or talk is TALKS["silence"]


BOMB = gzip.compress(b"\0" * 20_000_000)
ZIPPED = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB


@pytest.mark.parametrize("rest", [b"\r\n" + b"a" * 70_000, ZIPPED], ids=["plain", "bomb"])
def test_it_refuses_an_answer_that_is_too_large_after_decompression_too(rest: bytes) -> None:
    with serving(saying(b"HTTP/1.1 200 OK\r\n", rest)) as server:
        tracemalloc.start()
        error = refusal(loopback_session(), server.url)
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (error.reason, error.permanent, peak_bytes < 2_000_000) == ("response_too_large", True, True)


def test_it_cuts_an_error_answer_that_is_too_large_and_keeps_its_status() -> None:
    with serving(saying(b"HTTP/1.1 503 Down\r\n\r\n", b"a" * 70_000)) as server:
        response = loopback_session().get(server.url, timeout=1)
    assert (response.status_code, len(response.content)) == (503, 65_536)


def test_it_keeps_no_cookie_and_no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login kari password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with serving(saying(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n"))) as server:
        session = loopback_session()
        session.get(server.url, timeout=1)
        session.get(server.url, timeout=1, proxies={"http": "http://127.0.0.1:9"})
    assert [b"Cookie" in each or b"Authorization" in each for each in server.requests] == [False, False]


def test_it_tells_and_logs_nothing_of_the_request(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(saying(b"nonsense\r\n\r\n")) as server:
        error = refusal(loopback_session(), f"{server.url}members/kari%40example.no", "POST")
    assert (str(error), error.request, error.response) == ("connection_lost", None, None)
    assert ("kari" in caplog.text, error.__suppress_context__) == (False, True)


def certificate(folder: Path, host: str = HOST, age_days: int = 1) -> tuple[str, ssl.SSLContext]:
    """A self-signed certificate that is valid for two days; its path, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    nobody = x509.Name([])
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
    start = datetime.now(UTC) - timedelta(days=age_days)
    builder = x509.CertificateBuilder(nobody, nobody, key.public_key(), 1, start, start + timedelta(days=2))
    signed = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / "certificate.pem"
    path.write_bytes(private + signed.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return str(path), context


@pytest.mark.parametrize(
    ("host", "days", "trusted", "reason"),
    [(HOST, 1, True, ""), (HOST, 1, False, "tls"), (HOST, 3, True, "tls"), ("::1", 1, True, "tls")],
    ids=["good", "self-signed", "expired", "wrong host"],
)
def test_it_sends_nothing_without_trust(tmp_path: Path, host: str, days: int, trusted: bool, reason: str) -> None:
    path, context = certificate(tmp_path, host, days)
    session = loopback_session(deadline_s=2)
    session.verify = path if trusted else True
    with serving(saying(OK), context) as server:
        if not reason:
            assert session.get(server.url, timeout=1, verify=False).text == "fine"
        else:
            error = refusal(session, server.url, "POST")
            assert (error.reason, error.permanent, server.requests) == (reason, True, [])


def test_it_ends_a_trickled_tls_answer_at_the_deadline(tmp_path: Path) -> None:
    path, context = certificate(tmp_path)
    session = loopback_session(deadline_s=0.5)
    session.verify = path
    with serving(TALKS["header"], context) as server:
        assert refusal(session, server.url).reason == "deadline"


def test_it_takes_a_handshake_that_is_not_tls_for_a_passing_fault() -> None:
    with serving(saying(OK)) as server:
        error = refusal(loopback_session(), server.url.replace("http", "https"))
    assert (error.reason, error.permanent) == ("tls_handshake", False)
