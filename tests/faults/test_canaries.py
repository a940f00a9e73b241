"""P5: twenty canaries on every way in and through every fault, and afterwards in no place that is not theirs."""

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from uuid import uuid4

import pytest

from ledger.patience import REST_S
from ledger.sqlite import sqlite
from schemas.settings import form_secrets_name
from tests.faults import people
from tests.faults.conftest import Note
from tests.faults.intruders import (
    CF7,
    FORM_TYPE,
    GRAVITY,
    Intruder,
    good_deliveries,
    no_http,
    parked_deliveries,
    refused_deliveries,
)
from tests.faults.needles import Needle, needle, search
from tests.faults.oracle import change, database_of, query, wait_until_mailed, wait_until_recorded
from tests.faults.people import NEEDLES
from tests.faults.processors import processors_of, store_people
from tests.faults.sinks import ALLOWED, OWN_SECRETS, everything, files
from tests.faults.test_killed_processes import gunicorn_workers
from tests.stack import Stack

FOR_EVER = {"count": None}


@pytest.fixture
def visited(tmp_path: Path) -> Iterator[Intruder]:
    """A service of its own that says all it ever says, after everything was done to it."""
    with Stack(tmp_path, {"LOG_LEVEL": "DEBUG"}) as stack:
        intruder = Intruder(stack)
        come_in(intruder)
        poison(intruder)
        fail_relays(intruder)
        break_processes(intruder)
        command(intruder)
        for path in ("/metrics", "/health/ready", "/health/live"):
            intruder.ask("GET", path)
        yield intruder


def come_in(intruder: Intruder) -> None:
    stack = intruder.stack
    assert set(good_deliveries(intruder)) == {(200, "accepted")}
    assert [told for _, told in parked_deliveries(intruder)] == ["parked"] * 4 + ["accepted", "conflict"]
    statuses = set(refused_deliveries(intruder))
    assert statuses <= {400, 401, 404, 405, 413, 415}, statuses
    no_http(intruder)
    wait_until_recorded(stack)
    wait_until_mailed(stack)
    for link in intruder.links():
        for method, body in (("GET", b""), ("POST", b"confirm=1"), ("POST", b"List-Unsubscribe=One-Click")):
            intruder.ask(method, f"/{link}", body, {"Content-Type": FORM_TYPE})
            intruder.ask(method, f"/{link}{people.TOKEN}?{people.QUERY}", body, {"Content-Type": FORM_TYPE})
    for address in (people.EMAIL, people.STOPPED, people.STOPPED.upper()):
        assert intruder.signed("withdrawal", {"email": address, **people.EXTRAS})[0] == 200
    wait_until_recorded(stack)


def poison(intruder: Intruder) -> None:
    """One delivery that the database refuses, one whose box is broken, and a database that is locked."""
    stack, path = intruder.stack, database_of(intruder.stack)
    change(path, "CREATE TRIGGER poison BEFORE INSERT ON vault BEGIN SELECT RAISE(ABORT, 'poisoned'); END")
    fields = {"email": f"x{people.EMAIL}", "newsletter": "yes", **people.PROFILE, **people.EXTRAS}
    assert intruder.signed("newsletter", fields) == (200, "accepted")
    wait_until_recorded(stack)
    change(path, "DROP TRIGGER poison")
    for _ in range(10):
        pid = stack.kill("record", signal.SIGSTOP)
        if intruder.signed("newsletter", {**fields, "email": f"y{people.EMAIL}"}) == (200, "accepted"):
            break
        os.kill(pid, signal.SIGCONT)  # it was stopped in the middle of a transaction, and holds the writers' lock
        time.sleep(REST_S)
    change(path, "UPDATE inbox SET box = zeroblob(200) WHERE status = 'new'")
    os.kill(pid, signal.SIGCONT)
    wait_until_recorded(stack)
    reasons = {reason for (reason,) in query(path, "SELECT reason FROM inbox WHERE status = 'parked'")}
    assert {"record_failed", "unreadable", "conflict"} <= reasons
    with locked(path):
        assert intruder.signed("newsletter", fields)[0] == 503
    time.sleep(REST_S)  # for so long after a long wait nobody is kept waiting


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Somebody else's long transaction."""
    connection = sqlite.connect(path, isolation_level=None)
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def fail_relays(intruder: Intruder) -> None:
    """Processors whose errors name the person, each in its own way."""
    stack = intruder.stack
    processors = processors_of(stack)
    store_people(processors, [people.EMAIL, people.FAILING])
    told = f"<p>{people.FAILING} {people.FIRST_NAME} {people.LAST_NAME} {people.TOKEN}</p>"
    error = {"error": {"message": told, "code": people.FAILING, "type": people.TOKEN, "errors": [{"reason": told}]}}
    redirect = f"http://127.0.0.1:9/{people.FAILING}"
    processors["wordpress"].plan(
        {"body": told, "status": 500}, {"body": {"outcome": people.FAILING}}, {"redirect": redirect}
    )
    processors["stripe"].plan({"body": error, "status": 503}, {"body": error, "status": 400})
    processors["google"].plan(
        {"body": error, "status": 429}, {"body": {**error, "kind": told}}, {"body": error, "status": 404}
    )
    assert intruder.signed("withdrawal", {"email": people.FAILING, **people.EXTRAS}) == (200, "accepted")
    wait_until_recorded(stack)
    ended = "SELECT count(*) FROM relay WHERE status = 'parked' AND processor != 'mail' AND action = 'withdraw'"
    stack.wait_for(lambda: query(database_of(stack), ended) == [(3,)], "for three parked relays")


