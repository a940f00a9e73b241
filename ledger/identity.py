"""Keyed tags of addresses: how a person is found without an address standing in the database."""

from dataclasses import dataclass

from ledger.keyring import Key
from ledger.sealing import tag
from schemas.address import Address


@dataclass(frozen=True, slots=True)
class AddressTags:
    """`narrow` finds one mailbox (grants); `wide` also its other spellings (withdrawals)."""

    narrow: bytes
    wide: bytes


def address_tags(pepper: Key, address: Address) -> AddressTags:
    return AddressTags(tag(pepper.value, "narrow", address.narrow), tag(pepper.value, "wide", address.wide))


def suppression_tag(key: Key, address: Address) -> bytes:
    """Under a key of its own: nothing connects a suppression with the tags of a subject."""
    return tag(key.value, "suppression", address.wide)
