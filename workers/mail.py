"""Mail: letters written in the person's language, and sent by whatever is set; named by the relay, so twice is once."""

import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from jinja2 import Environment, PackageLoader

from ledger.durable_file import replace_file
from ledger.outbox import Relay
from schemas.address import parse_address
from schemas.settings import GMAIL, SMTP
from schemas.texts import environment
from workers import mail_smtp
from workers.context import Context
from workers.ending import Ending
from workers.mails import LETTERS, WHEN_LEFT
from workers.mails.letter import Letter
from workers.relays.action import RelayError

LINE_SIZE = 78  # characters (RFC 5322, 2.1.1)


def send(context: Context, claimed: Relay) -> Ending:
    """Write one mail. Raises Superseded when nobody waits for it, RelayError when it must wait itself."""
    letter = LETTERS[claimed.action](context, claimed)
    sender, sender_name = context.settings.mail_from, context.policy.controller.name
    mail = compose(sender, letter.email, claimed.id.hex(), _text_of(context, letter), sender_name=sender_name)
    if letter.withdraw_url is not None:
        # RFC 8058: a mail program can withdraw with one click.
        mail["List-Unsubscribe"] = _ways_out(letter.withdraw_url, context.settings.gmail_mailbox)
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    for one in letter.attachments:
        main, _, sub = one.media_type.partition("/")
        mail.add_attachment(one.content, maintype=main, subtype=sub, filename=one.filename)
    deliver(context, claimed.id.hex(), mail, leaves_no_copy=letter.leaves_no_copy, attempts=claimed.attempts)
    if claimed.action in WHEN_LEFT:
        WHEN_LEFT[claimed.action](context, claimed)
    return Ending("sent")


def _text_of(context: Context, letter: Letter) -> str:
    """The first line is the subject. In two languages: the first says both subjects, and each text follows."""
    written = [render(letter.template, language, context, letter.values) for language in letter.languages]
    if len(written) == 1:
        return written[0]
    subjects = " / ".join(text.partition("\n")[0] for text in written)
    return f"{subjects}\n\n(English below.)\n\n" + "\n--\n\n".join(
        text.partition("\n")[2].lstrip("\n") for text in written
    )


def render(template: str, language: str, context: Context, values: Mapping[str, Any]) -> str:
    """A text of workers/mails/templates."""
    controller = context.policy.controller
    common = {
        "authority": context.policy.authority,
        "check_url": f"{context.settings.public_url}/receipt",
        "contact": controller.contact_url,
        "controller": controller.name,
    }
    written = _templates(language).get_template(f"{template}.txt").render(common | dict(values))
    subject, _, body = written.partition("\n")
    return "\n".join([subject, *(_wrapped(line) for line in body.split("\n"))])


def _wrapped(line: str) -> str:
    """A paragraph is one line in its template. Links stay whole; what follows a bullet stands under its text."""
    indent = "    " if line.startswith("  * ") else ""
    return textwrap.fill(line, LINE_SIZE, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


@cache
def _templates(language: str) -> Environment:
    """Plain text only: nothing to escape, and nothing that a mail program would load from elsewhere."""
    return environment(PackageLoader("workers.mails"), language, autoescape=False)


def _ways_out(withdraw_url: str, mailbox: str | None) -> str:
    """For a program that can only mail, the token is the subject, where somebody reads the mailbox (RFC 2369, 3.2)."""
    token = withdraw_url.rpartition("/")[2]
    by_mail = f", <mailto:{quote(mailbox, safe='@')}?subject=withdraw%20{token}>" if mailbox else ""
    return f"<{withdraw_url}>{by_mail}"


class _AsWritten(EmailPolicy):
    """Python makes an encoded word of whatever is too long for a line of 78, such as a link, and no mail program finds
    a link in one (RFC 2047, 5). What is ASCII stays as it is, up to the 998 characters that a line may have (RFC 5322).
    """

    def fold_binary(self, name: str, value: str) -> bytes:
        line = f"{name}: {value}{self.linesep}"
        return line.encode("ascii") if line.isascii() and len(line) <= 998 else super().fold_binary(name, value)


# 7bit: a server that lacks 8BITMIME would convert it (RFC 6152, 3), and break the signature of DKIM.
_POLICY = _AsWritten(linesep="\r\n", cte_type="7bit")


def compose(sender: str, recipient: str, name: str, text: str, *, sender_name: str = "") -> EmailMessage:
    """The first line of the text is the subject; `name`, as in `spool`, tells a second attempt from a second mail.

    `sender_name`: what people see of who writes.
    """
    subject, _, body = text.partition("\n")
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = Address(sender_name, addr_spec=sender)
    local, _, _ = recipient.rpartition("@")
    # The domain as DNS spells it: not every server on the way knows another spelling (RFC 6531).
    mail["To"] = Address(username=local, domain=parse_address(recipient).narrow.rpartition("@")[2])
    mail["Subject"] = subject
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{name}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(body.lstrip("\n"))
    return mail


def deliver(
    context: Context, name: str, mail: EmailMessage, *, leaves_no_copy: bool = False, attempts: int = 0
) -> None:
    """By whatever MAIL_TRANSPORT says; `name` is the one that the mail was composed with. Raises RelayError.

    `attempts`: how often it was begun before.
    """
    transport = context.settings.mail_transport
    if transport == SMTP:
        mail_smtp.send(mail_smtp.server_of(context.settings), mail, attempts=attempts)
        return
    if transport != GMAIL:
        spool(context.settings.mail_spool_dir, name, mail)
        return
    from workers import mail_gmail  # at first use: Google's library takes a third of a second

    account = context.connections.to(GMAIL)
    if account is None:
        raise RelayError("mailbox_not_connected", halt=True)
    mail_gmail.send(cast("mail_gmail.SendingAccount", account), mail, leaves_no_copy=leaves_no_copy)


def spool(folder: Path, name: str, mail: EmailMessage) -> None:
    """Atomic, and under the name of what it is about: a second attempt writes the same file, never a second mail."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(folder / f"{name}.eml", mail.as_bytes())
