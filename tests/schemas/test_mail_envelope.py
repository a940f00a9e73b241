"""Who a mail is from: what Gmail says of it, believed exactly as far as it goes, and what no person wrote."""

import random
import time

import pytest

from schemas.address import parse_address
from schemas.mail.authentication_results import (
    AuthenticationResults,
    MethodResult,
    parse_authentication_results,
)
from schemas.mail.envelope import HEADERS, Envelope, Ours, is_proven, read_sender, read_token, why_left_alone
from schemas.mail.intent import read_intent
from schemas.mail.own_words import own_lines, read_text
from tests.simulators.gmail import part

OURS = Ours(frozenset({"post@example.no"}), "example.no")
KARI = "kari@example.org"
# As Gmail writes it, one method after the other (RFC 8601, appendix B shows the same grammar).
PASS = (
    "mx.google.com;\r\n       dkim=pass header.i=@example.org header.s=sel1 header.b=Ab/cD+1=;\r\n"
    "       arc=pass (i=1 spf=pass spfdomain=example.org dkim=pass dkdomain=example.org dmarc=pass fromdomain=x);\r\n"
    "       spf=pass (google.com: domain of kari@example.org designates 192.0.2.1 as permitted sender) "
    "smtp.mailfrom=kari@example.org;\r\n"
    "       dmarc=pass (p=NONE sp=QUARANTINE dis=NONE) header.from=example.org"
)


def envelope(*fields: tuple[str, str], labels: tuple[str, ...] = ("INBOX",), sender: str = KARI) -> Envelope:
    standing = (("From", f"Kari Nordmann <{sender}>"), ("Message-ID", "<a1@mail.example.org>"), ("Subject", "Hei"))
    return Envelope((*fields, *standing), frozenset(labels))


def proven(*fields: tuple[str, str], sender: str = KARI) -> bool:
    return is_proven(envelope(*fields), parse_address(sender))


def dmarc(result: str, domain: str = "example.org", server: str = "mx.google.com") -> tuple[str, str]:
    return ("Authentication-Results", f"{server}; dmarc={result} (p=REJECT) header.from={domain}")


def test_the_domain_that_gmail_vouches_for_is_proven() -> None:
    assert proven(("Authentication-Results", PASS))
    assert proven(dmarc("pass", "Example.ORG"))
    assert proven(dmarc("pass", "bücher.example"), sender="kari@bücher.example")
    assert proven(dmarc("pass", "xn--bcher-kva.example"), sender="kari@bücher.example")


@pytest.mark.parametrize(
    "fields",
    [
        (),
        (("Authentication-Results", ""),),
        (("Authentication-Results", "mx.google.com; none"),),
        (("Authentication-Results", PASS.replace("dmarc=pass (p", "dmarc=fail (p")),),
        (dmarc("none"),),
        (dmarc("temperror"),),
        (dmarc("passed"),),
        (dmarc("pass", "example.net"),),  # DMARC of another domain
        (dmarc("pass", "example.org.example.net"),),
        (dmarc("pass", "notexample.org"),),
        (dmarc("pass", "mail.example.org"),),
        (dmarc("pass", server="mx.example.net"),),  # somebody else says so
        (dmarc("pass", server="mx.google.com.example.net"),),
        (dmarc("fail"), dmarc("pass")),  # the second one came with the mail
        (("Authentication-Results", "mx.google.com; spf=pass smtp.mailfrom=example.org"), dmarc("pass")),
        (("Authentication-Results", "mx.google.com; dkim=pass header.d=example.org"),),
        (("Authentication-Results", "mx.google.com; dmarc=pass"),),  # of which domain?
        (("Authentication-Results", PASS + "; dmarc=fail header.from=example.org"),),  # twice
        (("Authentication-Results", "mx.google.com; dmarc=pass header.from=example.org header.from=example.net"),),
        (("Authentication-Results", "mx.google.com; (dmarc=pass header.from=example.org)"),),  # a comment
        (("Authentication-Results", 'mx.google.com; spf=fail reason="; dmarc=pass header.from=example.org"'),),
        (("Authentication-Results", "mx.google.com 2; dmarc=pass header.from=example.org"),),  # another version
        (("Authentication-Results", "mx.google.com; dmarc=pass (header.from=example.org"),),
        (("ARC-Authentication-Results", "i=1; " + PASS),),
        (("X-Authentication-Results", PASS),),
    ],
)
def test_anything_less_proves_nothing(fields: tuple[tuple[str, str], ...]) -> None:
    assert not proven(*fields)


def test_the_grammar_is_read_as_the_rfc_writes_it() -> None:
    """RFC 8601, appendix B.5 and B.6, with a version, comments inside and quoted values."""
    read = parse_authentication_results(
        'example.com 1 ; dkim/1 = pass (good signature) reason="a \\"b\\" c" header.i=@mail-router.example.net ;'
        " dkim = fail (bad (nested) one) header . i = @newyork.example.com;"
    )
    first = {"reason": 'a "b" c', "header.i": "@mail-router.example.net"}
    second = MethodResult("dkim", "fail", {"header.i": "@newyork.example.com"})
    assert read == AuthenticationResults("example.com", (MethodResult("dkim", "pass", first), second))
    assert parse_authentication_results("example.com; none") == AuthenticationResults("example.com", ())


