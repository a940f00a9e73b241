"""The mailbox, asked: a whole installation against a simulated Gmail that is held to Google's discovery document."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import select, update
from structlog.testing import capture_logs

from ledger.intake import Position, read_position
from ledger.links import withdraw_link
from ledger.tables import inbox, intake_position, rights_request, subject
from schemas.token import format_token
from tests.simulators.gmail import part
from tests.simulators.process import SimulatorProcess
from tests.world import World, settings_for
from workers import intake
from workers.context import now_ms
from workers.intake import gmail
from workers.intake.gmail import DAY_MS, OVERLAP_MS, SOURCE, take
from workers.relays.action import RelayError

MAILBOX = "post@example.no"
KARI = "kari@example.org"
TOPIC = "projects/simulator/topics/samtykke"


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("google", tmp_path_factory.mktemp("google")) as process:
        yield process


@dataclass
class Post:
    """An installation and its mailbox. `arrive` puts a mail there, `take` is what the intake does when it is rung."""

    world: World
    google: SimulatorProcess
    mails: list[dict[str, Any]] = field(default_factory=list)
    mailbox: dict[str, Any] = field(default_factory=lambda: {"address": MAILBOX, "begins_at": 1000, "kept_from": 0})

    def arrive(self, text: str = "", sender: str = KARI, *top: tuple[str, str], **more: Any) -> str:
        """With DMARC passed, unless `top` has header fields that stand above it."""
        domain = sender.rpartition("@")[2]
        verdict = f"mx.google.com; spf=pass smtp.mailfrom={sender}; dmarc=pass (p=NONE dis=NONE) header.from={domain}"
        standing = [
            ("Return-Path", f"<{sender}>"),
            ("Authentication-Results", verdict),
            ("From", f"Kari Nordmann <{sender}>"),
            ("To", MAILBOX),
            ("Message-ID", f"<{len(self.mails)}@mail.example.org>"),
            ("Subject", more.pop("subject", "")),
        ]
        mail_id = f"18f{len(self.mails):013x}"
        self.mails.append({"id": mail_id, "headers": [*top, *standing], "text": text, **more})
        self.show()
        return mail_id

    def show(self, **changes: Any) -> None:
        self.mailbox |= changes
        self.google.seed({"mailbox": {**self.mailbox, "mails": self.mails}})

    def take(self) -> int:
        return take(self.world.context("intake"))

    def position(self) -> Position:
        with self.world.database.read() as connection:
            position = read_position(connection, SOURCE)
        assert position is not None
        return position

    def set_position(self, **values: Any) -> None:
        with self.world.database.write() as connection:
            connection.execute(update(intake_position).where(intake_position.c.source == SOURCE).values(**values))

    def asked(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.google.journal() if f"/{name}" in line["path"]]

    def requests(self) -> list[tuple[str, str]]:
        with self.world.database.read() as connection:
            return [(row.right, row.status) for row in connection.execute(select(rights_request))]


def installation(directory: Path, google: SimulatorProcess, database_url: str | None = None, **changes: Any) -> World:
    settings = settings_for(
        directory,
        database_url,
        gmail_mailbox=MAILBOX,
        gmail_credentials=google.service_account_path.read_text(),
        gmail_api_base=google.url,
        **{"gmail_topic": None} | changes,
    )
    return World(settings)


@pytest.fixture
def post(tmp_path: Path, google: SimulatorProcess) -> Iterator[Post]:
    """At its first ring: the position is now."""
    made = Post(installation(tmp_path, google), google)
    made.show()
    earlier = len(google.violations())
    assert made.take() == 0
    yield made
    google.clear()
    assert google.violations()[earlier:] == []
    made.world.close()


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What is logged."""
    with capture_logs() as captured:
        for module in (intake, gmail):  # theirs keep to what was configured at first
            monkeypatch.setattr(module, "log", structlog.get_logger())
        yield captured


# What becomes of a mail.


def test_who_writes_meld_meg_av_is_withdrawn_at_once(
    tmp_path: Path, google: SimulatorProcess, database_url: str | None
) -> None:
    post = Post(installation(tmp_path, google, database_url), google)
    post.show()
    post.take()
    post.world.give(KARI, newsletter="yes", offers="yes")
    assert post.world.check(KARI)["allowed"] is True
    post.arrive("Hei,\n\nmeld meg av, takk.\n\nMvh Kari", subject="SV: Nyhetsbrev")
    assert post.take() == 1
    assert post.world.check(KARI)["reason"] == "withdrawal_pending"  # accepted is stopped, recorded or not
    post.world.record()
    withdrawn = [leaf for leaf in post.world.leaves() if leaf["kind"] == "consent.withdrawn"]
    assert {leaf["purpose"] for leaf in withdrawn} == set(post.world.policy.purposes)
    assert {(leaf["source"], leaf["method"]) for leaf in withdrawn} == {("gmail", "mail")}
    assert post.world.check(KARI)["reason"] == "withdrawn"
    post.world.close()


