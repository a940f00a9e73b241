"""Chosen again: somebody says yes to more behind their own link, and a fresh mail asks whether it was them."""

from dataclasses import replace

from sqlalchemy import Connection

from ledger import links, vault
from ledger.consent import sign_up
from ledger.errors import RefusedError
from ledger.recorder import Recorder
from ledger.restriction import open_restricted
from schemas.message import Message


def sign_up_by_link(connection: Connection, recorder: Recorder, message: Message) -> list[int]:
    """Somebody chooses more behind their own link: as by a form, for the newest address that is theirs."""
    link = links.find_link(connection, bytes.fromhex(message.link_id or ""))
    if link is None or link.kind != links.WITHDRAW:
        return []
    person = vault.load_subject(connection, recorder.keyring["kek"], link.subject)
    person = open_restricted(connection, person, "chosen_again", recorder.recorded_at_ms)
    emails = vault.emails(connection, person)
    if not emails:
        raise RefusedError("no_address")
    known = replace(message, email=emails[-1], language=person.language)
    return sign_up(connection, recorder, known)
