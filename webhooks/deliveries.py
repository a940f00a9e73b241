"""From a verified body to a row of the inbox: understood and minimised, or scrubbed and parked."""

from ledger.identity import address_tags
from ledger.inbox import Delivery, PendingWithdrawal
from schemas.address import parse_address
from schemas.message import Message, MessageType, comparable, format_message
from schemas.refusal import NotUnderstood
from schemas.understanding import comparable_parked, format_parked, read_sender_id, understand
from webhooks.door import Door
from webhooks.signatures import Signed


def delivery_of(door: Door, source: str, document: object, signed: Signed) -> Delivery:
    try:
        understood = understand(door.policy, source, document, signed.at_ms, door.settings.stripe_mode)
    except NotUnderstood as refused:
        return Delivery(
            source,
            comparable_parked(document),
            format_parked(document, signed.at_ms),
            read_sender_id(door.policy, source, document) or signed.message_id,
            signed.key_id,
            parked_reason=refused.reason,
        )
    message = understood.message
    return Delivery(
        source,
        comparable(message),
        format_message(message),
        understood.sender_id or signed.message_id,
        signed.key_id,
        withdrawal=_pending(door, message),
    )


def _pending(door: Door, message: Message) -> PendingWithdrawal | None:
    """What a withdrawal stops in the very transaction that accepts it."""
    if message.type is not MessageType.WITHDRAWAL or message.email is None:
        return None
    tags = address_tags(door.keyring["index_pepper"], parse_address(message.email))
    return PendingWithdrawal(message.purposes or tuple(door.policy.purposes), tags=tags)
