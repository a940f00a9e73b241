"""Consent: sign-ups become requests, and a request becomes given when its mailed link is confirmed."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from ledger import links, profile, suppression, vault
from ledger.carrying import GIVE, carry
from ledger.identity import AddressTags, address_tags
from ledger.log import NewEntry, new_id
from ledger.recorder import (
    CONFIRMATION,
    DAY_MS,
    RECEIPT,
    RESEND_AFTER_MS,
    Recorder,
    append,
    dropped_entries,
    find_or_create,
    fold,
    sealed,
    send_mail,
)
from ledger.restriction import lift, require_open_to_grants
from ledger.state import DECISIVE, GIVEN, STOPPED, ConsentState, effective_at_ms, last_withdrawals, read_states
from ledger.suppression import Suppression
from schemas.address import parse_address
from schemas.entry import Entry, Kind
from schemas.message import Decision, Message


def sign_up(connection: Connection, recorder: Recorder, message: Message) -> list[int]:
    """Requested and refused, per purpose; a mailed link asks for the confirmation that makes it given."""
    if not message.decisions or message.email is None:
        return append(connection, recorder, dropped_entries(recorder, message, None))
    address = parse_address(message.email)
    tags = address_tags(recorder.keyring["index_pepper"], address)
    person = find_or_create(connection, recorder, tags, message.language)
    require_open_to_grants(connection, person)
    suppressed = suppression.find(connection, recorder.keyring["suppression"], address)
    # An erased person comes back by a confirmation of their own, never by a list that is read in again.
    asks = suppression.is_erased(suppressed)
    new = [_decision_entry(recorder, message, person, decision, asks) for decision in message.decisions]
    states = read_states(connection, person.handle)
    stops = _stops(connection, recorder, tags, suppressed)
    overtaken = [
        _overtaken_entry(recorder, message, one.entry, stops[one.entry.purpose or ""])
        for one in new
        if one.entry.kind is Kind.GIVEN and _is_overtaken(states, stops, one.entry)
    ]
    positions = append(connection, recorder, new + overtaken + dropped_entries(recorder, message, person.handle))
    fold(connection, recorder, new + overtaken, positions)
    _carry_given(connection, recorder, person.handle, new, positions)
    requested = [one.entry for one in new if one.entry.kind is Kind.REQUESTED and _open_to(states, stops, one.entry)]
    is_own = message.link_id is not None  # behind a link that only this mailbox has: it fills nobody else's
    if requested and not _asked_lately(connection, recorder, tags, requested, stops, suppressed, is_own=is_own):
        _ask_for_confirmation(connection, recorder, person, requested, positions[0])
    return positions + profile.record(connection, recorder, person, message, len(positions))


def _decision_entry(
    recorder: Recorder, message: Message, person: vault.Subject, decision: Decision, asks: bool
) -> NewEntry:
    purpose = recorder.policy.purposes[decision.purpose]
    given = Kind.REQUESTED if asks or purpose.double_opt_in else Kind.GIVEN
    kind = given if decision.state == GIVEN else Kind.REFUSED
    notice = recorder.policy.notices.get(decision.notice or "")
    entry = Entry(
        id=new_id(recorder.recorded_at_ms),
        kind=kind,
        recorded_at_ms=recorder.recorded_at_ms,
        subject=person.handle,
        purpose=decision.purpose,
        occurred_at_ms=effective_at_ms(message.sent_at_ms, recorder.received_at_ms),
        received_at_ms=recorder.received_at_ms,
        basis="consent",
        source=message.source,
        method=message.method,
        # Without the hash that the operator confirmed, nobody can say which text the person saw.
        notice=notice.key if notice and notice.sha256 else "unknown",
        notice_sha256=notice.sha256 if notice else None,
    )
    if kind is Kind.REFUSED:  # somebody who said no has not asked us to keep an address
        return NewEntry(entry)
    return sealed(person, entry, {"email": message.email, **(message.profile or {})})


def _stops(
    connection: Connection, recorder: Recorder, tags: AddressTags, suppressed: Sequence[Suppression]
) -> dict[str, int]:
    """When each purpose was last stopped for anybody whom the address may mean, known to us or not."""
    stops = last_withdrawals(connection, tags.wides)
    for purpose in recorder.policy.purposes:
        since_ms = suppression.since_ms(suppressed, purpose)
        if since_ms is not None:
            stops[purpose] = max(since_ms, stops.get(purpose, since_ms))
    return stops


def _open_to(states: Mapping[str, ConsentState], stops: Mapping[str, int], entry: Entry) -> bool:
    """Whether a request may ask: not if it is given already, nor if it is older than a withdrawal."""
    stopped_at_ms = stops.get(entry.purpose or "")
    state = states.get(entry.purpose or "", ConsentState())
    if state.state == GIVEN and (stopped_at_ms is None or stopped_at_ms < state.effective_at_ms):
        return False
    return stopped_at_ms is None or stopped_at_ms < (entry.occurred_at_ms or 0)


def _is_overtaken(states: Mapping[str, ConsentState], stops: Mapping[str, int], entry: Entry) -> bool:
    """Whether a grant is older than a withdrawal that could not reach this spelling: we did not know it then."""
    stopped_at_ms = stops.get(entry.purpose or "")
    state = states.get(entry.purpose or "", ConsentState())
    if stopped_at_ms is None or stopped_at_ms < (entry.occurred_at_ms or 0):
        return False
    return state.state not in DECISIVE or state.effective_at_ms < stopped_at_ms


def _overtaken_entry(recorder: Recorder, message: Message, grant: Entry, stopped_at_ms: int) -> NewEntry:
    return NewEntry(
        Entry(
            id=new_id(recorder.recorded_at_ms),
            kind=Kind.WITHDRAWN,
            recorded_at_ms=recorder.recorded_at_ms,
            subject=grant.subject,
            purpose=grant.purpose,
            occurred_at_ms=stopped_at_ms,
            received_at_ms=recorder.received_at_ms,
            source=message.source,
            method=message.method,
            ref=grant.id,
        )
    )


def _asked_lately(
    connection: Connection,
    recorder: Recorder,
    tags: AddressTags,
    requested: Sequence[Entry],
    stops: Mapping[str, int],
    suppressed: Sequence[Suppression],
    *,
    is_own: bool,
) -> bool:
    """A sign-up form must not become a way to fill a mailbox, by no spelling of its address.

    Whoever said stop is asked once a day at most; if that is all we know of a mailbox, it gets one mail a day in all.
    """
    wanted = {entry.purpose for entry in requested}
    if is_own:
        since_ms = recorder.recorded_at_ms - RESEND_AFTER_MS
        asked = [link for link in links.asked_since(connection, tags.wides, since_ms) if link.kind == links.CONFIRM]
        return any(link.status == links.OPEN and wanted <= set(link.purposes) for link in asked)
    since_ms = recorder.recorded_at_ms - (DAY_MS if stops or suppressed else RESEND_AFTER_MS)
    for link in links.asked_since(connection, tags.wides, since_ms):
        if suppressed or (link.kind == links.CONFIRM and stops):
            return True
        own_or_open = link.subject == requested[0].subject or link.status == links.OPEN
        if link.kind == links.CONFIRM and own_or_open and wanted <= set(link.purposes):
            return True
    return False


def _ask_for_confirmation(
    connection: Connection, recorder: Recorder, person: vault.Subject, requested: Sequence[Entry], position: int
) -> None:
    purposes = [entry.purpose or "" for entry in requested]
    ids = [entry.id for entry in requested]
    links.create_link(connection, links.CONFIRM, person.handle, recorder.recorded_at_ms, purposes, ids)
    send_mail(connection, recorder, person.handle, CONFIRMATION, purposes, ids[0], position)


def confirm(connection: Connection, recorder: Recorder, message: Message) -> list[int]:
    """The mailed link was confirmed: given, for what was asked and not withdrawn since."""
    link = links.find_link(connection, bytes.fromhex(message.link_id or ""))
    if link is None or link.kind != links.CONFIRM:
        return []
    if not link.can_confirm(recorder.received_at_ms, recorder.policy.retention.unconfirmed_request_days):
        return []
    links.use(connection, link.id)
    person = vault.load_subject(connection, recorder.keyring["kek"], link.subject)
    require_open_to_grants(connection, person)
    states = read_states(connection, link.subject)
    new = []
    for purpose, request_id in zip(link.purposes, link.request_ids, strict=True):
        state = states.get(purpose, ConsentState())
        if state.state in STOPPED and state.effective_at_ms >= link.created_at_ms:
            continue
        new.append(_given_entry(recorder, message, link.subject, purpose, request_id))
    positions = append(connection, recorder, new)
    fold(connection, recorder, new, positions)
    if new:
        purposes = [one.entry.purpose or "" for one in new]
        if person.restricted:  # what was kept as proof is in use again
            lift(connection, link.subject, "consent_given", recorder.recorded_at_ms, message.source)
        _lift_suppressions(connection, recorder, link.subject, purposes)
        _carry_given(connection, recorder, link.subject, new, positions)
        send_mail(connection, recorder, link.subject, RECEIPT, purposes, new[0].entry.id, positions[0])
    return positions


def _carry_given(
    connection: Connection, recorder: Recorder, handle: bytes, new: Sequence[NewEntry], positions: Sequence[int]
) -> None:
    """To every processor what is in force now: a grant that is older than a withdrawal reaches none."""
    states = read_states(connection, handle)
    given = [
        (one.entry, position)
        for one, position in zip(new, positions, strict=False)
        if one.entry.kind is Kind.GIVEN and states[one.entry.purpose or ""].state == GIVEN
    ]
    if given:
        purposes = list(dict.fromkeys(entry.purpose or "" for entry, _ in given))
        cause, position = given[0]
        carry(connection, recorder, handle, GIVE, cause.id, position, purposes=purposes)


def _given_entry(recorder: Recorder, message: Message, handle: bytes, purpose: str, request_id: str) -> NewEntry:
    return NewEntry(
        Entry(
            id=new_id(recorder.recorded_at_ms),
            kind=Kind.GIVEN,
            recorded_at_ms=recorder.recorded_at_ms,
            subject=handle,
            purpose=purpose,
            occurred_at_ms=recorder.received_at_ms,
            received_at_ms=recorder.received_at_ms,
            basis="consent",
            source=message.source,
            method="double_opt_in",
            ref=request_id,
        )
    )


def _lift_suppressions(connection: Connection, recorder: Recorder, handle: bytes, purposes: Sequence[str]) -> None:
    person = vault.load_subject(connection, recorder.keyring["kek"], handle)
    others = [purpose for purpose in recorder.policy.purposes if purpose not in purposes]
    for email in vault.emails(connection, person):
        suppression.lift(connection, recorder.keyring["suppression"], parse_address(email), purposes, others)
