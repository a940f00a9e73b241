"""The privacy policy as data: policy.toml, loaded once, whole or not at all, and never changed afterwards."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from schemas.policy_forms import SECRET_HEADER as SECRET_HEADER
from schemas.policy_forms import Choice as Choice
from schemas.policy_forms import ConsentField as ConsentField
from schemas.policy_forms import Form as Form
from schemas.policy_forms import make_form
from schemas.policy_rules import Document
from schemas.policy_schema import check_document
from schemas.policy_terms import Deadlines as Deadlines
from schemas.policy_terms import Fact as Fact
from schemas.policy_terms import Retention as Retention
from schemas.policy_terms import Rights as Rights
from schemas.policy_terms import Text as Text

Made = TypeVar("Made")


class PolicyError(Exception):
    """policy.toml cannot be used. `errors` holds every (path, message); the text lists them one per line."""

    reason = "policy_invalid"

    def __init__(self, errors: tuple[tuple[str, str], ...]) -> None:
        super().__init__("\n".join(f"{path}: {message}" for path, message in errors))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Controller:
    name: str
    country: str  # ISO 3166-1 alpha-2
    postal_address: str | None
    contact_url: str
    email: str | None


@dataclass(frozen=True, slots=True)
class Authority:
    name: str
    url: str
    dpv: str


@dataclass(frozen=True, slots=True)
class Purpose:
    key: str
    name: Text
    description: Text
    dpv: str
    legal_basis: str
    double_opt_in: bool
    reminder_months: int | None  # after so long the person is reminded, once; it never ends a consent


@dataclass(frozen=True, slots=True)
class PersonalDataField:
    key: str
    name: Text
    dpv: str
    required: bool


@dataclass(frozen=True, slots=True)
class Residual:
    """What a processor still holds after an erasure: at most `days`, or None where none is published."""

    what: Text
    days: int | None
    source: str
    formula: str


@dataclass(frozen=True, slots=True)
class Processor:
    key: str
    name: str
    role: str
    region: str
    holds: tuple[str, ...]
    dpa_url: str | None
    reviewed_at: str | None  # YYYY-MM-DD: when somebody last looked at its terms
    contact_url: str | None  # where a person reaches it about their data
    actions: tuple[str, ...]
    residual: tuple[Residual, ...]
    groups: Mapping[str, str]  # purpose -> Google group


@dataclass(frozen=True, slots=True)
class Product:
    """What a payment gives access to: a role on the WordPress site, or a product that WooCommerce then delivers."""

    key: str
    name: Text
    stripe_prices: tuple[str, ...]
    stripe_payment_links: tuple[str, ...]
    role: str | None
    woocommerce_product: int | None


@dataclass(frozen=True, slots=True)
class Notice:
    """A version of the privacy text; without a confirmed hash the notice of a consent is `unknown`."""

    key: str
    published_at: str  # YYYY-MM-DD
    url: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class StripeConsent:
    kind: str
    key: str
    accepted: tuple[str, ...]
    purposes: tuple[str, ...]
    notice: str | None


@dataclass(frozen=True, slots=True)
class StripeSource:
    consent: tuple[StripeConsent, ...]
    metadata_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    version: str
    controller: Controller
    authority: Authority
    purposes: Mapping[str, Purpose]
    personal_data: Mapping[str, PersonalDataField]
    processors: Mapping[str, Processor]
    notices: Mapping[str, Notice]
    forms: Mapping[str, Form]
    stripe: StripeSource
    products: Mapping[str, Product]
    profile: Mapping[str, Fact]
    rights: Rights
    role_mailboxes: frozenset[str]
    retention: Retention
    deadlines: Deadlines


def load_policy(path: Path) -> Policy:
    """Read, check and freeze a policy file (TOML 1.0, UTF-8); raises PolicyError with every finding."""
    try:
        # utf-8-sig: Windows' Notepad may put a byte order mark first, which TOML does not know.
        document = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError:
        raise PolicyError((("file", "cannot be read"),)) from None
    except UnicodeDecodeError:
        raise PolicyError((("file", "is not UTF-8 text"),)) from None
    except tomllib.TOMLDecodeError as error:
        raise PolicyError((("file", f"is not TOML: {error}"),)) from None
    found, errors = check_document(document)
    if errors:
        raise PolicyError(errors)
    return _policy(found)


def _policy(found: Document) -> Policy:
    stripe = found.get("stripe", {"consent": [], "metadata_keys": []})
    return Policy(
        version=found["version"],
        controller=Controller(**found["controller"]),
        authority=Authority(**found["authority"]),
        purposes=_keyed(Purpose, found["purposes"]),
        personal_data=_keyed(PersonalDataField, found["personal_data"]),
        processors=_keyed(_processor, found["processors"]),
        notices=_keyed(Notice, found["notices"]),
        forms=_keyed(partial(make_form, tuple(found["purposes"])), found["forms"]),
        stripe=StripeSource(
            consent=tuple(StripeConsent(**_frozen(grant)) for grant in stripe["consent"]),
            metadata_keys=tuple(stripe["metadata_keys"]),
        ),
        products=_keyed(Product, found.get("products", {})),
        profile=_keyed(_fact, found.get("profile", {})),
        rights=Rights(**_frozen(found.get("rights", {}))),
        role_mailboxes=frozenset(found["role_mailboxes"]),
        retention=Retention(**_written(found.get("retention", {}))),
        deadlines=Deadlines(**_written(found.get("deadlines", {}))),
    )


def _keyed(make: Callable[..., Made], table: Document) -> Mapping[str, Made]:
    return MappingProxyType({key: make(key=key, **_frozen(members)) for key, members in table.items()})


def _frozen(members: Document) -> Document:
    """Lists become tuples, words in two languages a Text, and a date YYYY-MM-DD."""
    frozen = dict(members)
    for name, value in members.items():
        if isinstance(value, list):
            frozen[name] = tuple(value)
        elif isinstance(value, dict) and name in ("name", "description", "what"):
            frozen[name] = Text(**value)
        elif isinstance(value, date):
            frozen[name] = f"{value:%Y-%m-%d}"
    return frozen


def _written(members: Document) -> Document:
    return {name: value for name, value in members.items() if value is not None}


def _fact(**members: Any) -> Fact:
    values = MappingProxyType({key: Text(**words) for key, words in members["values"].items()})
    return Fact(**members | {"values": values})


def _processor(**members: Any) -> Processor:
    residual = tuple(Residual(**_frozen(item)) for item in members["residual"])
    return Processor(**members | {"residual": residual, "groups": MappingProxyType(members.get("groups", {}))})
