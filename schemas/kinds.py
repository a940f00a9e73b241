"""The kinds of ledger entries, and what the consent events among them are called by others."""

from collections.abc import Mapping
from enum import StrEnum


class Kind(StrEnum):
    """What an entry says."""

    REQUESTED = "consent.requested"
    GIVEN = "consent.given"
    REFUSED = "consent.refused"
    WITHDRAWN = "consent.withdrawn"
    REVOKED = "consent.revoked"
    EXPIRED = "consent.expired"
    PURCHASE = "purchase.recorded"
    CUSTOMER = "customer.recorded"
    REQUEST_RECEIVED = "request.received"
    REQUEST_CONFIRMED = "request.confirmed"
    REQUEST_EXPIRED = "request.expired"
    REQUEST_EXTENDED = "request.extended"
    REQUEST_REFUSED = "request.refused"
    REQUEST_COMPLETED = "request.completed"
    REPORTED = "processor.reported"
    PROFILE_RECORDED = "profile.recorded"
    ACCESS_GRANTED = "access.granted"
    ACCESS_REVOKED = "access.revoked"
    DROPPED = "minimisation.dropped"
    RELAY_COMPLETED = "relay.completed"
    RELAY_PARKED = "relay.parked"
    RELAY_RESOLVED = "relay.resolved"
    DRIFT_FOUND = "drift.found"
    PROCESSOR_PAUSED = "processor.paused"
    PROCESSOR_RESUMED = "processor.resumed"
    DELIVERY_REPLAYED = "delivery.replayed"
    RELAY_REPLAYED = "relay.replayed"
    REVEALED = "payload.revealed"
    OPENED = "payload.opened"
    REDACTED = "payload.redacted"
    ERASED = "subject.erased"
    ERASURE_COMPLETED = "erasure.completed"
    RECTIFIED = "subject.rectified"
    RESTRICTED = "subject.restricted"
    UNRESTRICTED = "subject.unrestricted"
    SUBJECT_EXPIRED = "subject.expired"
    TOLD = "subject.told"
    KEY = "ledger.key"
    RESTORED = "ledger.restored"
    AUDITED = "ledger.audited"


# https://w3id.org/dpv (2.3), consent statuses: withdrawn is what the person did, revoked what somebody else did.
DPV_STATE_OF_KIND: Mapping[Kind, str] = {
    Kind.REQUESTED: "dpv:ConsentRequested",
    Kind.GIVEN: "dpv:ConsentGiven",
    Kind.REFUSED: "dpv:ConsentRefused",
    Kind.WITHDRAWN: "dpv:ConsentWithdrawn",
    Kind.REVOKED: "dpv:ConsentRevoked",
    Kind.EXPIRED: "dpv:ConsentExpired",
}
# After one of these the person has no box, no key and no tag any more.
ENDING_KINDS = frozenset({Kind.ERASED, Kind.EXPIRED, Kind.SUBJECT_EXPIRED})
