"""From a verified body to a row of the inbox: understood and minimised, or scrubbed and parked."""

from dataclasses import dataclass

from ledger.identity import address_tags
from ledger.inbox import Delivery, PendingWithdrawal
from ledger.keyring import Keyring
from ledger.links import Link
from schemas.address import parse_address
from schemas.message import Message, MessageType, format_both
from schemas.policy import Policy
from schemas.refusal import NotUnderstood
from schemas.understanding import comparable_parked, format_parked, read_sender_id, understand


@dataclass(frozen=True, slots=True)
class Signed:
    """Who signed (which secret, as a fingerprint), when by the sender's clock, and the sender's id if it has one."""

    key_id: str | None
    at_ms: int | None = None
    message_id: str | None = None


_NOBODY = Signed(None)


@dataclass(frozen=True, slots=True)
class Reception:
    """What it takes to understand a delivery. `stripe_mode`: which Stripe events count."""

    policy: Policy
    keyring: Keyring
    stripe_mode: str

    def delivery_of(self, source: str, document: object, signed: Signed | None) -> Delivery:
        """A document as a delivery: what was understood, or why it is parked.

        `signed`: None where nobody signed, because we asked.
        """
        signed = signed or _NOBODY
        try:
            understood = understand(self.policy, source, document, signed.at_ms, self.stripe_mode)
        except NotUnderstood as refused:
            return Delivery(
                source,
                comparable_parked(document),
                format_parked(document, signed.at_ms),
                read_sender_id(self.policy, source, document) or signed.message_id,
                signed.key_id,
                parked_reason=refused.reason,
                signed_at_ms=signed.at_ms,
            )
        return self.delivery_of_message(understood.message, understood.sender_id or signed.message_id, signed)

    def delivery_of_message(self, message: Message, sender_id: str | None, signed: Signed | None = None) -> Delivery:
        """A message as a delivery; `signed` as above."""
        return _delivery(message, sender_id, signed or _NOBODY, self._pending(message))

    def withdrawal_by_link(self, link: Link, source: str, method: str, sender_id: str | None = None) -> Delivery:
        """What whoever holds a withdrawal link asks for: all of it stops at once, whoever they are."""
        message = Message(
            MessageType.LINK_WITHDRAWAL, source, link_id=link.id.hex(), purposes=link.purposes, method=method
        )
        stopped = PendingWithdrawal(link.purposes or tuple(self.policy.purposes), subject=link.subject)
        return _delivery(message, sender_id, _NOBODY, stopped)

    def _pending(self, message: Message) -> PendingWithdrawal | None:
        """What a withdrawal stops in the very transaction that accepts it."""
        if message.type is not MessageType.WITHDRAWAL or message.email is None:
            return None
        tags = address_tags(self.keyring["index_pepper"], parse_address(message.email))
        return PendingWithdrawal(message.purposes or tuple(self.policy.purposes), tags=tags)


def _delivery(message: Message, sender_id: str | None, signed: Signed, stopped: PendingWithdrawal | None) -> Delivery:
    content, payload = format_both(message)
    return Delivery(
        message.source, content, payload, sender_id, signed.key_id, withdrawal=stopped, signed_at_ms=signed.at_ms
    )
