"""The access export: what the ledger holds about a person and what every processor holds, in one document.

A processor that cannot be asked, or fails, is named with its reason: an answer that is not whole says so.
"""

import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection

from ledger import drift, vault
from ledger.held import held
from ledger.log import NewEntry, append_many, new_id
from schemas.entry import Entry, Kind, format_time
from schemas.log_line import error_fields, log
from schemas.policy import Policy, Processor
from workers.allowance import Allowance, within
from workers.context import Context, now_ms
from workers.pace import PACES
from workers.relays import EXPORTERS
from workers.relays.action import RelayAction, RelayError

FORMAT = "samtykke-export/1"
EXPORT_S = 10 * 60.0  # of one processor: a mailbox may hold a person's mails of many years
NOT_READ = "not_read"  # in the place of a part that a processor did not let us read
NOT_COVERED = "not_covered"  # policy.toml does not let the service ask there
NOT_CONNECTED, PAUSED, FAILED, NOTHING_TO_ASK = "processor_not_connected", "paused", "export_failed", "no_address"


@dataclass(frozen=True, slots=True)
class Export:
    """`missing`: the processors, or the parts of one, that are not in the document, with the reason."""

    document: Mapping[str, Any]
    missing: Mapping[str, str]

    def __repr__(self) -> str:
        return "Export(redacted)"


def export(context: Context, handle: bytes, request_id: bytes | None = None) -> Export:
    """Gather everything about a person. The ledger says first that it was opened, and for which request.

    Raises NotFoundError for somebody of whom nothing is held any more.
    """
    with context.database.write() as connection:
        person = vault.load_subject(connection, context.keyring["kek"], handle)
        person = _reveal(connection, person, request_id)
        document: dict[str, Any] = _cover(context.policy) | held(connection, context.policy, person)
    # Not the spellings that may be somebody else's: `addresses` are this person's for certain.
    action = RelayAction(secrets.token_hex(16), tuple(document["addresses"]), tuple(context.policy.purposes), 0, 1)
    answers = {key: _ask(context, key, action) for key in context.policy.processors}
    document["processors"] = [
        _about(processor) | {"holds": None if isinstance(answer, str) else answer, "missing": _reason(answer)}
        for processor, answer in zip(context.policy.processors.values(), answers.values(), strict=True)
    ]
    return Export(document, dict(_missing(answers)))


def _missing(answers: Mapping[str, Mapping[str, Any] | str]) -> Iterator[tuple[str, str]]:
    """Also the parts of an answer that say of themselves that they were not read."""
    for processor, answer in answers.items():
        if isinstance(answer, str):
            yield processor, answer
            continue
        for part, held_there in answer.items():
            if isinstance(held_there, Mapping) and NOT_READ in held_there:
                yield f"{processor} {part}", str(held_there[NOT_READ])


def _reveal(connection: Connection, person: vault.Subject, request_id: bytes | None) -> vault.Subject:
    now = now_ms()
    entry = Entry(
        id=new_id(now),
        kind=Kind.REVEALED,
        recorded_at_ms=now,
        subject=person.handle,
        source="operator",
        method="operator",
        reason="export",
        ref=request_id.hex() if request_id else None,
    )
    append_many(connection, [NewEntry(entry)])
    return replace(person, restricted=False)


def _cover(policy: Policy) -> dict[str, Any]:
    controller = policy.controller
    return {
        "format": FORMAT,
        "made": format_time(now_ms()),
        "controller": {"name": controller.name, "contact_url": controller.contact_url, "email": controller.email},
        "authority": {"name": policy.authority.name, "url": policy.authority.url},
        "policy_version": policy.version,
        "purposes": [
            {
                "purpose": purpose.key,
                "name": {"nb": purpose.name.nb, "en": purpose.name.en},
                "description": {"nb": purpose.description.nb, "en": purpose.description.en},
                "legal_basis": purpose.legal_basis,
            }
            for purpose in policy.purposes.values()
        ],
        "retention": asdict(policy.retention),
    }


def _about(processor: Processor) -> dict[str, Any]:
    return {
        "processor": processor.key,
        "name": processor.name,
        "role": processor.role,
        "region": processor.region,
        "contact_url": processor.contact_url,
        "categories": list(processor.holds),
    }


def _ask(context: Context, processor: str, action: RelayAction) -> Mapping[str, Any] | str:
    """What a processor holds, or why that is not known."""
    if "export" not in context.policy.processors[processor].actions:
        return NOT_COVERED
    if not action.emails:
        return NOTHING_TO_ASK
    with context.database.read() as connection:
        if processor in drift.stopped_processors(connection, now_ms()):
            return PAUSED
    try:
        connected = context.connections.to(processor)
        if connected is None or processor not in EXPORTERS:
            return NOT_CONNECTED
        with within(Allowance(time.monotonic() + EXPORT_S, PACES.get(processor))):
            return EXPORTERS[processor](action, connected)
    except RelayError as error:
        log.warning("export_not_whole", processor=processor, reason=error.reason)
        return error.reason
    except Exception as error:
        log.error("export_not_whole", processor=processor, **error_fields(error))
        return FAILED


def _reason(answer: Mapping[str, Any] | str) -> str | None:
    return answer if isinstance(answer, str) else None
