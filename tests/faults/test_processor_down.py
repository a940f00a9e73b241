"""A processor that is down, slow, wrong or gone: relays wait in order, act once, and end confirmed or parked."""

import json
import socket
import time
from collections.abc import Iterator, Sequence
from uuid import uuid4

import pytest

from ledger.processors import FAILURES_MAX
from tests.faults.conftest import Note
from tests.faults.oracle import (
    all_confirmed,
    assert_ledger_verifies,
    change,
    database_of,
    relays_of,
    wait_until_recorded,
)
from tests.faults.processors import KINDS, Processor, deeds, processors_of, still_held, store_people
from tests.faults.senders import Campaign, SignedForm, fresh_name, post
from tests.stack import Stack

PEOPLE = 4
SOURCE = "form:withdrawal"
DELIVERED_WAIT_S = 60.0
FOR_EVER = {"count": None}
NOBODY = "authorization_not_forwarded"  # what WordPress' own 401 means (workers.relays.wordpress.answers)


@pytest.fixture
def processors(service: Stack) -> Iterator[dict[str, Processor]]:
    made = processors_of(service)
    end_rests(service)  # of an earlier test's faults
    yield made
    for one in made.values():
        one.clear()


def sign_up(stack: Stack, processors: dict[str, Processor], count: int = PEOPLE) -> list[str]:
    """People whom we and every processor know; their addresses."""
    name = f"known-{fresh_name()}"
    Campaign(stack, name, count).start().finish()
    wait_until_recorded(stack)
    emails = [f"{name}-{number}@example.org" for number in range(count)]
    store_people(processors, emails)
    return emails


def withdraw(stack: Stack, emails: Sequence[str]) -> list[str]:
    """One withdrawal each, in this order; the ids of the deliveries."""
    form = SignedForm(stack, "withdrawal")
    ids = [f"msg_{uuid4().hex}" for _ in emails]
    for message_id, email in zip(ids, emails, strict=True):
        body = json.dumps({"email": email}).encode()
        assert post(stack.port, form.path, body, form.headers(message_id, body)).status == 200
    return ids


def relays(stack: Stack, ids: Sequence[str], kind: str | None = None) -> list[dict[str, object]]:
    return [one for one in relays_of(database_of(stack), ids, SOURCE) if kind in (None, one["processor"])]


def tried(stack: Stack, ids: Sequence[str], kind: str) -> int:
    """Attempts at one processor; after FAILURES_MAX that failed in a row they are made one at a time, with rests."""
    return sum(int(str(one["attempts"])) for one in relays(stack, ids, kind))


def wait_for_reason(stack: Stack, ids: Sequence[str], kind: str, status: str, reason: str) -> list[dict[str, object]]:
    def look() -> bool:
        found = relays(stack, ids, kind)
        return len(found) == len(ids) and all((one["status"], one["reason"]) == (status, reason) for one in found)

    stack.wait_for(look, f"for relays to be {status}, {reason}")
    return relays(stack, ids, kind)


def wait_confirmed(stack: Stack, ids: Sequence[str], emails: Sequence[str]) -> None:
    """Every relay of these deliveries, and true at the processors themselves."""
    stack.wait_for(all_confirmed(stack, ids, SOURCE, len(ids) * len(KINDS)), "for every relay to be confirmed")
    made = processors_of(stack)
    assert still_held(made, emails) == []
    assert [line for one in made.values() for line in one.journal() if line["violation"]] == []
    assert_ledger_verifies(stack)


