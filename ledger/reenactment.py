"""Reenactment: what leaves from a mirror say, done again to the rows of a database that had forgotten it.

Leaves are appended first and in order; only when all are there (`finish`) does it append entries of its own, about what
is lost: a box that no backup has, or a person of whom no backup knows.
"""

import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, exists, select, update

from ledger import erasure, erasure_work, product_access, product_rows, proof, reminders, requests, restriction, vault
from ledger.carrying import GRANT_ACCESS, REVOKE_ACCESS, WITHDRAW, carry
from ledger.errors import SealError
from ledger.log import NewEntry, append_many, new_id
from ledger.recorder import Recorder, sealed
from ledger.state import STATE_OF_KIND, STOPPED, ConsentState, write_states
from ledger.tables import ledger_entry, subject
from ledger.tables import vault as vault_table
from schemas.address import Address
from schemas.entry import ENDING_KINDS, Entry, Kind

LOST = "lost_in_restore"
_ACCESS = frozenset({Kind.ACCESS_GRANTED, Kind.ACCESS_REVOKED})
_REQUESTS = frozenset(kind for kind in Kind if kind.startswith("request."))


@dataclass
class _Stopped:
    """A withdrawal that must reach the processors again: its first entry, and every purpose."""

    cause: str
    position: int
    purposes: list[str] = field(default_factory=list)


@dataclass
class _Erased:
    """An erasure whose processors must be asked again."""

    entry: Entry
    position: int
    addresses: list[str]
    completed_at_ms: int | None = None