FORGED = {
    "DMARC failed": ("Authentication-Results", "mx.google.com; dmarc=fail (p=REJECT) header.from=example.org"),
    "DMARC of another domain": ("Authentication-Results", "mx.google.com; dmarc=pass header.from=example.net"),
    "said by somebody else": ("Authentication-Results", "mx.example.net; dmarc=pass header.from=example.org"),
    "nothing found out": ("Authentication-Results", "mx.google.com; none"),
    "a second sender": ("From", "somebody@example.net"),
    "an automatic answer": ("Auto-Submitted", "auto-replied"),
    "a bounce": ("Return-Path", "<>"),
    "a list": ("List-Id", "<news.example.org>"),
}


def test_a_mail_that_is_not_certainly_a_persons_changes_nothing(post: Post) -> None:
    post.world.give(KARI)
    entries, read = len(post.world.leaves()), len(post.asked("messages/"))
    for name, top in FORGED.items():
        post.arrive("Meld meg av. Slett meg.", KARI, top)
        assert post.take() == 0, name
    assert post.world.record() == 0
    assert len(post.world.leaves()) == entries
    assert post.world.check(KARI)["allowed"] is True
    shown = [line["query"]["format"] for line in post.asked("messages/")[read:]]
    assert shown == ["metadata"] * len(FORGED)  # their text was not even asked for


def test_what_was_not_received_is_not_read(post: Post) -> None:
    for labels in (["SENT"], ["SPAM"], ["TRASH", "INBOX"], ["DRAFT"]):
        post.arrive("Meld meg av", labels=labels)
    assert post.take() == 0


def test_slett_meg_becomes_a_request_that_the_person_is_asked_to_confirm(post: Post) -> None:
    post.arrive("Slett meg")
    assert post.take() == 1
    post.world.record()
    assert post.requests() == [("erasure", "asked")]
    post.world.carry()
    (mail,) = post.world.mails()
    assert mail["To"] == KARI
    assert post.world.client.post(post.world.link("r"), data={"confirm": "1"}).status_code == 200
    post.world.record()
    assert post.requests() == [("erasure", "completed")]


RIGHTS = {
    "Jeg ber om innsyn": ["access"],
    "Data portability request": ["portability"],
    "Please restrict the processing of my data": ["restriction"],
    "I object to the processing of my data": ["objection"],
    "Rett opp mine opplysninger. Slett meg.": ["erasure", "rectification"],
    "Ikke slett meg": [],
    "Takk for sist!": [],
}


def test_each_right_is_asked_for_by_its_own_words(post: Post) -> None:
    for number, text in enumerate(RIGHTS):
        post.arrive(text, f"kari{number}@example.org")
    expected = [right for rights in RIGHTS.values() for right in rights]
    assert post.take() == len(expected)
    post.world.record()
    assert sorted(post.requests()) == sorted((right, "asked") for right in expected)


def test_both_may_be_said_in_one_mail(post: Post) -> None:
    post.world.give(KARI)
    post.arrive("Meld meg av og slett meg")
    assert post.take() == 2
    post.world.record()
    assert (post.world.check(KARI)["reason"], post.requests()) == ("withdrawn", [("erasure", "asked")])


def token_of(world: World, link_id: bytes) -> str:
    key = world.context("relay").keyring["token_mac"]
    return format_token(key_id=key.current, link_id=link_id, mac_key=key.value)


def test_a_mailed_token_withdraws_from_any_address_and_needs_no_dmarc(post: Post) -> None:
    """What a mail program sends for somebody who clicks `unsubscribe`: often automatic, and not from their address."""
    post.world.give(KARI)
    with post.world.database.write() as connection:
        handle = connection.execute(select(subject.c.handle)).scalar_one()
        token = token_of(post.world, withdraw_link(connection, handle, now_ms()))
    failed = ("Authentication-Results", "mx.google.com; dmarc=fail header.from=example.net")
    automatic = ("Auto-Submitted", "auto-generated")
    post.arrive("", "somebody@example.net", failed, automatic, subject=f"withdraw {token}", labels=["SPAM"])
    assert post.take() == 1
    assert post.world.check(KARI)["allowed"] is False
    post.world.record()
    assert post.world.check(KARI)["reason"] == "withdrawn"


