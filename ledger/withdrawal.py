"""Withdrawals: by address or by link; everybody whom it may mean, at once, and carried to every processor."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Connection, delete, insert, select

from ledger import links, outbox, vault
from ledger.identity import address_tags, suppression_tag
from ledger.log import NewEntry, new_id
from ledger.recorder import RECEIPT, WITHDRAW, Recorder, append, dropped_entries, fold, sealed, send_mail
from ledger.sealing import seal_versioned
from ledger.state import effective_at_ms
from ledger.tables import suppression
from schemas.address import Address, parse_address
from schemas.entry import Entry, Kind
from schemas.message import Message


def withdraw_address(connection: Connection, recorder: Recorder, message: Message) -> list[int]:
    """By address: everybody whom the address may mean, or a suppression if we know nobody."""
    address = parse_address(message.email or "")
    tags = address_tags(recorder.keyring["index_pepper"], address)
    purposes = message.purposes or tuple(recorder.policy.purposes)
    handles = vault.find_by_wide(connection, tags.wide)
    message = replace(message, purposes=purposes)
    if not handles:
        return _suppress(connection, recorder, message, address)
    return _withdraw_subjects(connection, recorder, message, handles, vault.find_by_narrow(connection, tags.narrow))


def withdraw_by_link(connection: Connection, recorder: Recorder, message: Message) -> list[int]:
    link = links.find_link(connection, bytes.fromhex(message.link_id or ""))
    if link is None:  # an erased person's link still answers 200, and there is nothing left to stop
        return []
    purposes = link.purposes or tuple(recorder.policy.purposes)
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
        _carry_withdrawal(connection, recorder, handle, message.purposes, cause, position)
        send_mail(connection, recorder, handle, RECEIPT, message.purposes, cause, position)
    return positions


def _withdrawn_entry(recorder: Recorder, message: Message, handle: bytes, purpose: str) -> Entry:
    return Entry(
        id=new_id(),
        kind=Kind.WITHDRAWN,
        recorded_at_ms=recorder.recorded_at_ms,
        subject=handle,
        purpose=purpose,
        occurred_at_ms=effective_at_ms(message.sent_at_ms, recorder.received_at_ms),
        received_at_ms=recorder.received_at_ms,
        source=message.source,
        method=message.method,
    )


def _carry_withdrawal(
    connection: Connection,
    recorder: Recorder,
    handle: bytes,
    purposes: Sequence[str],
    cause: str,
    position: int,
    email: str | None = None,
) -> None:
    relays = []
    for processor in recorder.policy.processors.values():
        if WITHDRAW not in processor.actions:
            continue
        relay_id = outbox.new_relay_id()
        box = seal_versioned(recorder.keyring["kek"], email.encode(), relay_id) if email else None
        relays.append(
            outbox.NewRelay(
                subject=handle,
                processor=processor.key,
                action=WITHDRAW,
                purposes=tuple(purposes),
                cause=cause,
                sequence=position,
                urgent=True,
                id=relay_id,
                box=box,
            )
        )
    outbox.enqueue(connection, relays, recorder.now_ms)


def _suppress(connection: Connection, recorder: Recorder, message: Message, address: Address) -> list[int]:
    """Nobody we know: remember the stop under its own key, and carry it to the processors all the same."""
    handle = vault.new_handle()
    entries = [_withdrawn_entry(recorder, message, handle, purpose) for purpose in message.purposes]
    new = [NewEntry(entry) for entry in entries]
    positions = append(connection, recorder, new + dropped_entries(recorder, message, None))
    tag = suppression_tag(recorder.keyring["suppression"], address)
    for entry in entries:
        _keep_suppressed(connection, tag, entry.purpose or "", entry.occurred_at_ms or 0)
    cause = entries[0].id
    _carry_withdrawal(connection, recorder, handle, message.purposes, cause, positions[0], address.verbatim)
    return positions


def _keep_suppressed(connection: Connection, tag: bytes, purpose: str, effective_at_ms: int) -> None:
    """A suppression takes the latest time that was ever said: an older withdrawal that comes late moves nothing."""
    condition = (suppression.c.tag == tag) & (suppression.c.purpose == purpose)
    known_ms = connection.execute(select(suppression.c.effective_at_ms).where(condition)).scalar_one_or_none()
    latest_ms = effective_at_ms if known_ms is None else max(known_ms, effective_at_ms)
    connection.execute(delete(suppression).where(condition))
    connection.execute(insert(suppression).values(tag=tag, purpose=purpose, effective_at_ms=latest_ms))
