"""Mail by SMTP to a real server: encrypted or not at all, once unless nobody knows, each refusal with its meaning."""

import email
import email.policy
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schemas.settings import NO_TLS, STARTTLS, TLS
from tests.simulators.smtp import HOST, PASSWORD, USER, Plan, SmtpSimulator
from tests.stack import free_port
from tests.world import World, settings_for
from workers import mail_smtp
from workers.mail import compose
from workers.mail_smtp import UNKNOWN_TRIES_MAX, UNKNOWN_WAIT_S, probe
from workers.relays.action import RelayError
from workers.smtp_dialogue import SmtpServer

pytestmark = pytest.mark.filterwarnings("ignore:Session.login_data is deprecated")  # by aiosmtpd itself
KARI, SENDER, NAME = "kari@example.org", "post@example.no", "0f" * 16
LINK = "https://samtykke.example.org/w/" + "a" * 120


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmtpSimulator]:
    with SmtpSimulator(tmp_path_factory.mktemp("smtp")) as started:
        yield started


@pytest.fixture
def smtp(server: SmtpSimulator, monkeypatch: pytest.MonkeyPatch) -> SmtpSimulator:
    """As good as new, and its authority trusted."""
    server.plan, server.received, server.commands = Plan(), [], []
    monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
    return server


def reach(smtp: SmtpSimulator, **changes: Any) -> SmtpServer:
    return replace(SmtpServer(HOST, smtp.port, STARTTLS, "example.no", USER, PASSWORD, deadline_s=20.0), **changes)


def send(smtp: SmtpSimulator, recipient: str = KARI, attempts: int = 1, **changes: Any) -> None:
    mail = compose(SENDER, recipient, NAME, f"Bekreft på nytt\n\nHei, her er lenken.\n.\n{LINK}\n")
    mail["List-Unsubscribe"] = f"<{LINK}>"
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail_smtp.send(reach(smtp, **changes), mail, attempts=attempts)


def refusal(smtp: SmtpSimulator, **options: Any) -> RelayError:
    with pytest.raises(RelayError) as caught:
        send(smtp, **options)
    told = f"{caught.value} {caught.value.__cause__}"
    assert "kari" not in told
    assert "said by the server" not in told
    return caught.value


def kind(error: RelayError) -> str:
    return "parks" if error.permanent else "halts" if error.halt else "again"


def test_a_mail_arrives_as_it_was_written_over_an_encrypted_and_known_connection(smtp: SmtpSimulator) -> None:
    send(smtp)
    (one,) = smtp.received
    assert (one.sender, one.recipient, one.encrypted, one.user) == (SENDER, KARI, True, USER)
    assert one.greeted_as == "example.no"
    assert one.content.isascii()
    assert max(map(len, one.content.split(b"\r\n"))) <= 998
    head = one.content.partition(b"\r\n\r\n")[0] + b"\r\n"
    assert f"\r\nMessage-ID: <{NAME}@example.no>\r\n".encode() in head
    assert f"\r\nList-Unsubscribe: <{LINK}>\r\n".encode() in head
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in head
    read = email.message_from_bytes(one.content, policy=email.policy.default)
    assert read["Subject"] == "Bekreft på nytt"
    assert read.get_content().splitlines() == ["Hei, her er lenken.", ".", LINK]


def test_tls_from_the_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SmtpSimulator(tmp_path, implicit_tls=True) as smtp:
        monkeypatch.setenv("SSL_CERT_FILE", str(smtp.authority))
        send(smtp, encryption=TLS)
        assert [(one.encrypted, one.user) for one in smtp.received] == [(True, USER)]
        monkeypatch.delenv("SSL_CERT_FILE")
        error = refusal(smtp, encryption=TLS)
        assert (error.reason, kind(error)) == ("tls", "halts")


def test_without_a_user_nobody_logs_in(smtp: SmtpSimulator) -> None:
    send(smtp, user=None, password=None)
    send(smtp, user=None, password=None, encryption=NO_TLS)
    assert [(one.user, one.encrypted) for one in smtp.received] == [(None, True), (None, False)]


