"""The mails that carry receipts: what they say to the person, to whom, and which way out they leave."""

import json
from dataclasses import replace
from email.message import EmailMessage
from types import MappingProxyType

import pytest
from sqlalchemy import select

from ledger.checkpoints import note_verifiers
from ledger.erasure import erase
from ledger.keyring import load_keyring
from ledger.log import lock_head
from ledger.receipt_verification import Proven, verify_receipt
from ledger.restriction import restrict
from ledger.tables import relay
from schemas.entry import Kind
from tests.ledger.desk import KARI, Desk
from tests.world import World, body_of
from workers.context import now_ms


@pytest.fixture
def desk(any_world: World) -> Desk:
    any_world.give(KARI)
    return Desk(any_world)


def newest_mail(desk: Desk) -> EmailMessage:
    desk.world.sign()
    desk.world.carry()
    return desk.world.mails()[-1]


def receipt_of(desk: Desk, mail: EmailMessage) -> Proven:
    (part,) = mail.iter_attachments()
    assert (part.get_filename(), part.get_content_type()) == ("receipt.json", "application/json")
    keyring = load_keyring("operator", desk.world.settings.keys_dir)
    keys = (note_verifiers(keyring[name]) for name in ("receipt", "checkpoint"))
    return verify_receipt(part.get_content(), *keys)


def erase_kari(desk: Desk) -> None:
    handle = desk.handle()
    with desk.database.write() as connection:
        lock_head(connection)
        erase(connection, desk.recorder(now_ms()), handle, "requested")


def test_a_grants_receipt_has_the_way_out_in_headers_text_and_attachment(desk: Desk) -> None:
    mail = newest_mail(desk)
    link = f"http://samtykke.example.org{desk.world.link('w')}"
    assert (mail["To"], mail["List-Unsubscribe"]) == (KARI, f"<{link}>")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "inneholder opplysningene du ga oss" in body_of(mail)
    assert [entry.leaf["kind"] for entry in receipt_of(desk, mail).entries] == ["consent.requested", "consent.given"]
    (part,) = mail.iter_attachments()
    (record,) = json.loads(part.get_content())["dpv:hasRecordOfActivity"]
    assert record["dpv:hasConsentControl"]["dpv:isExercisedAt"] == link


def test_a_receipt_of_a_purpose_that_has_left_the_policy_names_its_key(desk: Desk) -> None:
    desk.world.policy = replace(desk.world.policy, purposes=MappingProxyType({}))
    mail = newest_mail(desk)
    assert "  * newsletter" in body_of(mail).splitlines()
    assert receipt_of(desk, mail).entries[-1].leaf["purpose"] == "newsletter"


def test_a_restricted_persons_receipt_is_mailed_once_an_entry_says_so(desk: Desk) -> None:
    with desk.database.write() as connection:
        restrict(connection, desk.handle(), "claims", now_ms(), "operator")
    mails = len(desk.world.mails())
    desk.world.sign()
    desk.world.carry()
    assert len(desk.world.mails()) == mails + 1
    opened = [leaf["reason"] for leaf in desk.world.leaves() if leaf["kind"] == Kind.OPENED]
    assert opened.count("mail_receipt") == 1


def test_an_erasure_is_confirmed_to_the_address_that_is_then_forgotten(desk: Desk) -> None:
    newest_mail(desk)
    erase_kari(desk)
    mail = newest_mail(desk)
    assert mail["To"] == KARI
    assert [entry.leaf["kind"] for entry in receipt_of(desk, mail).entries] == ["subject.erased"]
    with desk.database.read() as connection:
        (row,) = connection.execute(select(relay).where(relay.c.action == "receipt", relay.c.purposes == ""))
    assert (row.status, row.outcome, row.box) == ("confirmed", "sent", None)


def test_an_erasures_mail_waits_for_its_proof_and_keeps_the_address_meanwhile(desk: Desk) -> None:
    newest_mail(desk)
    mails = len(desk.world.mails())
    erase_kari(desk)
    desk.world.carry()
    assert len(desk.world.mails()) == mails
    with desk.database.read() as connection:
        (row,) = connection.execute(select(relay).where(relay.c.action == "receipt", relay.c.purposes == ""))
    assert (row.status, row.reason, row.box is None) == ("pending", "checkpoint_awaited", False)


def test_an_erasures_mail_says_in_both_languages_what_remains_and_leaves_nothing_to_withdraw(desk: Desk) -> None:
    newest_mail(desk)
    erase_kari(desk)
    mail = newest_mail(desk)
    text = body_of(mail)
    lines = text.splitlines()
    assert "List-Unsubscribe" not in mail
    assert "/w/" not in text
    for field in desk.world.policy.personal_data.values():
        assert {f"  * {field.name.nb}", f"  * {field.name.en}"} <= set(lines)
    for processor in desk.world.policy.processors.values():
        for residual in processor.residual:
            days = str(residual.days) if residual.days else ""
            for what in (residual.what.nb, residual.what.en):
                (line,) = [line for line in lines if what in line]
                assert processor.name in line
                assert days in line
    assert text.count(desk.world.policy.authority.url) == 2
    assert KARI not in text
