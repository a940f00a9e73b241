"""Mails to the person: written into a spool folder, or sent through Gmail; named by the relay, so twice is once."""

from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from sqlalchemy import Connection

from ledger import links, vault
from ledger.check import pending_purposes
from ledger.durable_file import replace_file
from ledger.errors import NotFoundError
from ledger.log import entry_by_id
from ledger.outbox import Relay
from ledger.receipts import build_receipt
from ledger.recorder import CONFIRMATION, REQUEST
from ledger.restriction import open_restricted
from ledger.sealing import unseal_versioned
from schemas.entry import Kind
from schemas.message import LANGUAGES
from schemas.policy import Text
from schemas.rights import RIGHT_NAMES
from schemas.token import format_token
from workers.context import Context, now_ms
from workers.ending import Ending, Superseded
from workers.relays.action import RelayError

# Plain text only: nothing to escape, and nothing that a mail program would load from elsewhere.
TEXTS = Environment(
    loader=PackageLoader("workers", "mails"),
    undefined=StrictUndefined,
    autoescape=False,  # noqa: S701
    keep_trailing_newline=True,
)

GMAIL = "gmail"


def send(context: Context, claimed: Relay) -> Ending:
    """Write one mail. Raises Superseded when nobody waits for it, RelayError when it must wait itself."""
    if claimed.box is not None:
        return _confirm_erasure(context, claimed, claimed.box)
    given, confirm_url, receipt = False, None, None
    with context.database.write() as connection:  # the withdrawal link is made at first need
        person, email = _recipient(context, connection, claimed)
        withdraw_url = _url(context, "w", links.withdraw_link(connection, person.handle, now_ms()))
        if claimed.action == CONFIRMATION:
            _wait_for_withdrawal(connection, claimed)
            confirm_url = _url(context, "c", _open_question(context, connection, claimed, links.CONFIRM))
        elif claimed.action == REQUEST:
            confirm_url = _url(context, "r", _open_question(context, connection, claimed, links.REQUEST))
        else:
            receipt = _receipt(context, connection, claimed, person, withdraw_url)
            given = entry_by_id(connection, claimed.cause).kind == Kind.GIVEN
    values = _common(context) | {
        "confirm_url": confirm_url,
        "email": email,
        "expires_days": context.policy.retention.unconfirmed_request_days,
        "given": given,
        "months": context.policy.deadlines.rights_request_months,
        "purposes": _names(context, claimed),
        "withdraw_url": withdraw_url,
    }
    text = TEXTS.get_template(f"{claimed.action}.{person.language}.txt").render(values)
    mail = compose(context.settings.mail_from, email, claimed.id.hex(), text)
    # RFC 8058: a mail program can withdraw with one click.
    mail["List-Unsubscribe"] = _ways_out(withdraw_url, context.settings.gmail_mailbox)
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return _deliver_with(context, claimed, mail, receipt)


def _ways_out(withdraw_url: str, mailbox: str | None) -> str:
    """For a program that can only mail, the token is the subject, where somebody reads the mailbox (RFC 2369, 3.2)."""
    token = withdraw_url.rpartition("/")[2]
    by_mail = f", <mailto:{quote(mailbox, safe='@')}?subject=withdraw%20{token}>" if mailbox else ""
    return f"<{withdraw_url}>{by_mail}"


def _confirm_erasure(context: Context, claimed: Relay, box: bytes) -> Ending:
    """The receipt of somebody of whom only the address is left, for this one mail. There is nothing to withdraw."""
    *_, email = unseal_versioned(context.keyring["kek"], box, claimed.id).decode().splitlines()
    with context.database.read() as connection:
        receipt = _receipt(context, connection, claimed)
    policy = context.policy
    values = _common(context) | {"fields": policy.personal_data.values(), "processors": policy.processors.values()}
    # The language was erased too, so the mail speaks both.
    texts = [TEXTS.get_template(f"erasure.{language}.txt").render(values) for language in LANGUAGES]
    mail = compose(context.settings.mail_from, email, claimed.id.hex(), "\n--\n\n".join(texts))
    return _deliver_with(context, claimed, mail, receipt, leaves_no_copy=True)