def break_processes(intruder: Intruder) -> None:
    """They die with canaries in their memory and on their way in."""
    stack = intruder.stack

    def send() -> None:
        for number in range(10):
            # Whatever a dying server answers, or leaves unanswered, is no answer.
            with suppress(OSError, ValueError, LookupError, HTTPException):
                intruder.signed(
                    "newsletter", {"email": f"n{number}{people.EMAIL}", "newsletter": "yes", **people.EXTRAS}
                )

    senders = [threading.Thread(target=send) for _ in range(3)]
    for one in senders:
        one.start()
    os.kill(gunicorn_workers(stack)[0], signal.SIGKILL)
    killed = {name: stack.kill(name) for name in ("record", "relay", "valkey")}
    for one in senders:
        one.join()
    for name, pid in killed.items():
        stack.wait_restarted(name, pid)
    stack.wait_ready()
    wait_until_recorded(stack)


def command(intruder: Intruder) -> None:
    """The operator's commands: what they print, and what they say when they cannot."""
    stack = intruder.stack
    parked = json.loads(stack.cli("deliveries", "list", "--status", "parked", "--json").stdout)
    ids = [str(one["id"]) for one in parked]
    for arguments in (
        ["consents", "check", "--email", people.EMAIL, "--purpose", "newsletter"],
        ["consents", "check", "--email", f"{people.IDENTITY} {people.SENTENCE}", "--purpose", "newsletter"],
        ["subjects", "show", "--email", people.EMAIL],
        ["relays", "show", people.TOKEN],
        ["relays", "list"],
        ["deliveries", "show", ids[0]],
        ["deliveries", "replay", *ids],
        ["doctor"],
    ):
        done = stack.cli(*arguments)
        intruder.answers.append((f"command {' '.join(arguments[:2])}", (done.stdout + done.stderr).encode()))
    wait_until_recorded(stack)
    done = stack.cli("ledger", "audit")
    assert done.returncode == 0, done.stdout


def own_secrets(stack: Stack) -> list[Needle]:
    forms = (form_secrets_name(form) for form in ("newsletter", "withdrawal", CF7, "newsletter-gravity-forms"))
    names = (*forms, "STRIPE_WEBHOOK_SECRETS", "STRIPE_API_KEY", "WORDPRESS_SECRET")
    return [needle(name, stack.setting(name)) for name in names]


def test_no_canary_and_no_secret_is_found_anywhere(visited: Intruder, note: Note) -> None:
    places = [*everything(visited.stack), *visited.answers]
    note("canaries", len(NEEDLES))
    note("places", len(places))
    note("bytes", sum(len(content) for _, content in places))
    assert search(places, NEEDLES) == []
    tokens = [needle(f"link {link[:4]}", link[2:]) for link in visited.links()]
    assert len(tokens) >= 4
    kept = everything(visited.stack, with_own_secrets=False)
    assert search([*kept, *visited.answers], own_secrets(visited.stack)) == []
    # The page of a link leads to itself and to the choices behind it: whoever reads that has the link.
    others = [(name, content) for name, content in visited.answers if not re.search(r" /[wcrp]/", name)]
    assert search([*kept, *others], tokens) == []
    assert_they_came_in(visited)


def assert_they_came_in(visited: Intruder) -> None:
    """Where they may be, they are: in the mails, and at the processors."""
    allowed = files(visited.stack.data_dir, OWN_SECRETS)
    found = {line.partition("/")[0] for line in search(allowed, NEEDLES[:4])}
    assert found == {"file mail", "file simulators"}


def test_a_malformed_request_is_not_repeated_to_its_sender(service: Stack) -> None:
    intruder = Intruder(service)
    no_http(intruder)
    assert search(intruder.malformed, NEEDLES) == []


def test_an_id_that_names_a_person_is_not_kept_in_clear(service: Stack) -> None:
    """A form whose entry id is the e-mail field, or a sender that makes its ids of names."""
    person = f"{uuid4().hex}@example.org"
    fields = {"id": person, "date_created": "2026-11-23 01:25:45", "2": person, "5.1": "1"}
    assert Intruder(service).with_secret(GRAVITY, fields) == (200, "accepted")
    assert search(files(service.data_dir, ALLOWED), [needle("address", person)]) == []