def test_a_token_that_is_not_ours_does_nothing(post: Post) -> None:
    post.world.give(KARI)
    confirmation = post.world.link("c").rpartition("/")[2]
    for token in ("A" * 46, token_of(post.world, bytes(16)), confirmation):
        post.arrive("", subject=f"withdraw {token}")
    assert post.take() == 0
    assert post.world.check(KARI)["allowed"] is True


def test_html_alone_is_understood_and_an_attachment_is_not_read(post: Post) -> None:
    attached = part("text/plain", "Slett meg") | {"filename": "brev.txt"}
    post.mails.clear()
    post.arrive(parts=[part("text/html", "<p>Hei</p><p>Meld&nbsp;meg av</p>"), attached])
    assert post.take() == 1
    post.world.record()
    assert {kind for kind, _ in post.world.kinds()} == {"consent.withdrawn"}


def test_nothing_of_a_mail_is_kept_but_who_and_what(post: Post, lines: list[Any]) -> None:
    needles = ("Hemmelighet", "Nordmann", KARI, "Kjempefint")
    post.arrive("Meld meg av\n\nHemmelighet", subject="Kjempefint")
    assert post.take() == 1
    files = [path for path in post.world.settings.data_dir.rglob("*") if path.is_file()]
    told = str(lines)
    for needle in needles:
        assert not [path for path in files if needle.encode() in path.read_bytes()]
        assert needle not in told
    assert [(line["outcome"], line["count"]) for line in lines] == [("understood", 1)]


# How the mailbox is read.


def test_mail_from_before_the_first_ring_is_not_taken_in(tmp_path: Path, google: SimulatorProcess) -> None:
    post = Post(installation(tmp_path, google), google)
    post.arrive("Meld meg av")
    assert (post.take(), post.take()) == (0, 0)
    post.arrive("Meld meg av")
    assert post.take() == 1
    post.world.close()


def test_a_ring_without_news_is_one_question(post: Post) -> None:
    before = post.position()
    asked = len(post.google.journal())
    assert (post.take(), post.take()) == (0, 0)
    assert [line["path"].rpartition("/")[2] for line in post.google.journal()[asked:]] == ["token", "history"] * 2
    assert (post.position().place, post.position().found) == (before.place, 0)
    assert post.position().checked_at_ms >= before.checked_at_ms


def test_many_mails_come_in_pages_and_each_counts_once(post: Post) -> None:
    for number in range(120):
        post.arrive("Meld meg av" if number % 10 == 0 else "Hei", f"kari{number}@example.org")
    assert post.take() == 12
    assert post.position().found == 12
    assert len({line["query"].get("pageToken") for line in post.asked("history")}) == 2
    assert post.take() == 0


def test_the_position_is_ours_and_moves_only_behind_what_is_committed(post: Post) -> None:
    post.arrive("Meld meg av", "per@example.org")
    first = post.position().place
    post.arrive("Meld meg av", "ola@example.org")
    post.google.faults([{"path_prefix": f"/gmail/v1/users/me/messages/{post.mails[1]['id']}", "status": 503}])
    with pytest.raises(RelayError):
        post.take()
    assert post.position().place == first
    assert post.take() == 1  # the other one was committed before the fault: it is known by its id
    assert len(post.world.statuses()) == 2
    assert post.position().place != first


def test_a_mail_that_is_gone_or_too_large_does_not_hold_up_the_next(post: Post) -> None:
    post.arrive("Hei")
    post.arrive("Meld meg av " * 300_000)
    post.arrive("Meld meg av", "ola@example.org")
    post.google.faults([{"path_prefix": f"/gmail/v1/users/me/messages/{post.mails[0]['id']}", "status": 404}])
    assert post.take() == 1
    assert post.take() == 0


def test_history_that_is_gone_is_made_good_by_the_mail_itself(post: Post) -> None:
    """Otherwise every later ring would fail for ever."""
    post.arrive("Meld meg av", "old@example.org", age_days=40)
    post.arrive("Meld meg av", "ola@example.org", age_days=2)
    assert post.take() == 2
    post.arrive("Meld meg av", "per@example.org", age_days=1)
    post.arrive("Meld meg av", "spam@example.org", labels=["SPAM"])
    post.arrive("Meld meg av", "missed@example.org", age_days=9)
    checked_ms = now_ms() - 5 * DAY_MS
    post.set_position(checked_at_ms=checked_ms)
    post.show(kept_from=999_999)
    assert post.take() == 1
    asked = [line["query"]["q"] for line in post.asked("messages") if "q" in line["query"]][-1]
    assert asked == f"after:{(checked_ms - OVERLAP_MS) // 1000}"
    post.show(kept_from=0)
    post.arrive("Meld meg av", "kim@example.org")
    assert post.take() == 1
    assert len(post.world.statuses()) == 4