class Reenactment:
    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._lost: dict[str, bytes] = {}  # entry with a commitment and no box -> whose
        self._old_boxes: dict[str, int] = {}  # redaction -> position of the older box, still there
        self._stopped: dict[bytes, _Stopped] = {}
        self._erased: dict[str, _Erased] = {}  # by the id of its entry
        self._access: dict[str, tuple[Entry, int]] = {}  # by the id of the grant: the newest entry about it
        self._counts: Counter[str] = Counter()

    def done(self) -> dict[str, int]:
        """How often each deed was done again."""
        return dict(sorted(self._counts.items()))

    def play(self, connection: Connection, position: int, entry: Entry) -> None:
        """One leaf. Nothing that it says about somebody of whom the database does not know is done."""
        handle = entry.subject
        if handle is None:
            return
        known = _is_known(connection, handle)
        if known:
            self._person(connection, position, entry)
        if entry.kind is Kind.ERASED and not known:  # nothing is here to end; the processors are to be asked
            self._erased[entry.id] = _Erased(entry, position, [])
        if entry.kind in _REQUESTS and (known or entry.ref is not None):
            self._request(connection, entry)
        if entry.kind in _ACCESS and (known or entry.commitment is None):
            self._give_or_take(connection, position, entry)
        if entry.kind is Kind.ERASURE_COMPLETED:
            self._complete(connection, entry)
        if entry.kind is Kind.REDACTED:
            self._redact(connection, entry)
        if entry.kind in ENDING_KINDS:
            self._lost = {lost: whose for lost, whose in self._lost.items() if whose != handle}
        elif entry.commitment is not None:
            self._lost[entry.id] = handle

    def _person(self, connection: Connection, position: int, entry: Entry) -> None:
        """Of somebody of whom the database knows."""
        if entry.kind in STATE_OF_KIND:
            self._consent(connection, position, entry)
        elif entry.kind in ENDING_KINDS:
            self._end(connection, position, entry)
        elif entry.kind in (Kind.RESTRICTED, Kind.UNRESTRICTED):
            self._restrict(connection, entry)
        elif entry.kind is Kind.TOLD and entry.purpose is not None and entry.subject is not None:
            reminders.mark(connection, entry.subject, entry.purpose, entry.recorded_at_ms)

    def _consent(self, connection: Connection, position: int, entry: Entry) -> None:
        assert entry.subject is not None
        assert entry.purpose is not None
        at_ms = entry.occurred_at_ms or entry.received_at_ms or entry.recorded_at_ms
        state = ConsentState(STATE_OF_KIND[entry.kind], at_ms, position)
        write_states(connection, entry.subject, [(entry.purpose, state)])
        self._counts[state.state] += 1
        if state.state in STOPPED:
            stopped = self._stopped.setdefault(entry.subject, _Stopped(entry.id, position))
            stopped.purposes.append(entry.purpose)

    def _request(self, connection: Connection, entry: Entry) -> None:
        """The row with its deadline. Links mailed since the backup are dead: what they asked expires in its time."""
        requests.write_row(connection, entry, self._recorder.policy.deadlines.rights_request_months)
        self._counts["requests"] += 1

    def _end(self, connection: Connection, position: int, entry: Entry) -> None:
        assert entry.subject is not None
        if entry.kind is Kind.ERASED:
            emails: list[Address] = []
            with suppress(SealError):  # a backup from before the key's last epoch: nobody can read of whom it is
                emails = erasure.emails_to_erase(connection, self._recorder, entry.subject)
            erasure.carry_out(connection, self._recorder, entry, emails)
            self._erased[entry.id] = _Erased(entry, position, [email.verbatim for email in emails])
        else:
            erasure.shred(connection, entry.subject)
        self._counts["erased" if entry.kind is Kind.ERASED else "expired"] += 1

    def _give_or_take(self, connection: Connection, position: int, entry: Entry) -> None:
        product_rows.bring_back(connection, self._recorder.keyring["index_pepper"], entry)
        self._access[entry.ref or entry.id] = (entry, position)
        self._counts["access"] += 1

    def _complete(self, connection: Connection, entry: Entry) -> None:
        if entry.ref in self._erased:
            self._erased[entry.ref].completed_at_ms = entry.recorded_at_ms
        else:  # the backup was made while it was under way
            erasure_work.mark_completed(connection, bytes.fromhex(entry.ref or ""), entry.recorded_at_ms)

    def _restrict(self, connection: Connection, entry: Entry) -> None:
        assert entry.subject is not None
        values: dict[str, object] = dict.fromkeys(("restricted_at_ms", "restricted_reason", "keep_until_ms"))
        if entry.kind is Kind.RESTRICTED:
            values |= {"restricted_at_ms": entry.recorded_at_ms, "restricted_reason": entry.reason}
            if entry.reason == restriction.WITHDRAWN:
                values["keep_until_ms"] = proof.keep_until_ms(connection, self._recorder, entry.subject)
        connection.execute(update(subject).where(subject.c.handle == entry.subject).values(values))
        self._counts["restricted" if entry.kind is Kind.RESTRICTED else "unrestricted"] += 1

    def _redact(self, connection: Connection, entry: Entry) -> None:
        redacted = entry.ref or ""
        self._lost.pop(redacted, None)
        old = self._old_boxes.pop(redacted, None)
        if old is None:
            box = (
                select(vault_table.c.position)
                .join(ledger_entry, ledger_entry.c.position == vault_table.c.position)
                .where(ledger_entry.c.id == bytes.fromhex(redacted))
            )
            old = connection.execute(box).scalar_one_or_none()
        if old is not None:
            self._old_boxes[entry.id] = old
        self._counts["redacted"] += 1

    def finish(self, connection: Connection) -> None:
        """Say what is lost, keep of it what may be kept, and carry again: withdrawals, erasures, access."""
        self._replace_lost(connection)
        self._end_unknown(connection)
        for erased in self._erased.values():
            work, position = erased.entry, erased.position
            erasure_work.begin_again(
                connection, self._recorder, work, position, erased.addresses, erased.completed_at_ms
            )
        self._carry_access(connection)
        for handle, stopped in self._stopped.items():
            if _is_known(connection, handle):
                purposes = list(dict.fromkeys(stopped.purposes))
                cause, position = stopped.cause, stopped.position
                carry(connection, self._recorder, handle, WITHDRAW, cause, position, purposes=purposes)

    def _carry_access(self, connection: Connection) -> None:
        for entry, position in self._access.values():
            handle, product = entry.subject or b"", entry.product or ""
            is_granted = product_rows.is_granted(connection, handle, product)
            if is_granted is not (entry.kind is Kind.ACCESS_GRANTED):
                continue  # of somebody who has ended, or of whom another payment says otherwise
            action = GRANT_ACCESS if is_granted else REVOKE_ACCESS
            product_access.tell(connection, self._recorder, handle, action, entry.id, position, product)

    def _replace_lost(self, connection: Connection) -> None:
        """A redaction that took the place of a box keeps its addresses, the least there can be; the rest is gone."""
        new = []
        for lost, handle in self._lost.items():
            if not _is_known(connection, handle):
                continue
            entry = self._entry(Kind.REDACTED, handle, lost)
            old = self._old_boxes.get(lost)
            payload = self._addresses_in(connection, handle, old) if old is not None else {}
            person = vault.load_subject(connection, self._recorder.keyring["kek"], handle)
            new.append(sealed(person, entry, payload) if payload else NewEntry(entry))
            self._counts[LOST] += 1
        connection.execute(delete(vault_table).where(vault_table.c.position.in_(list(self._old_boxes.values()))))
        append_many(connection, new)

    def _addresses_in(self, connection: Connection, handle: bytes, position: int) -> dict[str, object]:
        row = connection.execute(
            select(ledger_entry.c.id, vault_table.c.box)
            .join(ledger_entry, ledger_entry.c.position == vault_table.c.position)
            .where(vault_table.c.position == position)
        ).one_or_none()
        if row is None:
            return {}
        person = vault.load_subject(connection, self._recorder.keyring["kek"], handle)
        person = restriction.open_restricted(connection, person, LOST, self._recorder.recorded_at_ms)
        return dict(proof.addresses_only(json.loads(vault.open_payload(person, row.id, row.box)[1])))

    def _end_unknown(self, connection: Connection) -> None:
        """Who signed up since the backup: the leaves speak of them, and nothing else does any more."""
        unknown = [handle for handle in dict.fromkeys(self._lost.values()) if not _is_known(connection, handle)]
        append_many(connection, [NewEntry(self._entry(Kind.SUBJECT_EXPIRED, handle)) for handle in unknown])
        self._counts["people_lost"] += len(unknown)

    def _entry(self, kind: Kind, handle: bytes, ref: str | None = None) -> Entry:
        at_ms = self._recorder.recorded_at_ms
        return Entry(new_id(at_ms), kind, at_ms, handle, source="restore", ref=ref, reason=LOST)


def _is_known(connection: Connection, handle: bytes) -> bool:
    return bool(connection.execute(select(exists().where(subject.c.handle == handle))).scalar_one())