def test_relays_wait_out_an_outage_in_order_and_act_once(service: Stack, processors: dict[str, Processor]) -> None:
    emails = sign_up(service, processors)
    processors["wordpress"].plan({"status": 500, **FOR_EVER})
    processors["stripe"].plan({"status": 429, "headers": {"Retry-After": "1"}, **FOR_EVER})
    processors["google"].plan({"status": 503, "body": "<h1>Back soon</h1>", **FOR_EVER})
    first, second = withdraw(service, emails), withdraw(service, emails)
    service.wait_for(
        lambda: all(tried(service, first, kind) > FAILURES_MAX for kind in KINDS), "for the rests to begin"
    )
    assert {one["status"] for one in relays(service, [*first, *second])} == {"pending"}
    assert {one["attempts"] for one in relays(service, second)} == {0}, "a later relay overtook an earlier one"
    for processor in processors.values():
        processor.clear()
    wait_confirmed(service, [*first, *second], emails)
    journals = {kind: processor.journal() for kind, processor in processors.items()}
    email_of = dict(zip([one["subject"] for one in relays(service, first, "stripe")], emails, strict=True))
    for one in relays(service, [*first, *second]):
        kind, email = str(one["processor"]), email_of[one["subject"]]
        assert deeds(kind, journals[kind], str(one["id"]), email) == 1, one
    assert told_in_order(journals["wordpress"], [str(one["id"]) for one in relays(service, [*first, *second])])


def told_in_order(journal: Sequence[dict[str, object]], ids: Sequence[str]) -> bool:
    """Whether WordPress heard each person's relays in the order in which they were made."""
    heard: dict[str, list[str]] = {}
    for line in journal:
        body = line["body"]
        if isinstance(body, dict) and body.get("reference") in ids:
            heard.setdefault(body["emails"][0], []).append(body["reference"])
    order = {relay_id: place for place, relay_id in enumerate(ids)}
    return all([order[one] for one in told] == sorted(order[one] for one in told) for told in heard.values())


def test_an_answer_that_is_lost_after_the_deed_does_not_double_it(
    service: Stack, processors: dict[str, Processor]
) -> None:
    emails = sign_up(service, processors, 1)
    processors["wordpress"].plan({"status": 502, "after_effect": True, "path_prefix": "/wp-json/samtykke/v1/withdraw"})
    processors["stripe"].plan({"status": 500, "after_effect": True, "method": "POST"})
    processors["google"].plan({"status": 503, "after_effect": True, "method": "DELETE"})
    ids = withdraw(service, emails)
    wait_confirmed(service, ids, emails)
    for kind in ("stripe", "google"):
        (one,) = relays(service, ids, kind)
        assert one["attempts"] == 2
        assert deeds(kind, processors[kind].journal(), str(one["id"]), emails[0]) == 1
    (one,) = relays(service, ids, "wordpress")
    told = deeds("wordpress", processors["wordpress"].journal(), str(one["id"]), emails[0])
    assert told == 2, "the plugin sets a state, so that telling it twice is the same as once"


@pytest.mark.parametrize("reason", ["redirect", "rejected"])
def test_what_cannot_help_is_parked_with_a_reason_and_can_be_replayed(
    service: Stack, processors: dict[str, Processor], reason: str
) -> None:
    emails = sign_up(service, processors, 1)
    with socket.create_server(("127.0.0.1", 0)) as trap:
        target = f"http://127.0.0.1:{trap.getsockname()[1]}/"
        fault = {"redirect": target, "status": 307} if reason == "redirect" else {"status": 400}
        processors["wordpress"].plan({**fault, **FOR_EVER})
        ids = withdraw(service, emails)
        (parked,) = wait_for_reason(service, ids, "wordpress", "parked", reason)
        trap.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody came: an address must not follow a redirect
            trap.accept()
    listed = json.loads(service.cli("relays", "list", "--status", "parked", "--json").stdout)
    assert [one["reason"] for one in listed if one["id"] == parked["id"]] == [reason]
    processors["wordpress"].clear()
    assert service.cli("relays", "replay", str(parked["id"])).returncode == 0
    wait_confirmed(service, ids, emails)


