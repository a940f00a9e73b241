"""The header fields of our mails, as bytes: what a mail program sees, and not what Python's parser makes of it."""

import re
from dataclasses import replace
from pathlib import Path

from schemas.mail.envelope import Envelope, read_token
from tests.world import World, body_of, settings_for
from workers.mail import compose

KARI = "kari@example.org"


def raw_mail(world: World) -> bytes:
    (path,) = world.settings.mail_spool_dir.glob("*.eml")
    return path.read_bytes()


def sign_up(directory: Path, **changes: str) -> World:
    world = World(settings_for(directory, **changes))
    world.post_signed("newsletter", {"email": KARI, "newsletter": "yes"})
    world.record()
    world.carry()
    return world


def test_the_way_out_is_written_as_it_is(tmp_path: Path) -> None:
    """RFC 2047, 5 allows no encoded word there, and no mail program would find the address in one."""
    world = sign_up(tmp_path)
    link = f"http://samtykke.example.org{world.link('w')}"
    assert f"\r\nList-Unsubscribe: <{link}>\r\n".encode() in raw_mail(world)
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw_mail(world)
    world.close()


def test_who_can_only_mail_withdraws_by_the_subject_that_the_intake_understands(tmp_path: Path) -> None:
    world = sign_up(tmp_path, gmail_mailbox="post@example.no")
    token = world.link("w").rpartition("/")[2]
    ways = re.search(rb"\r\nList-Unsubscribe: <(http\S+)>, <mailto:(\S+)\?subject=(\S+)>\r\n", raw_mail(world))
    assert ways is not None
    assert (ways[1].decode().rpartition("/")[2], ways[2]) == (token, b"post@example.no")
    subject = ways[3].decode().replace("%20", " ")
    assert read_token(Envelope((("Subject", subject),), frozenset())) == token
    world.close()


def test_every_line_of_a_header_is_within_the_limit_and_letters_beyond_ascii_are_encoded() -> None:
    """RFC 5322, 2.1.1: 998 characters at most."""
    subject = "Bekreft på nytt: æøå " * 20
    mail = compose(f"post@{'a' * 60}.example.no", KARI, "0" * 32, f"{subject}\n\nHei")
    mail["List-Unsubscribe"] = f"<https://example.no/{'a' * 2000}>"
    head = mail.as_bytes().partition(b"\r\n\r\n")[0]
    assert head.isascii()
    assert max(map(len, head.split(b"\r\n"))) <= 998
    assert f"\r\nMessage-ID: <{'0' * 32}@{'a' * 60}.example.no>\r\n".encode() in head
    assert "".join(str(mail["Subject"]).split()) == "".join(subject.split())


def test_every_link_survives_the_way_whatever_its_length(tmp_path: Path) -> None:
    """A link that is cut at the end of a line is dead in every mail program."""
    public_url = f"http://samtykke.example.org/{'a' * 60}/{'b' * 60}"
    world = World(replace(settings_for(tmp_path), public_url=public_url))
    world.post_signed("newsletter", {"email": KARI, "newsletter": "yes"})
    world.record()
    world.carry()
    raw = raw_mail(world)
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    (mail,) = world.mails()
    links = [line for line in body_of(mail).splitlines() if public_url in line]
    assert len(links) == 3  # confirm, withdraw, choose
    assert all(re.fullmatch(rf"{public_url}/[cwp]/[\w-]{{30,}}", link) for link in links)
    assert f"\r\nList-Unsubscribe: <{next(link for link in links if '/w/' in link)}>\r\n".encode() in raw
    world.close()


def test_confirmation_and_receipt_offer_the_one_click_and_say_whose_they_are(tmp_path: Path) -> None:
    world = World(settings_for(tmp_path))
    world.give(KARI)
    world.sign()
    world.carry()
    mails = world.mails()
    assert len(mails) == 2
    for mail in mails:
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert re.fullmatch(r"<[0-9a-f]{32}@example\.no>", mail["Message-ID"])
        assert (mail["Auto-Submitted"], mail["MIME-Version"]) == ("auto-generated", "1.0")
        assert mail["Date"].datetime.tzinfo is not None
    assert mails[0]["Message-ID"] != mails[1]["Message-ID"]
    world.close()


def test_people_see_who_writes_and_every_server_can_deliver_it(tmp_path: Path) -> None:
    """RFC 6531: a domain beyond ASCII is for servers that say that they know it; its A-label is for all."""
    world = World(settings_for(tmp_path))
    world.post_signed("newsletter", {"email": "Kari@blåbær.example.no", "newsletter": "yes"})
    world.record()
    world.carry()
    head = raw_mail(world).partition(b"\r\n\r\n")[0]
    assert b"\r\nTo: Kari@xn--blbr-roah.example.no\r\n" in b"\r\n" + head
    assert b"From: Vizpro AS <post@example.no>\r\n" in head
    world.close()