def test_catching_up_goes_on_where_the_time_ended(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mailbox with more mail than one job can look at must not begin anew each minute."""
    for number in range(5):
        post.arrive("Meld meg av" if number == 4 else "Hei", age_days=20 - 4 * number)
    post.set_position(checked_at_ms=now_ms() - 25 * DAY_MS)
    post.show(kept_from=999_999)
    monkeypatch.setattr(gmail, "PAGE_SIZE", 3)
    monkeypatch.setattr(gmail, "BUDGET_S", -1.0)  # one page for each ring
    looked_at = [len(post.asked("messages/"))]
    brought = []
    for _ in range(2):
        brought.append(post.take())
        looked_at.append(len(post.asked("messages/")))
    assert brought == [0, 1]
    assert [after - before for before, after in itertools.pairwise(looked_at)] == [
        6,
        6,
    ]  # three mails, head and text, one of them twice
    assert now_ms() - post.position().checked_at_ms < 5 * DAY_MS


def test_a_push_that_comes_before_the_news_loses_nothing(post: Post) -> None:
    """The answer's own id can be ahead of what it shows: only what was shown is behind us."""
    post.google.faults([{"path_prefix": "/gmail/v1/users/me/history", "body": {"historyId": "9999999"}}])
    assert post.take() == 0
    post.arrive("Meld meg av")
    assert post.take() == 1


def test_any_page_may_answer_200(post: Post) -> None:
    place = post.position().place
    for body in ("<html>", [], {}, {"history": "x"}, {"history": ["x"]}):
        post.google.faults([{"path_prefix": "/gmail/v1/users/me/history", "body": body}])
        with pytest.raises(RelayError) as caught:
            post.take()
        assert (caught.value.reason, post.position().place) == ("unexpected_answer", place)


def test_a_missing_delegation_is_named_and_does_not_stop_the_other_sources(post: Post, lines: list[Any]) -> None:
    post.google.seed({"grants": []})
    try:
        intake.take_all(post.world.context("intake"))
    finally:
        post.google.seed({"grants": ["https://www.googleapis.com/auth/gmail.readonly"]})
    failed = [line for line in lines if line["event"] == "intake_failed"]
    assert [(line["source"], line["reason"]) for line in failed] == [("gmail", "reading_scope_missing")]


def test_only_reading_is_asked_for(post: Post) -> None:
    tokens = [line["body"]["assertion"] for line in post.google.journal() if line["path"] == "/token"]
    assert {token["scope"] for token in tokens} == {"https://www.googleapis.com/auth/gmail.readonly"}
    assert {token["sub"] for token in tokens} == {MAILBOX}


def test_without_a_mailbox_nobody_is_asked(world: World) -> None:
    assert take(world.context("intake")) == 0
    with world.database.read() as connection:
        assert connection.execute(select(inbox)).all() == []


# The watch.


@pytest.fixture
def watched(tmp_path: Path, google: SimulatorProcess) -> Iterator[Post]:
    made = Post(installation(tmp_path, google, gmail_topic=TOPIC), google)
    made.show()
    yield made
    google.clear()
    made.world.close()


def test_the_watch_is_made_at_once_and_renewed_each_day(watched: Post) -> None:
    before = len(watched.asked("watch"))
    watched.take()
    watched.take()
    assert len(watched.asked("watch")) == before + 1
    assert watched.google.state()["mailbox"]["watch"]["topicName"] == TOPIC
    left_ms = (watched.position().expires_at_ms or 0) - now_ms()
    assert 6 * DAY_MS < left_ms <= 7 * DAY_MS
    watched.set_position(expires_at_ms=now_ms() + 6 * DAY_MS)
    watched.take()
    assert len(watched.asked("watch")) == before + 2


def test_a_watch_that_cannot_be_renewed_is_told_and_the_mail_is_read_all_the_same(
    watched: Post, lines: list[Any]
) -> None:
    watched.take()
    watched.set_position(expires_at_ms=now_ms() + DAY_MS)
    watched.google.faults([{"path_prefix": "/gmail/v1/users/me/watch", "status": 403}])
    watched.arrive("Meld meg av")
    assert watched.take() == 1
    (line,) = [line for line in lines if line["event"] == "watch_not_renewed"]
    assert (line["log_level"], line["source"], line["reason"]) == ("error", "gmail", "forbidden")


def test_a_topic_that_is_none_is_refused_by_google(watched: Post) -> None:
    settings = replace(watched.world.settings, gmail_topic="samtykke")
    watched.world.settings = settings
    watched.take()
    assert watched.position().expires_at_ms is None