def test_refused_credentials_are_shown_and_tried_again_later(service: Stack, processors: dict[str, Processor]) -> None:
    emails = sign_up(service, processors, 1)
    processors["wordpress"].plan({"status": 401, **FOR_EVER})
    ids = withdraw(service, emails)
    (halted,) = wait_for_reason(service, ids, "wordpress", "pending", NOBODY)
    assert int(str(halted["next_attempt_at_ms"])) > time.time() * 1000 + 200_000, "no lock-out storm"
    listed = json.loads(service.cli("relays", "list", "--status", "pending", "--json").stdout)
    assert [one["reason"] for one in listed if one["id"] == halted["id"]] == [NOBODY]
    processors["wordpress"].clear()
    pass_time(service, halted)
    wait_confirmed(service, ids, emails)


def test_an_operator_who_mended_the_credentials_need_not_wait(service: Stack, processors: dict[str, Processor]) -> None:
    emails = sign_up(service, processors, 1)
    processors["wordpress"].plan({"status": 401, **FOR_EVER})
    ids = withdraw(service, emails)
    (halted,) = wait_for_reason(service, ids, "wordpress", "pending", NOBODY)
    processors["wordpress"].clear()
    replayed = service.cli("relays", "replay", str(halted["id"]))
    assert replayed.returncode == 0, replayed.stdout
    wait_confirmed(service, ids, emails)


def end_rests(stack: Stack) -> None:
    """As if every processor had rested long enough."""
    change(database_of(stack), "UPDATE processor_state SET failures = 0, closed_until_ms = 0, reason = NULL")


def pass_time(stack: Stack, waiting: dict[str, object]) -> None:
    """As if the waits of this relay and of its processor were over."""
    end_rests(stack)
    change(
        database_of(stack), "UPDATE relay SET next_attempt_at_ms = 0 WHERE id = ?", [bytes.fromhex(str(waiting["id"]))]
    )


@pytest.mark.parametrize("kind", ["stripe", pytest.param("wordpress", marks=pytest.mark.long)])
def test_a_processor_that_never_answers_is_given_up_after_its_deadline(
    service: Stack, processors: dict[str, Processor], kind: str, note: Note
) -> None:
    emails = sign_up(service, processors, 1)
    processors[kind].plan({"hang": True})
    started_s = time.monotonic()
    ids = withdraw(service, emails)
    wait_confirmed(service, ids, emails)
    note("confirmed_after_s", round(time.monotonic() - started_s, 1))
    (one,) = relays(service, ids, kind)
    assert one["attempts"] == 2
    assert deeds(kind, processors[kind].journal(), str(one["id"]), emails[0]) == 1


@pytest.mark.long
def test_a_processor_that_hangs_does_not_hold_the_others_up(
    service: Stack, processors: dict[str, Processor], note: Note
) -> None:
    emails = sign_up(service, processors, 10)
    processors["google"].plan({"hang": True, **FOR_EVER})
    ids = withdraw(service, emails)

    def others_done() -> bool:
        found = [one for one in relays(service, ids) if one["processor"] != "google"]
        return len(found) == 2 * len(ids) and all(one["status"] == "confirmed" for one in found)

    started_s = time.monotonic()
    service.wait_for(others_done, "for the healthy processors", DELIVERED_WAIT_S)
    note("healthy_processors_confirmed_after_s", round(time.monotonic() - started_s, 1))


@pytest.mark.long
def test_a_relayer_that_is_killed_keeps_every_withdrawal(service: Stack, processors: dict[str, Processor]) -> None:
    """What it had claimed waits for the lease to run out, a minute, and is then carried by the next."""
    emails = sign_up(service, processors, 20)
    ids = withdraw(service, emails)
    for number in range(3):
        service.wait_for(
            lambda number=number: sum(one["attempts"] for one in relays(service, ids)) > number * 10,  # type: ignore[misc]
            "for attempts to be killed at",
        )
        service.wait_restarted("relay-urgent", service.kill("relay-urgent"))
    service.wait_for(all_confirmed(service, ids, SOURCE, len(ids) * len(KINDS)), "for every relay", 180)
    wait_confirmed(service, ids, emails)
    journal = processors["stripe"].journal()
    for one, email in zip(relays(service, ids, "stripe"), emails, strict=True):
        assert deeds("stripe", journal, str(one["id"]), email) == 1, one
