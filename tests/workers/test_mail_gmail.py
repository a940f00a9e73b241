"""Mail through a simulated Gmail: sent once whatever happens, as the bytes that we wrote, and slower when asked."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulators.process import SimulatorProcess
from tests.workers.google_scene import ALL_SCOPES, KARI, MAILBOX, Scene, arrange, from_
from tests.world import World, settings_for
from workers import mail_gmail
from workers.intake.mailbox import GmailConnection
from workers.mail import compose
from workers.relays.action import RelayError
from workers.relays.google.calls import SENDING

NAME = "0f" * 16
SEND = "/gmail/v1/users/me/messages/send"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("google", tmp_path_factory.mktemp("google")) as started:
        yield started


@pytest.fixture
def scene(process: SimulatorProcess) -> Iterator[Scene]:
    yield arrange(process, deadline_s=0.6)
    process.clear()
    assert process.violations() == []


def account(scene: Scene) -> GmailConnection:
    return GmailConnection(scene.own.credentials_info, MAILBOX, scene.google.url, scene.session)


def sent(scene: Scene) -> list[dict[str, Any]]:
    return list(scene.google.state()["mailbox"]["mails"])


def send(scene: Scene, **options: Any) -> None:
    mail = compose(MAILBOX, KARI, NAME, "Bekreft på nytt\n\nHei, her er lenken.")
    link = "https://samtykke.example.org/w/" + "a" * 120
    mail["List-Unsubscribe"] = f"<{link}>"
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail_gmail.send(account(scene), mail, **options)


def test_a_mail_is_sent_once_and_its_header_fields_as_they_were_written(scene: Scene) -> None:
    send(scene)
    send(scene)
    (mail,) = sent(scene)
    assert mail["labels"] == ["SENT"]
    head = mail["raw"].partition("\r\n\r\n")[0] + "\r\n"
    assert f"\r\nMessage-ID: <{NAME}@example.org>\r\n" in head
    assert f"\r\nList-Unsubscribe: <https://samtykke.example.org/w/{'a' * 120}>\r\n" in head
    assert "\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in head
    assert head.isascii()


@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"hang": True}, {"body": "<html>"}, {"status": 500}, {"redirect": "https://x.example"}]
)
@pytest.mark.parametrize("after_effect", [False, True])
def test_whatever_becomes_of_the_answer_the_mail_is_sent_once(
    scene: Scene, fault: dict[str, Any], after_effect: bool
) -> None:
    scene.google.faults([{"method": "POST", "path_prefix": SEND, "after_effect": after_effect, **fault}])
    with pytest.raises(RelayError) as caught:
        send(scene)
    # Gmail's search may not know yet what has just been sent.
    assert caught.value.permanent or (caught.value.retry_after_s or 0) >= 60
    assert KARI not in str(caught.value)
    scene.google.clear()
    send(scene)
    assert len(sent(scene)) == 1


def test_a_mail_is_known_again_where_gmail_gave_it_another_message_id(scene: Scene) -> None:
    earlier = from_("post@example.org", 1, labels=["SENT"])
    earlier["headers"] = [("From", MAILBOX), ("To", KARI), ("X-Samtykke-Mail", "another@example.org")]
    scene.has([earlier])
    mailbox = scene.google.state()["mailbox"]
    scene.google.seed({"mailbox": {**mailbox, "renames": True}})
    scene.google.faults([{"method": "POST", "path_prefix": SEND, "after_effect": True, "status": 503}])
    with pytest.raises(RelayError):
        send(scene)
    send(scene)
    assert [dict(each["headers"]).get("Message-ID") for each in sent(scene)] == [None, "<CA1@mail.gmail.example>"]


def limit(message: str, status: int = 429) -> dict[str, Any]:
    reason = "dailyLimitExceeded" if status == 403 else "userRateLimitExceeded"
    error = {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}
    return {"method": "POST", "path_prefix": SEND, "status": status, "body": {"error": error}}


def test_the_daily_limit_is_waited_for(scene: Scene) -> None:
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=10)
    said = f"User-rate limit exceeded.  Retry after {soon:%Y-%m-%dT%H:%M:%S}.000Z (Mail sending)"
    scene.google.faults([limit(said), limit("User-rate limit exceeded. (Mail sending)"), limit("Daily limit", 403)])
    waits = []
    for reason in ("rate_limited", "rate_limited", "daily_limit"):
        with pytest.raises(RelayError) as caught:
            send(scene)
        assert (caught.value.reason, caught.value.permanent, caught.value.halt) == (reason, False, False)
        waits.append(caught.value.retry_after_s)
    assert waits == [pytest.approx(600, abs=5), 3600, 3600]
    assert sent(scene) == []


def test_an_answer_that_is_no_search_does_not_let_it_be_sent(scene: Scene) -> None:
    scene.google.faults([{"method": "GET", "path_prefix": "/gmail", "body": "<html>"}])
    with pytest.raises(RelayError, match="unexpected_answer"):
        send(scene)
    assert sent(scene) == []


def test_a_missing_scope_is_named(scene: Scene) -> None:
    scene.has(grants=[each for each in ALL_SCOPES if each != SENDING])
    with pytest.raises(RelayError) as caught:
        send(scene)
    assert (caught.value.reason, caught.value.halt) == ("sending_scope_missing", True)


def installation(directory: Path, scene: Scene) -> World:
    return World(
        settings_for(
            directory,
            gmail_api_base=scene.google.url,
            gmail_credentials=scene.google.service_account_path.read_text(),
            gmail_mailbox=MAILBOX,
            mail_transport="gmail",
        )
    )


def test_a_sign_up_is_confirmed_by_gmail_and_an_erased_person_leaves_no_copy(tmp_path: Path, scene: Scene) -> None:
    world = installation(tmp_path, scene)
    world.post_signed("newsletter", {"email": KARI, "newsletter": "yes"})
    world.record()
    world.carry()
    world.carry()
    (mail,) = sent(scene)
    assert ["To", KARI] in mail["headers"]
    assert [leaf["outcome"] for leaf in world.leaves() if leaf["kind"] == "relay.completed"] == ["sent"]
    assert f"@{world.settings.mail_from.rpartition('@')[2]}>" in mail["raw"]
    assert not list(world.settings.mail_spool_dir.glob("*.eml"))
    world.close()
    send(scene, leaves_no_copy=True)
    assert "TRASH" in sent(scene)[-1]["labels"]
