"""Rectification (GDPR Article 16): what was wrong goes, what is right is sealed, and the ledger says so."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select

from ledger import vault
from ledger.carrying import RECTIFY, carry
from ledger.errors import RefusedError
from ledger.identity import address_tags
from ledger.log import append_many, new_id
from ledger.recorder import Recorder, sealed
from ledger.redaction import Payload, redact
from ledger.restriction import open_restricted
from ledger.tables import subject_address
from schemas.address import Address
from schemas.entry import Entry, Kind

REASON = "rectified"
PROFILE = ("first_name", "last_name", "company")


@dataclass(frozen=True, slots=True)
class Correction:
    """`profile`: field to its right value, an empty text for none. `wrong_email`: an address that was never theirs."""

    profile: Mapping[str, str]
    email: Address | None = None
    wrong_email: Address | None = None


def rectify(connection: Connection, recorder: Recorder, handle: bytes, correction: Correction) -> int:
    """Returns the position of the entry. RefusedError if the new address is somebody else's."""
    person = vault.load_subject(connection, recorder.keyring["kek"], handle)
    person = open_restricted(connection, person, REASON, recorder.recorded_at_ms)
    before = vault.emails(connection, person)
    if correction.email is not None:
        _add_address(connection, recorder, handle, correction.email)
    if correction.wrong_email is not None:
        _remove_address(connection, recorder, handle, correction.wrong_email)
    profile = {**_newest_profile(connection, person), **correction.profile}
    redact(connection, recorder, person, REASON, lambda payload: _without_wrong(payload, correction))
    email = correction.email.verbatim if correction.email else vault.emails(connection, person)[-1]
    # A field that was cleared stays, empty: the processors are told so by it.
    payload = {"email": email, **profile}
    entry = Entry(
        id=new_id(recorder.recorded_at_ms),
        kind=Kind.RECTIFIED,
        recorded_at_ms=recorder.recorded_at_ms,
        subject=handle,
        source="operator",
        method="operator",
    )
    (position,) = append_many(connection, [sealed(person, entry, payload)])
    # A processor may know the person by an address that the vault no longer has: the relay carries it.
    carry(connection, recorder, handle, RECTIFY, entry.id, position, addresses=before)
    return position


def _without_wrong(payload: Payload, correction: Correction) -> Payload:
    wrong = set(correction.profile)
    remains = {name: value for name, value in payload.items() if name not in wrong}
    if correction.wrong_email is not None and payload.get("email") == correction.wrong_email.verbatim:
        del remains["email"]
    return remains


def _newest_profile(connection: Connection, person: vault.Subject) -> dict[str, str]:
    known: dict[str, str] = {}
    for payload in vault.open_payloads(connection, person):
        known |= {name: payload[name] for name in PROFILE if payload.get(name)}
    return known


def _add_address(connection: Connection, recorder: Recorder, handle: bytes, email: Address) -> None:
    tags = address_tags(recorder.keyring["index_pepper"], email)
    owner = vault.find_by_narrow(connection, tags)
    if owner is None:
        vault.add_address(connection, handle, tags)
    elif owner != handle:
        raise RefusedError("address_is_somebody_elses")


def _remove_address(connection: Connection, recorder: Recorder, handle: bytes, email: Address) -> None:
    tags = address_tags(recorder.keyring["index_pepper"], email)
    own = subject_address.c.subject == handle
    connection.execute(delete(subject_address).where(own, subject_address.c.narrow.in_(tags.narrows)))
    if connection.execute(select(func.count()).where(own)).scalar_one() == 0:
        raise RefusedError("address_is_the_only_one")
