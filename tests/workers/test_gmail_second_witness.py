"""The mailbox part and sending, against a Gmail that others wrote: what both simulators let pass is not our own idea.

It knows no delegation, no scopes and no exclusion of the trash, so the token is given and mail is deleted for good.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import google.oauth2.credentials
import pytest

from tests.simulators.emulate import TOKEN, EmulateMissingError, running
from tests.workers.google_scene import KARI, MAILBOX, OLA
from workers import mail_gmail
from workers.intake.mailbox import GmailConnection
from workers.mail import compose
from workers.outgoing import OutgoingSession
from workers.relays.google import MailboxConnection, mailbox
from workers.relays.google.calls import EVERYTHING, MODIFYING, READING, SENDING

THEIRS = ("1", "2", "5")
MESSAGES: list[Mapping[str, Any]] = [
    {"id": "1", "from": f"Kari <{KARI}>", "to": MAILBOX, "label_ids": ["INBOX", "UNREAD"], "body_text": "Hei"},
    {"id": "2", "from": MAILBOX, "to": f"{OLA}, {KARI}", "label_ids": ["SENT"]},
    {"id": "3", "from": f'"{KARI}" <{OLA}>', "to": MAILBOX, "label_ids": ["INBOX"]},
    {"id": "4", "from": "anne-kari@example.no", "to": MAILBOX, "label_ids": ["INBOX"]},
    {"id": "5", "from": KARI, "to": MAILBOX, "label_ids": ["SPAM"]},
]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[MailboxConnection]:
    try:
        with running(tmp_path, MAILBOX, MESSAGES) as url:
            session = OutgoingSession(frozenset({"127.0.0.1"}), allow_loopback=True)
            connection = MailboxConnection({"type": "service_account"}, MAILBOX, url, "", session, True)
            connection.made.update(tokens())
            yield connection
    except EmulateMissingError as error:
        pytest.skip(f"no second Gmail here: {error}")


def tokens() -> dict[str, Any]:
    made: Any = google.oauth2.credentials.Credentials  # google-auth leaves its functions untyped
    return {scope: made(TOKEN) for scope in (MODIFYING, EVERYTHING, READING, SENDING)}


def test_a_persons_mail_is_found_set_aside_and_deleted_and_nobody_elses(own: MailboxConnection) -> None:
    search = mailbox.Search((KARI,), own)
    assert sorted(each.id for each in search) == list(THEIRS)
    label = mailbox._label("Restricted", own)
    mailbox._change([found for each in THEIRS if (found := mailbox.read(each, own))], (label,), ("INBOX",), own)
    assert {label, "UNREAD"} <= labels("1", own)
    assert "INBOX" not in labels("1", own)
    assert mailbox._label("Restricted", own) == label
    assert mailbox.unrestrict((KARI,), own)
    assert label not in labels("1", own)
    mailbox._trash("1", own)
    assert "TRASH" in labels("1", own)
    assert mailbox.erase((KARI,), own)
    assert [mailbox.read(each, own) for each in THEIRS] == [None, None, None]
    assert all(mailbox.read(each, own) for each in ("3", "4"))
    assert not mailbox.erase((KARI,), own)


def test_a_mail_is_sent_as_it_was_written(own: MailboxConnection) -> None:
    """Not twice: this version finds nothing by `rfc822msgid:`, whose value it reads with the colon."""
    account = GmailConnection(own.credentials_info, MAILBOX, own.gmail_base, own.session)
    account.made.update(tokens())
    mail_gmail.send(account, compose(MAILBOX, "eva@example.no", "0f" * 16, "Kvittering\n\nHei"))
    (sent,) = mailbox.Search(("eva@example.no",), own)
    assert dict(sent.headers)["Message-ID"] == f"<{'0f' * 16}@example.org>"
    assert "SENT" in sent.labels


def labels(message_id: str, own: MailboxConnection) -> frozenset[str]:
    found = mailbox.read(message_id, own)
    assert found is not None
    return found.labels
