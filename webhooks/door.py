"""What every endpoint works with, made once by the application factory and handed over by it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ledger.database import Database
from ledger.inbox import Acceptance, Delivery, accept
from ledger.keyring import Keyring
from ledger.reception import Reception, Signed
from schemas.policy import Policy
from schemas.settings import Settings
from webhooks.limits import SourceLimit
from workers.doorbell import RECORD, Doorbell


@dataclass(frozen=True, slots=True)
class Door:
    """`clock` gives unix milliseconds."""

    settings: Settings
    policy: Policy
    database: Database
    keyring: Keyring
    doorbell: Doorbell
    clock: Callable[[], int]
    limit: SourceLimit = field(default_factory=SourceLimit)

    @property
    def reception(self) -> Reception:
        return Reception(self.policy, self.keyring, self.settings.stripe_mode)

    def receive(
        self, source: str, document: object, signed: Signed, *, when_admitted: Callable[[], None] | None = None
    ) -> Acceptance:
        """A verified body, understood or parked, and taken in. Raises Refused 429 before any of it.

        `when_admitted`: what else may refuse it, and may ask the database.
        """
        self.limit.admit(source)
        if when_admitted is not None:
            when_admitted()
        return self.take_in(self.reception.delivery_of(source, document, signed))

    def take_in(self, delivery: Delivery) -> Acceptance:
        """Commit, then ring: whoever reads 200 after this call can forget the delivery."""
        acceptance, _ = accept(self.database, self.keyring, delivery, self.clock())
        self.doorbell.press(RECORD)
        return acceptance
