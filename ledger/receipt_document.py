"""The readable part of a receipt: ISO/IEC TS 27560 records in the words of DPV 2.3, from the policy and the entries.

The mapping is that of https://w3id.org/dpv/guides/consent-27560, where "receipts are a wrapper" around records.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.receipt_facts import (
    Leaf,
    Node,
    by_record,
    context,
    event_facts,
    notice_facts,
    purpose_facts,
    record_facts,
)
from schemas.entry import Kind
from schemas.policy import Policy, Processor, Residual, Text

# GDPR Articles 7(3), 15 to 18, 20, 21 and 77: what can be exercised where the processing rests on consent.
_RIGHTS = [f"eu-gdpr:A{article}" for article in ("7-3", "15", "16", "17", "18", "20", "21", "77")]
_ERASURE = ["eu-gdpr:A17"]
_USED_UNTIL_WITHDRAWN = Text(
    nb="Opplysningene brukes til samtykket trekkes tilbake.", en="The data is used until the consent is withdrawn."
)
_PROOF_KEPT = Text(
    nb="Beviset for samtykket oppbevares så lenge etter at det er trukket tilbake.",
    en="The proof of the consent is kept for so long after it was withdrawn.",
)
# Everything else was done by the controller.
_SAID_BY_THE_PERSON = frozenset({Kind.GIVEN, Kind.REFUSED, Kind.WITHDRAWN})


@dataclass(frozen=True, slots=True)
class Cover:
    """What is on the outside of a receipt. `language`: in which we write to the holder; None once that is erased.

    `withdraw_url`: where the holder withdraws; without one, that is the controller's contact.
    """

    receipt_id: str
    created_at: str
    origin: str
    language: str | None
    withdraw_url: str | None = None


def format_document(policy: Policy, cover: Cover, leaves: Sequence[Leaf]) -> Node:
    """Everything in a receipt but `ledger` and `signature`. A purpose that left the policy keeps its key alone."""
    document = {
        "@context": context(cover.origin),
        "@id": f"urn:uuid:{cover.receipt_id}",
        "@type": "dpv:ConsentReceipt",
        "dct:conformsTo": "dpv-27560:receipt-eu-gdpr",
        "dct:created": cover.created_at,
        "dct:identifier": cover.receipt_id,
        "dct:language": cover.language,
        "dpv:hasEntity": list(_entities(policy)),
        "dpv:hasPolicy": {"@type": "dpv:Policy", "schema:version": policy.version},
        "dpv:hasRecordOfActivity": [_record(policy, cover, entries) for entries in by_record(leaves)],
    }
    written: Node = _written(document)
    return written


def _written(value: Any) -> Any:
    """Without what is unknown, and in the normal form of canonical JSON: policy.toml is typed by hand."""
    if isinstance(value, dict):
        return {name: _written(part) for name, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_written(part) for part in value]
    return unicodedata.normalize("NFC", value)


def _words(text: Text) -> Node:
    return {"en": text.en, "nb": text.nb}


# Who


def _entities(policy: Policy) -> Iterator[Node]:
    controller = policy.controller
    yield {
        "@id": "log:controller",
        "@type": "dpv:DataController",
        "dpv:hasAddress": controller.postal_address,
        "dpv:hasContact": controller.contact_url,
        "dpv:hasName": controller.name,
        "schema:email": controller.email,
    }
    yield {
        "@id": _authority(policy),
        "@type": "dpv:DataProtectionAuthority",
        "dpv:hasContact": policy.authority.url,
        "dpv:hasName": policy.authority.name,
    }
    yield from map(_processor, policy.processors.values())


def _authority(policy: Policy) -> str:
    """legal-no:DPA-NO in full: each country's authority stands in a vocabulary of its own."""
    country = re.fullmatch(r"legal-([a-z]{2}):(.+)", policy.authority.dpv)
    return f"https://w3id.org/dpv/legal/{country[1]}#{country[2]}" if country else policy.authority.dpv


def _processor(processor: Processor) -> Node:
    location = {"@type": "dpv:StorageLocation", "rdf:value": processor.region}
    return {
        "@id": f"log:processor-{processor.key}",
        "@type": "dpv:DataProcessor",
        "dpv:hasName": processor.name,
        "dpv:hasStorageCondition": [location, *map(_residual, processor.residual)],
    }


