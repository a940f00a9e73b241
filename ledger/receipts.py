"""Receipts: what a person holds in the hand. Readable records, and the proof that the ledger says the same; signed."""

import json
import unicodedata
import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, or_, select

from ledger import tlog, vault
from ledger.checkpoints import newest_checkpoint, note_signers
from ledger.errors import NotFoundError
from ledger.keyring import Key
from ledger.log import StoredEntry, entry_by_id, node_reader
from ledger.note import Checkpoint, parse_checkpoint, sign_note, unverified_text
from ledger.receipt_document import Cover, format_document
from ledger.receipt_facts import DPV_TYPE_OF_KIND
from ledger.receipt_verification import base64_of, check_contents, open_signed, signed_text
from ledger.sealing import commitment
from ledger.tables import ledger_entry
from ledger.tables import vault as boxes
from schemas.entry import Kind, format_time
from schemas.policy import Policy

# What was sealed with a withdrawal may name somebody else's address: a spelling that only perhaps is this person's.
DISCLOSED_KINDS = (Kind.REQUESTED, Kind.GIVEN)


def build_receipt(
    connection: Connection,
    policy: Policy,
    key: Key,
    cause: bytes,
    subject: bytes,
    now_ms: int,
    *,
    person: vault.Subject | None = None,
    withdraw_url: str | None = None,
) -> bytes | None:
    """The signed receipt of the delivery behind the entry `cause`; None as long as no checkpoint covers it.

    `person`: with boxes that may be opened, so that the holder can open the commitments when the boxes are gone; None
    for somebody who has been erased. Raises NotFoundError if the entry is not about `subject`.
    """
    entries = _entries_of(connection, cause, subject)
    signed = newest_checkpoint(connection, at_least=entries[-1].position + 1)
    if signed is None:
        return None
    checkpoint = parse_checkpoint(unverified_text(signed[1]))
    disclosed = {} if person is None else _disclosures(connection, person, entries)
    cover = Cover(
        receipt_id=str(uuid.uuid4()),
        created_at=format_time(now_ms),
        origin=checkpoint.origin,
        language=person.language if person else None,
        withdraw_url=withdraw_url,
    )
    document = format_document(policy, cover, [json.loads(entry.leaf) for entry in entries])
    read = node_reader(connection)
    document["ledger"] = {
        "checkpoint": signed[1],
        "entries": [
            {
                "leaf": entry.leaf.decode(),
                "position": entry.position,
                "proof": [base64_of(node) for node in tlog.prove_inclusion(entry.position, checkpoint.size, read)],
                **({"disclosure": disclosed[entry.id]} if entry.id in disclosed else {}),
            }
            for entry in entries
        ],
    }
    return _sign(document, checkpoint, key)


def _sign(document: dict[str, Any], checkpoint: Checkpoint, key: Key) -> bytes:
    signers = note_signers(key)
    signature = sign_note(signed_text(document), signers)
    receipt = json.dumps({**document, "signature": signature}, indent=1, ensure_ascii=False).encode()
    # Opened once again before it leaves: no wrong receipt of ours is for somebody else to find.
    check_contents(open_signed(receipt, [signer.verifier() for signer in signers]), checkpoint)
    return receipt


def _entries_of(connection: Connection, cause: bytes, subject: bytes) -> list[StoredEntry]:
    """What the delivery behind `cause` wrote about this person, and what that confirms; in the order of the ledger."""
    caused = connection.execute(select(ledger_entry).where(ledger_entry.c.id == cause)).one_or_none()
    if caused is None:
        raise NotFoundError("entry_not_found")
    if caused.inbox_id is not None:
        same = and_(ledger_entry.c.inbox_id == caused.inbox_id, ledger_entry.c.kind.in_(list(DPV_TYPE_OF_KIND)))
    else:  # an operator's deed is no delivery: what it wrote in the same moment, of the same kind, belongs together
        at_once = ledger_entry.c.recorded_at_ms == caused.recorded_at_ms
        same = and_(ledger_entry.c.inbox_id.is_(None), at_once, ledger_entry.c.kind == caused.kind)
    condition = and_(ledger_entry.c.subject == subject, or_(ledger_entry.c.id == cause, same))
    found = {
        entry_id: entry_by_id(connection, entry_id)
        for entry_id in connection.execute(select(ledger_entry.c.id).where(condition)).scalars()
    }
    if not found:
        raise NotFoundError("entry_not_found")
    for entry in list(found.values()):
        leaf = json.loads(entry.leaf)
        if leaf["kind"] == Kind.GIVEN and "ref" in leaf:
            asked = entry_by_id(connection, bytes.fromhex(leaf["ref"]))
            found[asked.id] = asked
    return sorted(found.values(), key=lambda entry: entry.position)


def _disclosures(
    connection: Connection, person: vault.Subject, entries: Sequence[StoredEntry]
) -> dict[bytes, dict[str, str]]:
    """Salt and payload by entry id, where there still is a box, and it is the one that was committed to."""
    wanted = {entry.position: entry for entry in entries if entry.kind in DISCLOSED_KINDS}
    condition = and_(boxes.c.subject == person.handle, boxes.c.position.in_(wanted))
    disclosed = {}
    for row in connection.execute(select(boxes.c.position, boxes.c.box).where(condition)):
        entry = wanted[row.position]
        salt, payload = vault.open_payload(person, entry.id, row.box)
        if json.loads(entry.leaf).get("commitment") == commitment(salt, payload).hex():
            disclosed[entry.id] = {"salt": base64_of(salt), **_format_payload(payload.decode())}
    return disclosed


def _format_payload(text: str) -> dict[str, str]:
    """As text, which people can read; but a name may be typed in a normal form that canonical JSON does not take."""
    if unicodedata.is_normalized("NFC", text):
        return {"payload": text}
    return {"payload_base64": base64_of(text.encode())}
