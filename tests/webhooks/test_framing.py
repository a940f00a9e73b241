"""Framing attacks on the real server: one answer to one request, never a fault of ours, and nobody else notices."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.webhooks.framings import BODY, CHUNKED, FRAMINGS, GOOD, JSON, LENGTH, LIVE, PATH, TOKEN, post
from tests.webhooks.server import Server, read_answer, read_to_end, serving, statuses
from tests.world import FORM_SECRET, World, settings_for, signed_headers
from webhooks.arrival import CONTINUE

CUT_AT = (1, 2, 3, 17, 60, 200)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(settings_for(tmp_path_factory.mktemp("framed")))
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(world: World) -> Iterator[Server]:
    with serving(world.settings, world.settings.data_dir) as started:
        yield started


def is_ours(answer: bytes) -> bool:
    """One of our refusals, in its one shape, and nothing of what was sent."""
    told = json.loads(answer.rpartition(b"\r\n\r\n")[2])["error"]
    return set(told) == {"status", "reason", "message"} and b"kari" not in answer


@pytest.mark.parametrize("name", FRAMINGS)
def test_it_is_answered_once_and_the_next_request_is_another(server: Server, name: str) -> None:
    sent, allowed = FRAMINGS[name]
    answers = server.exchange(sent)
    found = statuses(answers)
    # Refused: what follows on the connection is nobody's request. Taken: there was nothing behind it.
    assert len(found) == 1, answers
    assert set(found) <= allowed, answers
    if found[0] not in (200, 405):
        assert is_ours(answers)
    assert server.is_well()


@pytest.mark.parametrize("name", ["a length", "chunks", "trailers", "an extension", "HTTP/1.0"])
@pytest.mark.parametrize("cut_at", CUT_AT)
def test_it_does_not_matter_in_which_pieces_a_request_comes(server: Server, name: str, cut_at: int) -> None:
    sent, _ = FRAMINGS[name]
    with server.connect() as connection:
        for start in range(0, len(sent), cut_at):
            connection.sendall(sent[start : start + cut_at])
        assert statuses(read_answer(connection)) == [200]


def test_a_connection_is_kept_and_each_request_on_it_is_answered(server: Server) -> None:
    with server.connect() as connection:
        for sent in (
            post(LENGTH),
            post(CHUNKED, body=GOOD),
            LIVE + b"\r\n",
            b"GET /no HTTP/1.1\r\nHost: x\r\n\r\n",
        ) * 2:
            connection.sendall(sent)
            assert statuses(read_answer(connection)) in ([200], [404])


def test_requests_sent_at_once_are_answered_in_turn(server: Server) -> None:
    missing = b"GET /no HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answers = server.exchange(post(CHUNKED, body=GOOD) + LIVE + b"\r\n" + post(LENGTH) + missing)
    assert statuses(answers) == [200, 200, 200, 404]


def test_who_waits_to_be_told_to_go_on_is_told_once(server: Server) -> None:
    """PHP's curl does so with larger bodies, and waits for a second if nobody answers."""
    head, _, body = post(LENGTH, b"Expect: 100-continue\r\n").partition(b"\r\n\r\n")
    with server.connect() as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(65_536) == CONTINUE
        connection.sendall(body)
        assert statuses(read_answer(connection)) == [200]
    with server.connect() as connection:
        connection.sendall(head.replace(LENGTH.strip(), b"Content-Length: 999999999") + b"\r\n\r\n")
        connection.shutdown(1)
        assert statuses(read_to_end(connection))[-1] == 413


def test_an_underscore_is_not_a_hyphen(server: Server, world: World) -> None:
    """CGI cannot tell the two apart, so a second signature could stand in for the first."""
    raw = '{"email": "kari@example.test", "newsletter": "yes"}'
    signed = signed_headers(raw, "msg_underscore", int(time.time()))
    lines = [f"{name}: {value}\r\n".encode() for name, value in signed.items()]
    line = b"POST /webhooks/forms/newsletter HTTP/1.1\r\nHost: x\r\n" + JSON + b"Content-Length: %d\r\n" % len(raw)

    def send(*headers: bytes) -> list[int]:
        return statuses(server.exchange(line + b"".join(headers) + b"\r\n" + raw.encode()))

    assert send(*(one.replace(b"webhook-", b"webhook_") for one in lines)) == [401]
    assert send(*lines, b"webhook_signature: v1,AAAA\r\n") == [200]
    for one in lines:  # twice, joined by the server to one
        assert send(*lines, one) == [401]


def test_a_secret_sent_twice_is_none(server: Server) -> None:
    sent = b"POST " + PATH + b" HTTP/1.1\r\nHost: x\r\n" + JSON + TOKEN + TOKEN + LENGTH + b"\r\n" + BODY
    assert statuses(server.exchange(sent)) == [401]
    underscored = sent.replace(TOKEN + TOKEN, b"X_Gdpr_Token: " + FORM_SECRET.encode() + b"\r\n")
    assert statuses(server.exchange(underscored)) == [401]


def test_what_never_reached_the_application_is_counted_too(server: Server) -> None:
    server.exchange(FRAMINGS["two hosts"][0])
    told = server.exchange(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b'samtykke_refused_total{reason="request_malformed",route="unknown"}' in told


def test_the_log_of_it_all_says_nothing(server: Server) -> None:
    text = server.log.read_text("utf-8")
    assert '"request_invalid"' in text
    for secret in ("kari", FORM_SECRET, "elsewhere", "request_failed", "worker_"):
        assert secret not in text.replace("worker_starting", "")