def _residual(residual: Residual) -> Node:
    """What still lies at a processor after an erasure, and for how long."""
    return {
        "@type": "dpv:StorageDeletion",
        "dct:description": _words(residual.what),
        "dct:source": residual.source,
        "dpv:hasDuration": _lasts(f"P{residual.days}D") if residual.days else {"@type": "dpv:IndeterminateDuration"},
    }


# What


def _record(policy: Policy, cover: Cover, leaves: Sequence[Leaf]) -> Node:
    common = record_facts(leaves) | {
        "dct:identifier": leaves[0]["id"],
        "dpv:hasApplicableLaw": "legal-eu:law-GDPR",
        "dpv:hasAuthority": _authority(policy),
        "dpv:hasDataController": "log:controller",
        "dpv:hasDataProcessor": _processors(policy),
        "dpv:hasJurisdiction": f"loc:{policy.controller.country}",
    }
    if common["@type"] == "dpv:RightExerciseRecord":
        activities = [event_facts(leaf) | {"dpv:hasProcessing": "dpv:Erase"} for leaf in leaves]
        return common | {"dct:hasPart": activities, "dpv:hasRight": _ERASURE}
    withdrawn_at = cover.withdraw_url or policy.controller.contact_url
    notices = [_notice(policy, facts) for facts in notice_facts(leaves)]
    return common | {
        "dct:conformsTo": "dpv-27560:record-eu-gdpr",
        "dpv:hasConsentControl": {"@type": "dpv:WithdrawConsent", "dpv:isExercisedAt": withdrawn_at},
        "dpv:hasConsentStatus": [_status(policy, leaf) for leaf in leaves],
        "dpv:hasNotice": notices[0] if notices else None,
        "dpv:hasProcess": [_process(policy, facts) for facts in purpose_facts(leaves)],
        "dpv:hasRight": _RIGHTS,
    }


def _processors(policy: Policy) -> list[str]:
    return [f"log:processor-{key}" for key in policy.processors]


def _process(policy: Policy, facts: Node) -> Node:
    purpose = policy.purposes.get(facts["dct:identifier"])
    described = {
        "dct:description": _words(purpose.description) if purpose else None,
        "dct:title": _words(purpose.name) if purpose else None,
        "skos:broader": purpose.dpv if purpose else None,
    }
    return {
        "@type": "dpv:Process",
        "dpv:hasLegalBasis": [purpose.legal_basis if purpose else "eu-gdpr:A6-1-a", "dpv:ExpressedConsent"],
        "dpv:hasPersonalData": list(dict.fromkeys(field.dpv for field in policy.personal_data.values())),
        "dpv:hasPurpose": facts | {"@type": "dpv:Purpose", **described},
        "dpv:hasRecipient": _processors(policy),
        "dpv:hasStorageCondition": [
            _storage("dpv:StorageDuration", _USED_UNTIL_WITHDRAWN, _until(Kind.WITHDRAWN)),
            _storage("dpv:StorageDeletion", _PROOF_KEPT, _lasts(f"P{policy.retention.proof_years}Y")),
        ],
    }


def _storage(kind: str, says: Text, duration: Node) -> Node:
    return {"@type": kind, "dct:description": _words(says), "dpv:hasDuration": duration}


def _lasts(duration: str) -> Node:
    return {"@type": "dpv:TemporalDuration", "rdf:value": duration}


def _until(kind: Kind) -> Node:
    return {"@type": "dpv:UntilEventDuration", "rdf:value": kind.value}


def _notice(policy: Policy, facts: Node) -> Node:
    notice = policy.notices.get(facts["dct:identifier"])
    published = {"dct:date": notice.published_at if notice else None, "schema:url": notice.url if notice else None}
    return facts | {"@type": "dpv:ConsentNotice", **published}


def _status(policy: Policy, leaf: Leaf) -> Node:
    kind = Kind(leaf["kind"])
    lasts = {"@type": "dpv:EndlessDuration"}  # until the person says something else
    if kind is Kind.REQUESTED:
        lasts = _lasts(f"P{policy.retention.unconfirmed_request_days}D")
    elif kind is Kind.GIVEN:
        lasts = _until(Kind.WITHDRAWN)
    by = f"log:subject-{leaf['subject']}" if kind in _SAID_BY_THE_PERSON else "log:controller"
    return event_facts(leaf) | {"dpv:hasDuration": lasts, "dpv:isIndicatedBy": by}