def _common(context: Context) -> dict[str, Any]:
    controller = context.policy.controller
    return {"authority": context.policy.authority, "contact": controller.contact_url, "controller": controller.name}


def _names(context: Context, claimed: Relay) -> list[Text]:
    """Of the purposes, or of the right. A purpose may have left the policy since: then its key is its name."""
    if claimed.action == REQUEST:
        return [RIGHT_NAMES[right] for right in claimed.purposes]
    known = context.policy.purposes
    return [known[key].name if key in known else Text(nb=key, en=key) for key in claimed.purposes]


def _deliver_with(
    context: Context, claimed: Relay, mail: EmailMessage, receipt: bytes | None, *, leaves_no_copy: bool = False
) -> Ending:
    if receipt is not None:
        mail.add_attachment(receipt, maintype="application", subtype="json", filename="receipt.json")
    deliver(context, claimed.id.hex(), mail, leaves_no_copy=leaves_no_copy)
    return Ending("sent")


def _recipient(context: Context, connection: Connection, claimed: Relay) -> tuple[vault.Subject, str]:
    """The person, with boxes that may be opened, and the address."""
    try:
        person = vault.load_subject(connection, context.keyring["kek"], claimed.subject)
    except NotFoundError:
        raise Superseded("subject_gone") from None
    person = open_restricted(connection, person, f"mail_{claimed.action}", now_ms())
    emails = vault.emails(connection, person)
    if not emails:
        raise Superseded("no_address")
    return person, emails[-1]


def _wait_for_withdrawal(connection: Connection, claimed: Relay) -> None:
    """A withdrawal that is accepted and not yet recorded will close the question: it is not asked meanwhile."""
    wide = vault.wide_tags(connection, claimed.subject)
    if pending_purposes(connection, vault.siblings(connection, claimed.subject), wide) & set(claimed.purposes):
        raise RelayError("withdrawal_pending")


def _open_question(context: Context, connection: Connection, claimed: Relay, kind: str) -> bytes:
    """Link of the question this mail asks. Closed by a withdrawal, answered or too old: then it is not asked."""
    cause, days = claimed.cause.hex(), context.policy.retention.unconfirmed_request_days
    for link in links.confirmations(connection, claimed.subject, kind):
        if cause in link.request_ids and link.can_confirm(now_ms(), days):
            return link.id
    raise Superseded("not_asked_any_more")


def _receipt(
    context: Context,
    connection: Connection,
    claimed: Relay,
    person: vault.Subject | None = None,
    withdraw_url: str | None = None,
) -> bytes:
    receipt = build_receipt(
        connection,
        context.policy,
        context.keyring["receipt"],
        claimed.cause,
        claimed.subject,
        now_ms(),
        person=person,
        withdraw_url=withdraw_url,
    )
    if receipt is None:
        raise RelayError("checkpoint_awaited", retry_after_s=1.0)
    return receipt


def _url(context: Context, route: str, link_id: bytes) -> str:
    key = context.keyring["token_mac"]
    token = format_token(key_id=key.current, link_id=link_id, mac_key=key.value)
    return f"{context.settings.public_url}/{route}/{token}"


class _AsWritten(EmailPolicy):
    """Python makes an encoded word of whatever is too long for a line of 78, such as a link, and no mail program finds
    a link in one (RFC 2047, 5). What is ASCII stays as it is, up to the 998 characters that a line may have (RFC 5322).
    """

    def fold_binary(self, name: str, value: str) -> bytes:
        line = f"{name}: {value}{self.linesep}"
        return line.encode("ascii") if line.isascii() and len(line) <= 998 else super().fold_binary(name, value)


_POLICY = _AsWritten(linesep="\r\n")


def compose(sender: str, recipient: str, name: str, text: str) -> EmailMessage:
    """The first line of the text is the subject; `name`, as in `spool`, tells a second attempt from a second mail."""
    subject, _, body = text.partition("\n")
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = sender
    mail["To"] = recipient
    mail["Subject"] = subject
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{name}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(body.lstrip("\n"))
    return mail


def deliver(context: Context, name: str, mail: EmailMessage, *, leaves_no_copy: bool = False) -> None:
    """By whatever MAIL_TRANSPORT says; `name` is the one that the mail was composed with. Raises RelayError."""
    if context.settings.mail_transport != GMAIL:
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
