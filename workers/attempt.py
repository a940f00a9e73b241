"""One attempt at a relay: what is still wanted, by which addresses, said to the processor within the lease."""

import json
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from ledger import relevance, vault
from ledger.carrying import ERASE, GIVE, GRANT_ACCESS, RECTIFY
from ledger.errors import NotFoundError
from ledger.log import entry_by_id
from ledger.outbox import LEASE_MS, Relay
from ledger.recorder import MAIL
from ledger.relevance import Question
from ledger.restriction import open_restricted
from ledger.rework import NOTES_CONTEXT
from ledger.sealing import unseal_versioned
from schemas.entry import parse_time
from schemas.policy import Product
from workers import mail
from workers.allowance import Allowance, within
from workers.context import Context, now_ms
from workers.ending import Ending, Superseded
from workers.pace import PACES, Pace
from workers.relays import RELAYS
from workers.relays.action import Outcome, RelayAction, RelayError

PENDING_WAIT_S = 1.0  # until the recorder has recorded what decides
# What a processor that no longer has somebody need not be told.
_ADDS = frozenset({GIVE, GRANT_ACCESS})


def attempt(context: Context, claimed: Relay, began_s: float, paces: Mapping[str, Pace] = PACES) -> Ending:
    """`began_s`: when it was claimed, by time.monotonic: no call begins after its lease.

    Raises Superseded, RelayError, RelayWait.
    """
    allowance = Allowance(began_s + LEASE_MS / 1000, paces.get(claimed.processor))
    if time.monotonic() >= allowance.ends_at_s:
        raise RelayError("lease_over")
    with within(allowance):
        if claimed.processor == MAIL:
            return mail.send(context, claimed)
        return _act(context, claimed)


def _act(context: Context, claimed: Relay) -> Ending:
    action, wanted = _prepare(context, claimed)
    if wanted.waits:
        raise RelayError("withdrawal_pending", retry_after_s=PENDING_WAIT_S)
    if wanted.superseded is not None:
        raise Superseded(wanted.superseded)
    if not action.emails and not action.notes:
        if claimed.action == ERASE:  # it counts for an erasure: a person must look after it
            raise RelayError("no_address", permanent=True)
        raise Superseded("no_address")
    act = RELAYS.get(claimed.processor, {}).get(claimed.action)
    if act is None:
        return Ending(Outcome.NOT_COVERED.value, "action_not_supported", confirmed=False)
    connection = context.connections.to(claimed.processor)
    if connection is None:
        raise RelayError("processor_not_connected", permanent=True)
    return Ending.of(act(action, connection))


def _prepare(context: Context, claimed: Relay) -> tuple[RelayAction, relevance.Relevance]:
    """In one snapshot. Of somebody restricted nothing is opened before an entry says so."""
    with context.database.read() as connection:
        person = _person(context, connection, claimed)
        if person is None or not person.restricted:
            return _asked(context, connection, claimed, person)
        early = relevance.ask(Question(connection, context.keyring, claimed, (), now_ms()))
        if early.superseded is not None:  # nothing is opened for what is not done
            raise Superseded(early.superseded)
    with context.database.write() as connection:
        person = _person(context, connection, claimed)
        if person is not None:
            person = open_restricted(connection, person, f"relay_{claimed.action}", now_ms())
        return _asked(context, connection, claimed, person)


def _person(context: Context, connection: Connection, claimed: Relay) -> vault.Subject | None:
    """None where the relay carries all that it needs, or nobody is left. Raises Superseded if it then has nothing."""
    if claimed.box is not None and claimed.action != RECTIFY:
        return None
    try:
        return vault.load_subject(connection, context.keyring["kek"], claimed.subject)
    except NotFoundError:
        if claimed.box is None and claimed.notes is None:
            raise Superseded("subject_gone") from None
        return None


def _asked(
    context: Context, connection: Connection, claimed: Relay, person: vault.Subject | None
) -> tuple[RelayAction, relevance.Relevance]:
    kek = context.keyring["kek"]
    emails = carried_addresses(context, claimed)
    if person is not None:
        certain = claimed.action in _ADDS | {RECTIFY}
        known = vault.emails(connection, person) if certain else vault.emails_to_stop(connection, person)
        # What was never theirs may be somebody else's: nothing is written by it.
        emails = known if claimed.action == RECTIFY else tuple(dict.fromkeys([*emails, *known]))
    # What the processor is told is when the person said it, not when we wrote it down.
    cause = json.loads(entry_by_id(connection, claimed.cause).leaf)
    said_at_ms = parse_time(cause.get("occurred_at") or cause["recorded_at"])
    wanted = relevance.ask(Question(connection, context.keyring, claimed, emails, said_at_ms))
    notes = {} if claimed.notes is None else json.loads(unseal_versioned(kek, claimed.notes, notes_context(claimed)))
    action = RelayAction(
        reference=claimed.id.hex(),
        emails=emails,
        purposes=wanted.purposes,
        occurred_at_ms=said_at_ms,
        attempt_epoch=claimed.epoch,
        profile=_profile(connection, person) if person is not None and claimed.action == RECTIFY else {},
        product=_product(context, claimed),
        notes=notes,
    )
    return action, wanted


def carried_addresses(context: Context, claimed: Relay) -> tuple[str, ...]:
    """Those of its box, oldest first."""
    if claimed.box is None:
        return ()
    return tuple(unseal_versioned(context.keyring["kek"], claimed.box, claimed.id).decode().splitlines())


def notes_context(claimed: Relay) -> bytes:
    """What the box of a relay's notes is bound to: they can be taken neither for another's nor for addresses."""
    return NOTES_CONTEXT + claimed.id


def _profile(connection: Connection, person: vault.Subject) -> dict[str, str]:
    """What is right now: the newest of each field, and the newest address."""
    profile: dict[str, Any] = {}
    for payload in vault.open_payloads(connection, person):
        profile |= {name: payload[name] for name in ("first_name", "last_name", "company") if name in payload}
    emails = vault.emails(connection, person)
    return profile | ({"email": emails[-1]} if emails else {})


def _product(context: Context, claimed: Relay) -> Product | None:
    if claimed.product is None:
        return None
    product = context.policy.products.get(claimed.product)
    if product is None:  # it has left policy.toml: nobody can say what it gave access to
        raise RelayError("product_unknown", permanent=True)
    return product