@pytest.mark.parametrize(
    "text",
    [";", "x;;", "x; =pass", "x; dkim", "x; dkim=", "x; dkim=pass header", "x; a=b c.d", "x)", "(x", '"x', "x y z"],
)
def test_what_is_outside_the_grammar_is_not_read(text: str) -> None:
    assert parse_authentication_results(text) is None


def test_no_spoiled_field_is_a_fault_or_turns_a_failure_into_a_pass() -> None:
    chance = random.Random(20_261_124)
    failed = PASS.replace("dmarc=pass (p", "dmarc=fail (p")
    for _ in range(5_000):
        place, length = chance.randrange(len(failed)), chance.randint(0, 3)
        letters = "".join(chance.choice(' ;=()"\\.\r\nå\x00ab1') for _ in range(chance.randint(0, 2)))
        assert not proven(("Authentication-Results", failed[:place] + letters + failed[place + length :]))


@pytest.mark.parametrize("text", ["(" * 16_000, "x; " + "a=b " * 4_000, 'x; a=b c.d="' + "\\" * 16_000, "x; " * 5_000])
def test_a_hostile_field_costs_little(text: str) -> None:
    began_s = time.process_time()
    assert parse_authentication_results(text) is None
    assert time.process_time() - began_s < 0.5  # a few milliseconds


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("kari@example.org", KARI),
        ("<kari@example.org>", KARI),
        ("  Kari Nordmann <Kari@Example.org>\r\n", KARI),
        ('"Nordmann, Kari" <kari@example.org>', KARI),
        ('"post@example.no" <kari@example.org>', KARI),
        ("=?UTF-8?Q?K=C3=A5re?= <kari@example.org>", KARI),
        ("", None),
        ("Kari", None),
        ("kari@example.org, ola@example.org", None),
        ("Kari <kari@example.org>, Ola <ola@example.org>", None),
        ("Friends: kari@example.org;", None),
        ("kari@example.org <ola@example.org>", None),
        ("Kari <kari@example.org> ola@example.org", None),
        ("<kari@example.org><ola@example.org>", None),
        ("<@example.net:kari@example.org>", None),
        ('"kari"@example.org', None),
        ("kari@[192.0.2.1]", None),
        ("kari\u0000@example.org", None),
        ("kari@ｅxample.org", None),
        ('"' * 5_000, None),
        ("<" * 5_000 + KARI, None),
    ],
)
def test_one_address_or_nobody(value: str, address: str | None) -> None:
    read = read_sender(Envelope((("From", value),), frozenset()))
    assert (read.narrow if read else None) == address


def test_two_from_fields_are_nobody() -> None:
    assert read_sender(Envelope((("From", KARI), ("from", "ola@example.org")), frozenset())) is None


@pytest.mark.parametrize(
    ("fields", "labels", "reason"),
    [
        ((), ("INBOX",), None),
        ((), (), None),  # archived by a filter
        ((("Auto-Submitted", "no"),), ("INBOX",), None),
        ((("Precedence", "normal"),), ("INBOX",), None),
        ((("Return-Path", "<kari@example.org>"),), ("INBOX",), None),
        ((), ("SENT",), "not_received"),
        ((), ("SPAM",), "not_received"),
        ((), ("TRASH", "INBOX"), "not_received"),
        ((), ("DRAFT",), "not_received"),
        ((("Auto-Submitted", "auto-replied; owner-email=x"),), ("INBOX",), "automatic"),
        ((("Auto-Submitted", "no"), ("auto-submitted", "auto-generated")), ("INBOX",), "automatic"),
        ((("Return-Path", "<>"),), ("INBOX",), "automatic"),
        ((("Content-Type", 'multipart/report; report-type="delivery-status"'),), ("INBOX",), "automatic"),
        ((("List-Id", "<list.example.org>"),), ("INBOX",), "list"),
        ((("List-Unsubscribe", "<https://example.org/u>"),), ("INBOX",), "list"),
        ((("Precedence", "BULK"),), ("INBOX",), "list"),
        ((("From", "ola@example.org"),), ("INBOX",), "sender_unclear"),  # a second one
    ],
)
def test_what_no_person_wrote_to_us_is_left_alone(
    fields: tuple[tuple[str, str], ...], labels: tuple[str, ...], reason: str | None
) -> None:
    assert why_left_alone(envelope(*fields, labels=labels), OURS) == reason


