"""The recorder's context, and the steps that every deed of the recorder shares."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from ledger import outbox, vault
from ledger.identity import AddressTags
from ledger.keyring import Keyring
from ledger.log import NewEntry, append_many, new_id
from ledger.sealing import seal_versioned
from ledger.state import STATE_OF_KIND, ConsentState, write_states
from schemas.entry import Entry, Kind
from schemas.message import Message
from schemas.policy import Policy

MAIL = "mail"
# What a mail is: workers/mails has a letter for each.
CONFIRMATION, RECEIPT, REQUEST = "confirmation", "receipt", "request"
ANSWER, OUTCOME, REFUSAL, EXTENSION = "answer", "outcome", "refusal", "extension"  # what became of a request
REMINDER, LIFTING = "reminder", "lifting"
DAY_MS = 24 * 3600 * 1000
RESEND_AFTER_MS = 10 * 60 * 1000  # before the same question may be mailed again


@dataclass(frozen=True, slots=True)
class Recorder:
    """Keys, policy, and the delivery that is being recorded. Times are unix milliseconds; `now_ms` is our clock.

    `first_ordinal`: of the delivery's next entry, where something follows from what it has written.
    """

    keyring: Keyring
    policy: Policy
    now_ms: int
    received_at_ms: int
    inbox_id: int | None = None
    first_ordinal: int = 0

    @property
    def recorded_at_ms(self) -> int:
        """Never before the receipt, which never steps back. What falls due does so by the clock alone: after a
        step back it would otherwise wait for as long as the clock was ahead."""
        return max(self.now_ms, self.received_at_ms)


def find_or_create(connection: Connection, recorder: Recorder, tags: AddressTags, language: str) -> vault.Subject:
    """Whose address this is for certain, or somebody new."""
    handle = vault.find_by_narrow(connection, tags)
    if handle is not None:
        return vault.load_subject(connection, recorder.keyring["kek"], handle)
    return vault.create_subject(connection, recorder.keyring["kek"], tags, language, recorder.now_ms)


def append(connection: Connection, recorder: Recorder, new: Sequence[NewEntry], first_ordinal: int = 0) -> list[int]:
    """Append; UNIQUE(delivery, ordinal) is what makes a second effect of one delivery impossible."""
    numbered = [
        replace(one, inbox_id=recorder.inbox_id, ordinal=ordinal)
        for ordinal, one in enumerate(new, recorder.first_ordinal + first_ordinal)
    ]
    return append_many(connection, numbered)


def fold(connection: Connection, recorder: Recorder, new: Sequence[NewEntry], positions: Sequence[int]) -> None:
    by_subject: dict[bytes, list[tuple[str, ConsentState]]] = {}
    for one, position in zip(new, positions, strict=False):
        entry = one.entry
        assert entry.subject is not None
        assert entry.purpose is not None
        event = ConsentState(STATE_OF_KIND[entry.kind], entry.occurred_at_ms or recorder.received_at_ms, position)
        by_subject.setdefault(entry.subject, []).append((entry.purpose, event))
    for handle, events in by_subject.items():
        write_states(connection, handle, events)


def send_mail(
    connection: Connection,
    recorder: Recorder,
    handle: bytes,
    action: str,
    purposes: Sequence[str],
    cause: str,
    position: int,
    addresses: Sequence[str] = (),
) -> None:
    """`addresses`: of somebody who has no vault any more, sealed until the mail has left."""
    relay_id = outbox.new_relay_id()
    mail = outbox.NewRelay(
        subject=handle,
        processor=MAIL,
        action=action,
        purposes=tuple(purposes),
        cause=cause,
        sequence=position,
        urgent=False,
        id=relay_id,
        box=sealed_address(recorder, relay_id, addresses) if addresses else None,
    )
    outbox.enqueue(connection, [mail], recorder.now_ms)


def sealed(person: vault.Subject, entry: Entry, payload: Mapping[str, object]) -> NewEntry:
    commitment, box = vault.seal_payload(person, entry.id, payload)
    return NewEntry(replace(entry, commitment=commitment), box)


def sealed_address(recorder: Recorder, relay_id: bytes, addresses: Sequence[str]) -> bytes:
    """The box of a relay about somebody who has no vault, or none any more: addresses, one on each line."""
    return seal_versioned(recorder.keyring["kek"], "\n".join(addresses).encode(), relay_id)


def dropped_entries(recorder: Recorder, message: Message, handle: bytes | None) -> list[NewEntry]:
    counted = Counter((dropped.field, dropped.rule) for dropped in message.dropped)
    return [
        NewEntry(
            Entry(
                id=new_id(recorder.recorded_at_ms),
                kind=Kind.DROPPED,
                recorded_at_ms=recorder.recorded_at_ms,
                subject=handle,
                source=message.source,
                field=field,
                rule=rule,
                count=count,
            )
        )
        for (field, rule), count in sorted(counted.items())
    ]
