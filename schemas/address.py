"""Addresses: when two e-mail addresses are the same person, and when they only may be."""

import re
import string
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from email_validator import ValidatedEmail, validate_email

from schemas.strict_json import SchemaRefused

ADDRESS_SIZE_MAX = 254  # RFC 5321 4.5.3.1.3: a path has 256 octets, two of them are the brackets

_ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
# RFC 5322 3.2.3, dot-atom: what the library takes as it is in a local part that is not quoted.
_ATEXT = r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+"
_DOT_ATOM = re.compile(rf"{_ATEXT}(?:\.{_ATEXT})*")
_GMAIL_DOMAINS = frozenset({"gmail.com", "googlemail.com"})


class AddressRefused(SchemaRefused):
    """The text is not an address of one person that we can tell from every other."""


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """`verbatim`: as given. `narrow`: the same mailbox for certain; may grant, reveal, erase. `wide`: perhaps
    the same person; may only stop.
    """

    verbatim: str
    narrow: str
    wide: str

    def __repr__(self) -> str:
        return f"Address({redact(self)})"


def parse_address(text: str) -> Address:
    """Strips surrounding ASCII white space only; display names, quoted and literal forms are refused.

    Raises AddressRefused: address_too_long, address_malformed, address_look_alike.
    """
    verbatim = text.strip(string.whitespace)
    if len(verbatim) > ADDRESS_SIZE_MAX:
        raise AddressRefused("address_too_long")
    local, _, domain = verbatim.rpartition("@")
    if verbatim.isascii() and _DOT_ATOM.fullmatch(local):
        return _plain_address(verbatim, local, _plain_domain(domain))
    validated = _validate(verbatim)
    if validated is None:
        raise AddressRefused("address_malformed")
    if _is_merged_local(local) or _is_merged_domain(domain, validated.domain):
        raise AddressRefused("address_look_alike")
    # Lower-casing can make a pair that composes (T + diaeresis does not, t + diaeresis does): NFC comes last.
    narrow_local = unicodedata.normalize("NFC", validated.local_part.translate(_ASCII_LOWER))
    narrow_domain = (validated.ascii_domain or "").lower()
    return Address(verbatim=verbatim, narrow=f"{narrow_local}@{narrow_domain}", wide=_wide(narrow_local, narrow_domain))


def _plain_address(verbatim: str, local: str, domain: str | None) -> Address:
    """As nearly every address is: ASCII, so it has one spelling, and of its domain the library was asked already."""
    if domain is None:
        raise AddressRefused("address_malformed")
    local = local.translate(_ASCII_LOWER)
    return Address(verbatim=verbatim, narrow=f"{local}@{domain}", wide=_wide(local, domain))


@lru_cache(maxsize=2048)
def _plain_domain(domain: str) -> str | None:
    validated = _validate(f"a@{domain}")
    return None if validated is None else (validated.ascii_domain or "").lower()


def is_role_mailbox(address: Address, local_parts: frozenset[str]) -> bool:
    """Exactly one of the listed local parts (lower case, such as `post`); everything else is a person."""
    return address.narrow.rpartition("@")[0] in local_parts


def mailbox_kind(address: Address, local_parts: frozenset[str]) -> str:
    """`role` or `person`. Marketing law asks nobody for the consent of a role (markedsføringsloven section 15)."""
    return "role" if is_role_mailbox(address, local_parts) else "person"


def redact(address: Address) -> str:
    """What an operator may see: `k***@e***.no`. A first letter that is not ASCII is not shown."""
    local, _, domain = address.narrow.rpartition("@")
    name, _, top_level = domain.rpartition(".")
    return f"{_initial(local)}***@{_initial(name)}***.{top_level}"


def _initial(text: str) -> str:
    return text[0] if text[:1].isascii() and text[:1].isalnum() else "*"


def _validate(text: str) -> ValidatedEmail | None:
    """None and not a chained error: the library's messages quote the address. `test_environment` lets
    `.test` through; no question is ever asked of the network.
    """
    try:
        return validate_email(
            text,
            check_deliverability=False,
            test_environment=True,
            allow_smtputf8=True,
            allow_quoted_local=False,
            allow_domain_literal=False,
            allow_display_name=False,
        )
    except ValueError:
        return None


def _is_merged_local(local: str) -> bool:
    """NFC turns some characters into plain ASCII (Kelvin sign into K): two mailboxes would become one."""
    return any(not letter.isascii() and unicodedata.normalize("NFC", letter).isascii() for letter in local)


def _is_merged_domain(given: str, validated: str) -> bool:
    """UTS 46 maps full-width letters, ideographic dots, ligatures and ignorable marks away.

    Case and NFC are the only changes that we call the same name; anything else goes to a human.
    """
    if given.isascii():
        return False
    given_labels, validated_labels = given.split("."), validated.split(".")
    if len(given_labels) != len(validated_labels):
        return True
    return any(
        _has_ascii_shadow(label) or _fold_label(label) != shown
        for label, shown in zip(given_labels, validated_labels, strict=True)
        if not label.isascii()
    )


def _has_ascii_shadow(label: str) -> bool:
    return any(
        not letter.isascii() and any(part.isascii() for part in unicodedata.normalize("NFKC", letter))
        for letter in label
    )


def _fold_label(label: str) -> str:
    # Letter by letter: str.lower() on a word turns a last capital sigma into another letter than UTS 46 does.
    return unicodedata.normalize("NFC", "".join(letter.lower() for letter in label))


def _wide(local: str, domain: str) -> str:
    base = local.partition("+")[0] or local
    if domain in _GMAIL_DOMAINS:  # Google ignores dots, and googlemail.com is the same mailbox
        base, domain = base.replace(".", ""), "gmail.com"
    return f"{unicodedata.normalize('NFC', base.casefold())}@{domain}"