@pytest.mark.parametrize(
    ("sender", "message_id", "reason"),
    [
        ("Post@example.no", "<1@mail.gmail.com>", "our_own"),
        (KARI, "<00ff@example.no>", "our_own"),
        ("mailer-daemon@example.org", "<1@example.org>", "automatic"),
        ("MAILER-DAEMON@googlemail.com", "<1@example.org>", "automatic"),
        ("ola@example.no", "<1@mail.gmail.com>", None),
    ],
)
def test_our_own_mail_and_the_posts_are_left_alone(sender: str, message_id: str, reason: str | None) -> None:
    fields = (("From", sender), ("Message-ID", message_id))
    assert why_left_alone(Envelope(fields, frozenset({"INBOX"})), OURS) == reason


TOKEN = "A" * 46


@pytest.mark.parametrize(
    ("subject", "labels", "token"),
    [
        (f"withdraw {TOKEN}", ("INBOX",), TOKEN),
        (f" Withdraw {TOKEN}\r\n", ("SPAM",), TOKEN),  # the token is the proof, wherever the mail was put
        (f"withdraw {TOKEN}", ("SENT",), None),
        (f"Re: withdraw {TOKEN}", ("INBOX",), None),
        (f"withdraw {TOKEN}A", ("INBOX",), None),
        (f"withdraw {TOKEN[1:]}", ("INBOX",), None),
        (f"withdraw {TOKEN} now", ("INBOX",), None),
        ("withdraw", ("INBOX",), None),
    ],
)
def test_a_withdrawal_by_token_is_the_whole_subject(subject: str, labels: tuple[str, ...], token: str | None) -> None:
    assert read_token(Envelope((("Subject", subject),), frozenset(labels))) == token


HTML = (
    "<html><head><title>Unsubscribe</title><style>p { color: red }</style></head><body><p>Hei,<br>meld meg&nbsp;av</p>"
    '<script>x</script><div class="gmail_quote">On Tuesday<blockquote>slett meg</blockquote></div></body></html>'
)


def test_the_text_is_the_first_plain_part_else_what_html_shows() -> None:
    plain, html = part("text/plain", "Meld meg av"), part("text/html", HTML)
    both = {"mimeType": "multipart/alternative", "parts": [plain, html]}
    assert read_text(plain) == "Meld meg av"
    assert read_text({"mimeType": "multipart/mixed", "parts": [both, part("text/plain", "slett meg")]}) == "Meld meg av"
    assert own_lines(read_text(html)) == ["Hei,", "meld meg av"]
    assert (
        own_lines(read_text({"mimeType": "multipart/alternative", "parts": [part("text/plain", " "), html]}))[0]
        == "Hei,"
    )


def test_an_attachment_is_not_what_somebody_wrote() -> None:
    attached = part("text/plain", "slett meg") | {"filename": "brev.txt"}
    mail = {"mimeType": "message/rfc822", "parts": [part("text/plain", "slett meg")]}
    for other in (
        attached,
        mail,
        {"mimeType": "text/plain"},
        {"mimeType": "text/plain", "body": {"data": "å"}},
        [],
        None,
    ):
        assert read_text({"mimeType": "multipart/mixed", "parts": [other]}) == ""
    deep = part("text/plain", "slett meg")
    for _ in range(100):
        deep = {"mimeType": "multipart/mixed", "parts": [deep]}
    assert read_text(deep) == ""


@pytest.mark.parametrize(
    "html", ["<" * 100_000, "<a " * 30_000, "<!--" * 25_000, "&" * 100_000, "<p>" * 30_000, "<![" * 30_000]
)
def test_hostile_html_costs_little(html: str) -> None:
    began_s = time.process_time()
    read_text(part("text/html", html))
    assert time.process_time() - began_s < 2.0


PIECES = ("=?utf-8?q?", "=?utf-8?b?", "=?x?q?a?=", "?=", "=C3=A5", "w6U", "withdraw", "\r\n ", "\x00", "\ud83d", "å")
PIECES += ("kari@example.org", "mx.google.com", "dmarc=pass", "header.from=", *'<>@"\\();=, ')


def test_no_mail_of_any_kind_is_a_fault() -> None:
    chance = random.Random(20_261_127)

    def text() -> str:
        return "".join(chance.choice(PIECES) for _ in range(chance.randint(0, 12)))

    for _ in range(3_000):
        made = Envelope([(chance.choice(HEADERS), text()) for _ in range(6)], frozenset())
        read_token(made)
        why_left_alone(made, OURS)
        is_proven(made, parse_address(KARI))
        read_intent(made.subject, read_text({"mimeType": "text/html", "body": {"data": text()}}))
        read_intent(text(), text())


def test_an_encoded_subject_is_read_decoded() -> None:
    assert Envelope((("Subject", "=?UTF-8?Q?Meld_meg_av_nyhetsbrevet_n=C3=A5?="),), frozenset()).subject == (
        "Meld meg av nyhetsbrevet nå"
    )
    assert Envelope((("Subject", "=?nonsense?Q?Meld_meg_av?="),), frozenset()).subject == ""
