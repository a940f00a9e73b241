"""Withdrawals, by address or by link, and revocations: at once, and carried to every processor."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from ledger import links, suppression, vault
from ledger.carrying import WITHDRAW, carry
from ledger.identity import address_tags
from ledger.log import NewEntry, new_id
from ledger.recorder import (
    RECEIPT,
    Recorder,
    append,
    dropped_entries,
    fold,
    sealed,
    send_mail,
)
from ledger.state import effective_at_ms
from schemas.address import Address, parse_address
from schemas.entry import Entry, Kind
from schemas.message import Message


def withdraw_address(connection: Connection, recorder: Recorder, message: Message) -> list[int]:
    """By address: everybody whom the address may mean, or a suppression if we know nobody."""
    address = parse_address(message.email or "")
    tags = address_tags(recorder.keyring["index_pepper"], address)
    purposes = message.purposes or tuple(recorder.policy.purposes)
    handles = vault.find_by_wide(connection, tags)
    message = replace(message, purposes=purposes)
    if not handles:
        return _suppress(connection, recorder, message, address)
    return _withdraw_subjects(connection, recorder, message, handles, vault.find_by_narrow(connection, tags))


def withdraw_by_link(connection: Connection, recorder: Recorder, message: Message) -> list[int]:
    link = links.find_link(connection, bytes.fromhex(message.link_id or ""))
    if link is None:  # an erased person's link still answers 200, and there is nothing left to stop
        return []
    purposes = message.purposes or link.purposes or tuple(recorder.policy.purposes)
    handles = vault.siblings(connection, link.subject)
    return _withdraw_subjects(connection, recorder, replace(message, purposes=purposes), handles)


def _withdraw_subjects(
    connection: Connection,
    recorder: Recorder,
    message: Message,
    handles: Iterable[bytes],
    own: bytes | None = None,
) -> list[int]:
    """`own`: whose address the message names for certain; with the others it is only a spelling."""
    new: list[NewEntry] = []
    firsts: list[tuple[bytes, int]] = []
    for handle in handles:
        person = vault.load_subject(connection, recorder.keyring["kek"], handle)
        firsts.append((handle, len(new)))
        payload = {"email" if handle == own else vault.SPELLING: message.email}
        for purpose in message.purposes:
            entry = _withdrawn_entry(recorder, message, handle, purpose)
            new.append(sealed(person, entry, payload) if message.email else NewEntry(entry))
        links.close_confirmations(connection, handle)
    positions = append(connection, recorder, new + dropped_entries(recorder, message, None))
    fold(connection, recorder, new, positions)
    for handle, first in firsts:
        cause, position = new[first].entry.id, positions[first]
        carry(connection, recorder, handle, WITHDRAW, cause, position, purposes=message.purposes)
        send_mail(connection, recorder, handle, RECEIPT, message.purposes, cause, position)
    return positions


def _withdrawn_entry(recorder: Recorder, message: Message, handle: bytes, purpose: str) -> Entry:
    return Entry(
        id=new_id(recorder.recorded_at_ms),
        kind=Kind.WITHDRAWN,
        recorded_at_ms=recorder.recorded_at_ms,
        subject=handle,
        purpose=purpose,
        occurred_at_ms=effective_at_ms(message.sent_at_ms, recorder.received_at_ms),
        received_at_ms=recorder.received_at_ms,
        source=message.source,
        method=message.method,
    )


def _suppress(connection: Connection, recorder: Recorder, message: Message, address: Address) -> list[int]:
    """Nobody we know: remember the stop under its own key, and carry it to the processors all the same."""
    handle = vault.new_handle()
    entries = [_withdrawn_entry(recorder, message, handle, purpose) for purpose in message.purposes]
    new = [NewEntry(entry) for entry in entries]
    positions = append(connection, recorder, new + dropped_entries(recorder, message, None))
    for entry in entries:
        stop = suppression.Suppression(entry.purpose or "", entry.occurred_at_ms or 0, suppression.WITHDRAWN)
        suppression.keep(connection, recorder.keyring["suppression"], address, stop)
    cause = entries[0].id
    addresses = [address.verbatim]
    carry(connection, recorder, handle, WITHDRAW, cause, positions[0], purposes=message.purposes, addresses=addresses)
    return positions


def revoke(
    connection: Connection, recorder: Recorder, handle: bytes, purposes: Sequence[str], reason: str
) -> list[int]:
    """Stopped by somebody else than the person: a mailbox that is gone, a complaint, an operator. No mail is sent."""
    new = [NewEntry(_revoked_entry(recorder, handle, purpose, reason)) for purpose in purposes]
    positions = append(connection, recorder, new)
    fold(connection, recorder, new, positions)
    links.close_confirmations(connection, handle)
    carry(connection, recorder, handle, WITHDRAW, new[0].entry.id, positions[0], purposes=purposes)
    return positions


def _revoked_entry(recorder: Recorder, handle: bytes, purpose: str, reason: str) -> Entry:
    return Entry(
        id=new_id(recorder.recorded_at_ms),
        kind=Kind.REVOKED,
        recorded_at_ms=recorder.recorded_at_ms,
        subject=handle,
        purpose=purpose,
        occurred_at_ms=recorder.received_at_ms,
        received_at_ms=recorder.received_at_ms,
        source="operator",
        method="operator",
        reason=reason,
    )
