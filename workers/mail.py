"""Mails to the person: written into a spool folder, one .eml file each, named by the relay: twice is once."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from sqlalchemy import Connection

from ledger import links, vault
from ledger.check import pending_purposes
from ledger.durable_file import replace_file
from ledger.errors import NotFoundError
from ledger.log import entry_by_id
from ledger.outbox import Relay
from ledger.receipts import build_receipt
from ledger.recorder import CONFIRMATION
from schemas.entry import Kind
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


def send(context: Context, claimed: Relay) -> Ending:
    """Write one mail. Raises Superseded when nobody waits for it, RelayError when it must wait itself."""
    given, confirm_url, receipt = False, None, None
    with context.database.write() as connection:  # the withdrawal link is made at first need
        person, email = _recipient(context, connection, claimed)
        withdraw_url = _url(context, "w", links.withdraw_link(connection, person.handle, now_ms()))
        if claimed.action == CONFIRMATION:
            _wait_for_withdrawal(connection, claimed)
            confirm_url = _url(context, "c", _open_confirmation(connection, claimed).id)
        else:
            receipt = _receipt(context, connection, claimed)
            given = entry_by_id(connection, claimed.cause).kind == Kind.GIVEN
    values = {
        "authority": context.policy.authority,
        "confirm_url": confirm_url,
        "contact": context.policy.controller.contact_url,
        "controller": context.policy.controller.name,
        "email": email,
        "expires_days": context.policy.retention.unconfirmed_request_days,
        "given": given,
        "purposes": [context.policy.purposes[key] for key in claimed.purposes],
        "withdraw_url": withdraw_url,
    }
    text = TEXTS.get_template(f"{claimed.action}.{person.language}.txt").render(values)
    spool(context.settings.mail_spool_dir, claimed.id.hex(), _message(context, claimed, text, values, receipt))
    return Ending("sent")


def _recipient(context: Context, connection: Connection, claimed: Relay) -> tuple[vault.Subject, str]:
    try:
        person = vault.load_subject(connection, context.keyring["kek"], claimed.subject)
    except NotFoundError:
        raise Superseded("subject_gone") from None
    emails = vault.emails(connection, person)
    if not emails:
        raise Superseded("no_address")
    return person, emails[-1]


def _wait_for_withdrawal(connection: Connection, claimed: Relay) -> None:
    """A withdrawal that is accepted and not yet recorded will close the question: it is not asked meanwhile."""
    wide = vault.wide_tags(connection, claimed.subject)
    if pending_purposes(connection, vault.siblings(connection, claimed.subject), wide) & set(claimed.purposes):
        raise RelayError("withdrawal_pending")


def _open_confirmation(connection: Connection, claimed: Relay) -> links.Link:
    """The question this mail asks. Closed by a withdrawal, or answered already: then it is not asked."""
    cause = claimed.cause.hex()
    for link in links.confirmations(connection, claimed.subject):
        if link.status == "open" and cause in link.request_ids:
            return link
    raise Superseded("not_asked_any_more")


def _receipt(context: Context, connection: Connection, claimed: Relay) -> bytes:
    key = context.keyring["receipt"]
    receipt = build_receipt(connection, context.policy, key, claimed.cause, claimed.subject, now_ms())
    if receipt is None:
        raise RelayError("checkpoint_awaited", retry_after_s=1.0)
    return receipt


def _url(context: Context, route: str, link_id: bytes) -> str:
    key = context.keyring["token_mac"]
    token = format_token(key_id=key.current, link_id=link_id, mac_key=key.value)
    return f"{context.settings.public_url}/{route}/{token}"


def _message(
    context: Context, claimed: Relay, text: str, values: Mapping[str, Any], receipt: bytes | None
) -> EmailMessage:
    """The headers let a mail program withdraw with one click (RFC 8058)."""
    mail = compose(context.settings.mail_from, values["email"], claimed.id.hex(), text)
    mail["List-Unsubscribe"] = f"<{values['withdraw_url']}>"
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    if receipt is not None:
        mail.add_attachment(receipt, maintype="application", subtype="json", filename="receipt.json")
    return mail


def compose(sender: str, recipient: str, name: str, text: str) -> EmailMessage:
    """The first line of the text is the subject; `name`, as in `spool`, tells a second attempt from a second mail."""
    subject, _, body = text.partition("\n")
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = recipient
    mail["Subject"] = subject
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{name}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(body.lstrip("\n"))
    return mail


def spool(folder: Path, name: str, mail: EmailMessage) -> None:
    """Atomic, and under the name of what it is about: a second attempt writes the same file, never a second mail."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(folder / f"{name}.eml", mail.as_bytes())
