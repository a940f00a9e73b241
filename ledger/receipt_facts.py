"""What the readable part of a receipt repeats of its entries: one table for the writer, who fills it in, and for the
verifier, who compares.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ledger.errors import LedgerError
from schemas.entry import DPV_STATE_OF_KIND, Kind

Leaf = Mapping[str, Any]
Node = dict[str, Any]

_NAMESPACES = {
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "dpv-27560": "https://w3id.org/dpv/schema/dpv-27560#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "legal-eu": "https://w3id.org/dpv/legal/eu#",
    "loc": "https://w3id.org/dpv/loc#",
    "pd": "https://w3id.org/dpv/pd#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "schema": "https://schema.org/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_NAMES = frozenset(
    {"dct:conformsTo", "dct:source", "dpv:hasApplicableLaw", "dpv:hasAuthority", "dpv:hasContact"}
    | {"dpv:hasDataController", "dpv:hasDataSubject", "dpv:hasJurisdiction", "dpv:hasProcessing"}
    | {"dpv:isExercisedAt", "dpv:isIndicatedBy", "schema:url", "skos:broader"}
)
_LISTS_OF_NAMES = frozenset(
    {"dpv:hasDataProcessor", "dpv:hasLegalBasis", "dpv:hasPersonalData", "dpv:hasRecipient", "dpv:hasRight"}
)
_LISTS_OF_NODES = frozenset(
    {"dct:hasPart", "dpv:hasConsentStatus", "dpv:hasEntity", "dpv:hasProcess", "dpv:hasRecordOfActivity"}
    | {"dpv:hasStorageCondition"}
)

# What an entry of a receipt is in DPV. Entries of other kinds, such as how a relay ended, do not belong in one.
DPV_TYPE_OF_KIND = {**DPV_STATE_OF_KIND, Kind.ERASED: "dpv:RightExerciseActivity"}
# What a verifier says when a member of a record or an event is not what the entries say.
_REASONS = {
    "@id": "entries_differ",
    "@type": "state_differs",
    "dct:created": "time_differs",
    "dpv:hasDataSubject": "subject_differs",
    "dpv:hasIndicationMethod": "method_differs",
    "dpv:isIndicatedAtTime": "time_differs",
}


class ReceiptError(LedgerError):
    """The receipt does not verify."""


def context(origin: str) -> Node:
    """The JSON-LD context of every receipt of one ledger. It belongs to the format: a receipt with another is none.

    It comes with the document, so that it expands without a network, and so that nobody can later change what the
    words of the document mean.
    """
    return {
        **_NAMESPACES,
        "log": f"https://{origin}#",
        "ledger": {"@id": "log:ledger", "@type": "@json"},
        "signature": "log:signature",
        "dct:created": {"@type": "xsd:dateTime"},
        "dct:date": {"@type": "xsd:date"},
        "dpv:isIndicatedAtTime": {"@type": "xsd:dateTime"},
        **{name: {"@container": "@language"} for name in ("dct:description", "dct:title")},
        **{name: {"@type": "@id"} for name in sorted(_NAMES)},
        **{name: {"@container": "@set", "@type": "@id"} for name in sorted(_LISTS_OF_NAMES)},
        **{name: {"@container": "@set"} for name in sorted(_LISTS_OF_NODES)},
    }


def by_record(leaves: Sequence[Leaf]) -> list[list[Leaf]]:
    """The entries of each record, in the order of the ledger: one record for each purpose, and one for an erasure."""
    records: dict[str, list[Leaf]] = {}
    for leaf in leaves:
        records.setdefault(leaf.get("purpose", ""), []).append(leaf)
    return list(records.values())


def record_facts(leaves: Sequence[Leaf]) -> Node:
    first = leaves[0]
    return {
        "@id": f"log:record-{first['id']}",
        "@type": "dpv:ConsentRecord" if "purpose" in first else "dpv:RightExerciseRecord",
        "dpv:hasDataSubject": f"log:subject-{first['subject']}",
    }


def event_facts(leaf: Leaf) -> Node:
    """What happened, when it was said and how, and when it was recorded."""
    return {
        "@id": f"log:entry-{leaf['id']}",
        "@type": DPV_TYPE_OF_KIND[leaf["kind"]],
        "dct:created": leaf["recorded_at"],
        "dpv:isIndicatedAtTime": leaf.get("occurred_at", leaf["recorded_at"]),
        "dpv:hasIndicationMethod": leaf.get("method"),
    }


def purpose_facts(leaves: Sequence[Leaf]) -> list[Node]:
    """One, or none for an erasure."""
    purposes = {leaf["purpose"] for leaf in leaves if "purpose" in leaf}
    return [{"@id": f"log:purpose-{purpose}", "dct:identifier": purpose} for purpose in purposes]


def notice_facts(leaves: Sequence[Leaf]) -> list[Node]:
    """Which text the person was shown. None where no entry says so: nobody is shown one to withdraw."""
    shown = [leaf for leaf in leaves if "notice" in leaf][:1]
    return [{"dct:identifier": leaf["notice"], "schema:sha256": leaf.get("notice_sha256")} for leaf in shown]


def check_agreement(document: Mapping[str, Any], leaves: Sequence[Leaf], origin: str) -> None:
    """The readable part says what these entries say: of all of them, and of one person."""
    if document["@context"] != context(origin):
        raise ReceiptError("context_differs")
    if not {leaf["kind"] for leaf in leaves} <= DPV_TYPE_OF_KIND.keys():
        raise ReceiptError("kind_not_in_receipts")
    if len({leaf["subject"] for leaf in leaves}) != 1:
        raise ReceiptError("subject_differs")
    records, expected = document["dpv:hasRecordOfActivity"], by_record(leaves)
    if len(records) != len(expected):
        raise ReceiptError("entries_differ")
    for record, entries in zip(records, expected, strict=True):
        _check_record(record, entries)


def _check_record(record: Mapping[str, Any], leaves: Sequence[Leaf]) -> None:
    _check([record], [record_facts(leaves)], "entries_differ")
    events = record.get("dpv:hasConsentStatus", []) + record.get("dct:hasPart", [])
    _check(events, [event_facts(leaf) for leaf in leaves], "entries_differ")
    purposes = [process["dpv:hasPurpose"] for process in record.get("dpv:hasProcess", [])]
    _check(purposes, purpose_facts(leaves), "purpose_differs")
    notices = [record["dpv:hasNotice"]] if "dpv:hasNotice" in record else []
    _check(notices, notice_facts(leaves), "notice_differs")


def _check(nodes: Sequence[Mapping[str, Any]], facts: Sequence[Node], otherwise: str) -> None:
    """Each node holds its facts, among other members; None: it has no such member.

    `otherwise`: the reason where the table has none.
    """
    if len(nodes) != len(facts):
        raise ReceiptError(otherwise)
    for node, expected in zip(nodes, facts, strict=True):
        for name, value in expected.items():
            if node.get(name) != value:
                raise ReceiptError(_REASONS.get(name, otherwise))
