"""Sending by SMTP, one connection for each mail: what a server's refusal means, and when nobody knows.

A mail is sent at most once, unless the connection ends between its last dot and the server's answer: then nobody knows
whether the server has taken it (RFC 1047; RFC 5321, 4.2.5 and 6.1), and it is sent again, under the same Message-ID.
No text of a server and no address is kept: a refusal of a recipient quotes it.
"""

import smtplib
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.message import EmailMessage
from email.policy import EmailPolicy
from typing import cast

from schemas.settings import STARTTLS, Settings
from workers.relays.action import RelayError
from workers.smtp_dialogue import Dialogue, SmtpServer, connected, expect

UNKNOWN_WAIT_S = 600.0
UNKNOWN_TRIES_MAX = 4  # then a person decides whether somebody may get it once more
# "Daily sending limit", at Google (https://support.google.com/a/answer/3726730). It says no time: asked hourly.
LIMIT_STATUS, LIMIT_PAUSE_S = b"5.4.5", 3600.0


def server_of(settings: Settings) -> SmtpServer:
    """Google's relay knows a company by the domain of its greeting (https://support.google.com/a/answer/2956491)."""
    if settings.smtp_host is None:
        raise RelayError("smtp_not_configured", halt=True)
    domain = settings.mail_from.rpartition("@")[2]
    user, password = settings.smtp_user, settings.smtp_password
    return SmtpServer(settings.smtp_host, settings.smtp_port, settings.smtp_tls, domain, user, password)


def send(server: SmtpServer, mail: EmailMessage, *, attempts: int = 1) -> None:
    """From and To are the envelope too. `attempts`: which this is, from 1. Raises RelayError."""
    sender, recipient = (mail[name].addresses[0].addr_spec for name in ("From", "To"))
    beyond_ascii = not (sender + recipient).isascii()
    # Always 7bit: a server may lack 8BITMIME, and one that converts what it hands on breaks the signature of DKIM.
    policy = cast(EmailPolicy, mail.policy).clone(cte_type="7bit", utf8=beyond_ascii, linesep="\r\n")
    content = mail.as_bytes(policy=policy)
    assert content.endswith(b"\r\n")
    with connected(server) as dialogue:
        for step in STEPS.values():
            step(dialogue, server)
        _offer(dialogue, sender, recipient, beyond_ascii)
        _hand_over(dialogue, content, attempts)
        with suppress(OSError, smtplib.SMTPException):  # it is sent, whatever becomes of the farewell
            dialogue.quit()


def probe(server: SmtpServer, sender: str) -> dict[str, str | None]:
    """Each step and why it fails, None where it does not; after a failure none is tried. Nothing is sent."""
    found: dict[str, str | None] = {}
    part = "connection"
    try:
        with connected(server) as dialogue:
            found[part] = None
            for part, step in STEPS.items():  # noqa: B007 - which of them failed
                step(dialogue, server)
                found[part] = None
            part = "sender"
            _try_sender(dialogue, sender)
            found[part] = None
    except RelayError as error:
        found[part] = error.reason
    return found


def _greet(dialogue: Dialogue, server: SmtpServer) -> None:
    expect(dialogue.ehlo()[0], 250, "server_refused")
    if server.encryption != STARTTLS:
        return
    if not dialogue.has_extn("starttls"):  # whoever is in between may have taken it out: never in the clear instead
        raise RelayError("starttls_missing", halt=True)
    try:
        dialogue.starttls(context=ssl.create_default_context())
    except smtplib.SMTPResponseException as refused:
        expect(refused.smtp_code, 220, "starttls_refused")
    expect(dialogue.ehlo()[0], 250, "server_refused")


def _log_in(dialogue: Dialogue, server: SmtpServer) -> None:
    """PLAIN or LOGIN, within TLS: a server that keeps no readable passwords can do nothing else."""
    if server.user is None or server.password is None:
        return
    offered = dialogue.esmtp_features.get("auth", "").upper().split()
    makers: Mapping[str, Callable[..., str]] = {"PLAIN": dialogue.auth_plain, "LOGIN": dialogue.auth_login}
    mechanism = next((name for name in makers if name in offered), None)
    if mechanism is None:
        raise RelayError("login_not_offered", halt=True)
    dialogue.user, dialogue.password = server.user, server.password
    try:
        dialogue.auth(mechanism, makers[mechanism])
    except smtplib.SMTPAuthenticationError as refused:
        expect(refused.smtp_code, 235, "login_refused")
    except UnicodeError:  # smtplib knows ASCII only, and this error would show the password
        raise RelayError("login_not_ascii", halt=True) from None


STEPS: Mapping[str, Callable[[Dialogue, SmtpServer], None]] = {"encryption": _greet, "login": _log_in}


def _try_sender(dialogue: Dialogue, sender: str) -> None:
    _expect_sender(*dialogue.mail(sender))
    dialogue.rset()
    expect(dialogue.noop()[0], 250, "server_refused")


def _offer(dialogue: Dialogue, sender: str, recipient: str, beyond_ascii: bool) -> None:
    """Up to the moment from which the mail itself goes over."""
    if beyond_ascii and not dialogue.has_extn("smtputf8"):
        raise RelayError("address_not_supported", permanent=True)
    _expect_sender(*dialogue.mail(sender, ["SMTPUTF8", "BODY=8BITMIME"] if beyond_ascii else []))
    code, text = dialogue.rcpt(recipient)
    if code not in (250, 251):
        raise _refusal(code, text, "recipient_refused")
    code, text = dialogue.docmd("DATA")
    if code != 354:
        raise _refusal(code, text, "mail_refused")


def _hand_over(dialogue: Dialogue, content: bytes, attempts: int) -> None:
    lines = (b"." + line if line.startswith(b".") else line for line in content.splitlines(keepends=True))
    # If this fails, the last dot never left, and so the server drops what it has (RFC 5321, 4.1.1.4 and 4.5.3.2.5).
    dialogue.send(b"".join(lines))
    try:
        dialogue.send(b".\r\n")
        code, text = dialogue.getreply()
    except (OSError, smtplib.SMTPException):
        code, text = -1, b""
    if not 200 <= code < 600:
        is_last = attempts >= UNKNOWN_TRIES_MAX
        raise RelayError("outcome_unknown", permanent=is_last, retry_after_s=UNKNOWN_WAIT_S)
    if code >= 300:
        raise _refusal(code, text, "mail_refused")


def _expect_sender(code: int, text: bytes) -> None:
    if code != 250 and text.startswith(LIMIT_STATUS):
        raise RelayError("rate_limited", retry_after_s=LIMIT_PAUSE_S)
    expect(code, 250, "login_required" if code == 530 else "sender_refused")


def _refusal(code: int, text: bytes, reason: str) -> RelayError:
    """What is said to this one mail. Of the text only the enhanced status at its start is looked at (RFC 3463)."""
    if 400 <= code < 500:
        return RelayError("busy")
    if code < 500:
        return RelayError("unexpected_answer")
    if code == 530:  # RFC 4954, 6: nobody is let through without a login
        return RelayError("login_required", halt=True)
    if text.startswith(LIMIT_STATUS):
        return RelayError("rate_limited", retry_after_s=LIMIT_PAUSE_S)
    # 5.7: a rule, ours or theirs. It parks this mail alone: a stranger could stop all mail with an address otherwise.
    return RelayError("policy_refused" if text.startswith(b"5.7.") else reason, permanent=True)