def test_a_server_without_tls_or_with_a_strange_certificate_gets_neither_login_nor_mail(
    smtp: SmtpSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    smtp.plan = Plan(has_starttls=False)
    error = refusal(smtp)
    assert (error.reason, kind(error)) == ("starttls_missing", "halts")
    smtp.plan = Plan()
    monkeypatch.delenv("SSL_CERT_FILE")
    error = refusal(smtp)
    assert (error.reason, kind(error)) == ("tls", "halts")
    monkeypatch.setenv("SSL_CERT_FILE", str(smtp.authority))
    error = refusal(smtp, host="localhost")  # a name that the certificate lacks
    assert (error.reason, kind(error)) == ("tls", "halts")
    assert (smtp.commands, smtp.received) == ([], [])


@pytest.mark.parametrize(
    ("step", "reply", "reason", "what"),
    [
        ("GREETING", "421 4.3.2 said by the server", "busy", "again"),
        ("GREETING", "554 said by the server", "server_refused", "halts"),
        ("AUTH", "535 5.7.8 said by the server", "login_refused", "halts"),
        ("AUTH", "454 4.7.0 said by the server", "busy", "again"),
        ("MAIL", "550 5.7.1 said by the server", "sender_refused", "halts"),
        ("MAIL", "530 5.7.0 said by the server", "login_required", "halts"),
        ("MAIL", "451 4.3.0 said by the server", "busy", "again"),
        ("RCPT", "550 5.1.1 <kari@example.org> said by the server", "recipient_refused", "parks"),
        ("RCPT", "553 said by the server", "recipient_refused", "parks"),
        ("RCPT", "450 4.2.0 greylisted, said by the server", "busy", "again"),
        ("RCPT", "554 5.7.1 said by the server: relay access denied", "policy_refused", "parks"),
        ("RCPT", "530 5.7.0 said by the server", "login_required", "halts"),
        ("RCPT", "550 5.4.5 said by the server: daily limit", "rate_limited", "again"),
        ("DATA", "552 5.3.4 said by the server", "mail_refused", "parks"),
        ("DATA", "451 4.3.0 said by the server", "busy", "again"),
        ("DATA", "554 5.7.1 said by the server: spam", "policy_refused", "parks"),
    ],
)
def test_each_refusal_waits_parks_or_halts(smtp: SmtpSimulator, step: str, reply: str, reason: str, what: str) -> None:
    smtp.plan = Plan(greeting=reply) if step == "GREETING" else Plan(replies={step: reply})
    error = refusal(smtp)
    assert (error.reason, kind(error)) == (reason, what)
    assert error.retry_after_s == (3600 if reason == "rate_limited" else None)
    assert smtp.received == []
    smtp.plan = Plan()
    send(smtp)
    assert len(smtp.received) == 1


@pytest.mark.parametrize("how", ["drops_at", "hangs_at"])
def test_nobody_knows_only_after_the_last_dot_and_the_second_mail_is_the_same(smtp: SmtpSimulator, how: str) -> None:
    for step in ("MAIL", "RCPT"):
        smtp.plan = Plan(**{how: step})
        error = refusal(smtp, deadline_s=0.7)
        assert (error.reason, kind(error)) == ("deadline" if how == "hangs_at" else "connection_lost", "again")
        assert smtp.received == []
    smtp.plan = Plan(**{how: "DATA"})
    error = refusal(smtp, deadline_s=0.7)
    assert (error.reason, kind(error), error.retry_after_s) == ("outcome_unknown", "again", UNKNOWN_WAIT_S)
    smtp.plan = Plan()
    send(smtp)
    ids = [email.message_from_bytes(one.content)["Message-ID"] for one in smtp.received]
    assert ids == [f"<{NAME}@example.no>"] * 2


def test_what_nobody_knows_again_and_again_is_left_to_a_person(smtp: SmtpSimulator) -> None:
    smtp.plan = Plan(drops_at="DATA")
    ends = [kind(refusal(smtp, attempts=attempts)) for attempts in range(1, UNKNOWN_TRIES_MAX + 1)]
    assert ends == ["again"] * (UNKNOWN_TRIES_MAX - 1) + ["parks"]


def test_a_server_that_says_nothing_or_is_not_there_holds_nobody_up(smtp: SmtpSimulator) -> None:
    smtp.plan = Plan(hangs_at="GREETING")
    assert refusal(smtp, deadline_s=0.5).reason == "deadline"
    smtp.plan = Plan(trickles=True)
    assert refusal(smtp, deadline_s=0.7).reason == "deadline"
    smtp.plan.trickles = False
    assert refusal(smtp, port=free_port()).reason == "connect"
    assert refusal(smtp, host="no-such-host.invalid").reason == "dns"


def test_a_login_that_cannot_be_is_told_and_never_shown(smtp: SmtpSimulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for changes, reason in (({"password": "wrong"}, "login_refused"), ({"password": "blåbær"}, "login_not_ascii")):
        error = refusal(smtp, **changes)
        assert (error.reason, kind(error)) == (reason, "halts")
    smtp.plan = Plan(has_login=False)
    assert refusal(smtp).reason == "login_not_offered"
    ours = [record for record in caplog.records if record.name.startswith(("samtykke", "workers", "root"))]
    assert not [record for record in ours if "blåbær" in record.getMessage()]
    assert PASSWORD not in repr(reach(smtp))


def test_letters_beyond_ascii_in_an_address_need_a_server_that_knows_them(smtp: SmtpSimulator) -> None:
    send(smtp, recipient="kåre@example.org")
    (one,) = smtp.received
    assert one.recipient == "kåre@example.org"
    assert {"SMTPUTF8", "BODY=8BITMIME"} <= set(one.options)
    assert "\r\nTo: kåre@example.org\r\n".encode() in one.content
    smtp.plan = Plan(has_smtputf8=False)
    error = refusal(smtp, recipient="kåre@example.org")
    assert (error.reason, kind(error)) == ("address_not_supported", "parks")


def test_probing_names_the_step_that_fails_and_sends_nothing(smtp: SmtpSimulator) -> None:
    steps = ["connection", "encryption", "login", "sender"]
    assert probe(reach(smtp), SENDER) == dict.fromkeys(steps)
    assert probe(reach(smtp, password="wrong"), SENDER) == {**dict.fromkeys(steps[:2]), "login": "login_refused"}
    assert probe(reach(smtp, port=free_port()), SENDER) == {"connection": "connect"}
    smtp.plan = Plan(replies={"MAIL": "550 5.7.1 no"})
    assert probe(reach(smtp), SENDER) == {**dict.fromkeys(steps[:3]), "sender": "sender_refused"}
    assert smtp.received == []
    assert "RCPT" not in smtp.commands


def installation(directory: Path, smtp: SmtpSimulator) -> World:
    reached = {"smtp_host": HOST, "smtp_port": smtp.port, "smtp_user": USER, "smtp_password": PASSWORD}
    return World(settings_for(directory, mail_transport="smtp", smtp_tls=STARTTLS, **reached))


def test_a_sign_up_is_confirmed_by_smtp_and_the_sending_is_an_entry(tmp_path: Path, smtp: SmtpSimulator) -> None:
    world = installation(tmp_path, smtp)
    world.post_signed("newsletter", {"email": KARI, "newsletter": "yes"})
    world.record()
    world.carry()
    world.carry()
    (one,) = smtp.received
    assert one.recipient == KARI
    assert not list(world.settings.mail_spool_dir.glob("*.eml"))
    (leaf,) = [leaf for leaf in world.leaves() if leaf["kind"] == "relay.completed"]
    assert (leaf["processor"], leaf["action"], leaf["outcome"]) == ("mail", "confirmation", "sent")
    world.close()


def test_an_address_that_does_not_exist_is_parked_for_an_operator_and_named_nowhere(
    tmp_path: Path, smtp: SmtpSimulator
) -> None:
    world = installation(tmp_path, smtp)
    smtp.plan = Plan(replies={"RCPT": f"550 5.1.1 <{KARI}> no such user"})
    world.post_signed("newsletter", {"email": KARI, "newsletter": "yes"})
    world.record()
    world.carry()
    assert [leaf["reason"] for leaf in world.leaves() if leaf["kind"] == "relay.parked"] == ["recipient_refused"]
    told = world.command("relays", "list", "--status", "parked", "--json").stdout
    assert "recipient_refused" in told
    assert KARI not in told
    world.close()
