"""Keyed tags of addresses: how a person is found without an address standing in the database."""

from dataclasses import dataclass

from ledger.keyring import Key
from ledger.sealing import tag
from schemas.address import Address


@dataclass(frozen=True, slots=True)
class AddressTags:
    """`narrow` finds one mailbox (grants); `wide` also its other spellings (withdrawals).

    Under the key's current version; `older`: the same under the versions that rows may still have.
    """

    narrow: bytes
    wide: bytes
    key_version: int = 1
    older: tuple["AddressTags", ...] = ()

    @property
    def narrows(self) -> list[bytes]:
        return [self.narrow, *(tags.narrow for tags in self.older)]

    @property
    def wides(self) -> list[bytes]:
        return [self.wide, *(tags.wide for tags in self.older)]


def address_tags(pepper: Key, address: Address) -> AddressTags:
    older = tuple(_tags(pepper, version, address) for version in other_versions(pepper))
    return _tags(pepper, pepper.current, address, older)


def _tags(pepper: Key, version: int, address: Address, older: tuple[AddressTags, ...] = ()) -> AddressTags:
    value = pepper.versions[version]
    return AddressTags(tag(value, "narrow", address.narrow), tag(value, "wide", address.wide), version, older)


def suppression_tags(key: Key, address: Address) -> list[tuple[int, bytes]]:
    """(key version, tag), the current one first. Under a key of its own: nothing connects it with a subject's tags."""
    versions = [key.current, *other_versions(key)]
    return [(version, tag(key.versions[version], "suppression", address.wide)) for version in versions]


def other_versions(key: Key) -> list[int]:
    """Every live version but the current one, newest first."""
    return sorted(set(key.versions) - {key.current}, reverse=True)
