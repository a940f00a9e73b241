"""Connections that are kept: used again at once, under the deadline of each exchange, or not at all."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from socket import SHUT_RDWR, socket

import pytest

from tests.workers.test_outgoing import OK, TALKS, certificate, loopback_session, refusal, saying, serving


def test_it_returns_the_whole_answer_and_keeps_a_connection_for_each_thread() -> None:
    session = loopback_session()
    with serving(saying(OK)) as server, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: session.get(server.url, timeout=5), range(50)))
    assert {(each.status_code, each.content, each.text) for each in answers} == {(200, b"fine", "fine")}
    assert (len(server.requests), server.connections <= 4) == (50, True)


CUT = b"HTTP/1.1 404 Gone\r\nContent-Length: 70000\r\n\r\n" + b"a" * 70_000


@pytest.mark.parametrize(
    ("answer", "idle_max_s"), [(OK, 0.0), (CUT, 1.0)], ids=["after a rest", "with a rest of an answer"]
)
def test_it_does_not_use_a_connection_again(monkeypatch: pytest.MonkeyPatch, answer: bytes, idle_max_s: float) -> None:
    monkeypatch.setattr("workers.outgoing_connection.IDLE_MAX_S", idle_max_s)
    session = loopback_session()
    with serving(saying(answer)) as server:
        sizes = {len(session.get(server.url, timeout=5).content) for _ in range(3)}
    assert (len(sizes), server.connections) == (1, 3)


def test_it_notices_that_a_kept_connection_was_ended_meanwhile() -> None:
    session = loopback_session()

    def talk(connection: socket) -> None:
        connection.sendall(OK)
        connection.shutdown(SHUT_RDWR)

    with serving(talk) as server:
        for number in range(1, 4):
            assert session.post(server.url, timeout=5).text == "fine"
            while server.completed < number:
                time.sleep(0.001)
    assert server.connections == 3


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "TLS"])
def test_a_kept_connection_has_the_deadline_of_each_exchange(tmp_path: Path, encrypted: bool) -> None:
    path, context = certificate(tmp_path)
    session = loopback_session(deadline_s=0.5)
    session.verify = path
    said: list[bytes] = []

    def talk(connection: socket) -> None:  # well, once; then a trickle
        (TALKS["header"] if said else saying(OK))(connection)
        said.append(b"")

    with serving(talk, context if encrypted else None) as server:
        assert session.get(server.url).text == "fine"
        assert refusal(session, server.url).reason == "deadline"
        assert server.connections == 1
