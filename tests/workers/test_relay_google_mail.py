"""Mail at a simulated Gmail: found by search, told apart by the exact address, trashed, deleted, set aside, told."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.simulators.process import SimulatorProcess
from tests.workers.google_scene import ACTION, KARI, MAILBOX, OLA, Scene, arrange, from_, mail
from workers.relays.action import Outcome, RelayError, RelayResult, RelayWait
from workers.relays.google import erase, export, exporting, mailbox, restrict, unrestrict

TRASHED = RelayResult(Outcome.REMOVED, "in_trash")


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("google", tmp_path_factory.mktemp("google")) as started:
        yield started


@pytest.fixture
def scene(process: SimulatorProcess) -> Iterator[Scene]:
    yield arrange(process)
    process.clear()
    assert process.violations() == []


def written_about_kari() -> list[dict[str, Any]]:
    return [
        from_("Kari Nordmann <KARI@example.no>", 1),
        mail(2, ("From", MAILBOX), ("To", f"Ola <{OLA}>, Kari <{KARI}>"), labels=["SENT"]),
        mail(3, ("From", MAILBOX), ("To", OLA), ("Cc", KARI), labels=["SENT"]),
        mail(4, ("From", MAILBOX), ("To", OLA), ("Bcc", KARI), labels=["SENT"]),
        from_(KARI, 5, labels=["SPAM"]),
    ]


def about_others() -> list[dict[str, Any]]:
    """Gmail's search finds all of these for Kari's address."""
    return [
        from_(f'"{KARI}" <{OLA}>', 6),
        from_("anne-kari@example.no", 7),
        from_("kari@example.no.example.org", 8),
    ]


def test_an_erasure_puts_every_mail_of_the_exact_address_into_the_trash(scene: Scene) -> None:
    scene.has([*written_about_kari(), *about_others()])
    assert erase(ACTION, scene.alone()) == TRASHED
    labels = scene.labels()
    theirs = [labels[each["id"]] for each in written_about_kari()]
    assert all("TRASH" in each for each in theirs)
    assert [labels[each["id"]] for each in about_others()] == [["INBOX", "UNREAD"]] * 3
    assert scene.effects() == ["messages.trash"] * 5


def test_repeated_it_changes_nothing(scene: Scene) -> None:
    scene.has(written_about_kari())
    erase(ACTION, scene.alone())
    assert erase(ACTION, scene.alone()) == RelayResult(Outcome.NOT_FOUND)
    assert scene.effects() == ["messages.trash"] * 5


def test_permanently_it_is_gone_from_the_trash_too(scene: Scene) -> None:
    scene.has([*written_about_kari(), from_(KARI, 9, labels=["TRASH"]), *about_others()])
    assert erase(ACTION, scene.alone(delete_permanently=True)) == RelayResult(Outcome.REMOVED)
    assert list(scene.labels()) == [each["id"] for each in about_others()]
    assert scene.effects() == ["messages.batchDelete"]


def test_a_search_of_more_than_one_page_is_read_to_its_end(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "LIST_SIZE", 3)
    scene.has([from_(KARI, number) for number in range(8)])
    assert erase(ACTION, scene.alone()) == TRASHED
    assert all("TRASH" in each for each in scene.labels().values())


def test_more_mail_than_an_attempt_has_time_for_goes_in_several(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.has([from_(KARI, number) for number in range(4)])
    monkeypatch.setattr(mailbox, "BUDGET_S", 0.0)
    with pytest.raises(RelayWait) as waits:
        erase(ACTION, scene.alone())
    assert (waits.value.reason, waits.value.keeps_addresses) == ("more_mail", True)
    monkeypatch.undo()
    assert erase(replace(ACTION, notes={"changed": True}), scene.alone()) == TRASHED
    # Whatever an earlier attempt did is not forgotten when the last one finds nothing.
    assert erase(replace(ACTION, notes={"changed": True}), scene.alone()) == TRASHED


def test_a_mail_that_stays_where_it_was_is_no_erasure(scene: Scene) -> None:
    kept = from_(KARI, 1)
    scene.has([kept])
    answer = {"id": kept["id"], "threadId": kept["id"], "labelIds": ["TRASH"]}
    scene.google.faults([{"method": "POST", "path_prefix": "/gmail", "body": answer}])
    with pytest.raises(RelayError) as caught:
        erase(ACTION, scene.alone())
    assert caught.value.reason == "read_back_failed"


@pytest.mark.parametrize("body", ["<html>Please log in</html>", {}, [], {"messages": "none"}])
def test_another_answer_to_the_search_is_not_an_empty_mailbox(scene: Scene, body: object) -> None:
    scene.has(written_about_kari())
    scene.google.faults([{"method": "GET", "path_prefix": "/gmail/v1/users/me/messages", "body": body}])
    with pytest.raises(RelayError) as caught:
        erase(ACTION, scene.alone())
    assert caught.value.reason == "unexpected_answer"
    assert scene.effects() == []


def test_a_restriction_puts_mail_out_of_sight_and_its_end_puts_each_back_where_it_was(scene: Scene) -> None:
    scene.has([*written_about_kari(), *about_others()])
    before = scene.labels()
    assert restrict(ACTION, scene.alone()) == RelayResult(Outcome.DONE)
    labels = scene.labels()
    assert labels[from_(KARI, 1)["id"]] == ["Restricted", "Restricted/Inbox", "UNREAD"]
    assert labels[mail(2)["id"]] == ["Restricted", "SENT"]
    assert [labels[each["id"]] for each in about_others()] == [["INBOX", "UNREAD"]] * 3
    assert restrict(ACTION, scene.alone()).outcome is Outcome.NOT_FOUND
    assert unrestrict(ACTION, scene.alone()) == RelayResult(Outcome.DONE)
    assert scene.labels() == before


def test_a_copy_of_the_mail_is_whole_and_says_what_it_leaves_out(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "ALL_SIZE_MAX_BYTES", 1000)
    scene.has([from_(KARI, 1), from_(KARI, 2, size=3_000_000), from_(KARI, 3, size=990), *about_others()])
    told = export(ACTION, scene.alone())["mails"]
    assert [each["id"][-1] for each in told] == ["3", "2", "1"]
    assert [each.get("left_out") for each in told] == [None, "mail_too_large", "total_too_large"]
    assert base64.urlsafe_b64decode(told[0]["raw_base64url"]).startswith(b"From: kari@example.no\r\n")
    assert ["Message-ID", "<1@x.example>"] in told[2]["headers"]


def test_what_could_not_be_read_is_said_beside_what_could(scene: Scene) -> None:
    scene.has([from_(KARI, 1)], grants=[each for each in scene.google.state()["grants"] if "contacts" not in each])
    told = export(ACTION, scene.connection)
    assert told["contacts"] == {"not_read": "contacts_scope_missing"}
    assert len(told["mails"]) == 1
    assert told["groups"] == []
