"""What policy.toml may say: the marshmallow schemas, the rules between sections, each error with its path."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from marshmallow import Schema, ValidationError, fields, missing, validate

from schemas.dialects import DIALECTS
from schemas.entry import RIGHTS
from schemas.policy_rules import Document, Finding, policy_findings

Members = dict[str, fields.Field[Any]]
Messages = dict[str, str | list[Any] | dict[Any, Any]]

INTENTS = ("consent", "withdrawal", "request")
# What a processor may be told to do. "restrict" and "product_access" stand for their undoing too.
ACTIONS = ("give", "withdraw", "rectify", "restrict", "erase", "export", "product_access")
PERSONAL_DATA = ("email", "first_name", "last_name", "company")

_TEXT: Messages = {"required": "missing", "invalid": "must be text in quotes"}
_TABLE: Messages = {"required": "missing", "type": "must be a table", "invalid": "must be a table"}
_DATE = _TEXT | {"invalid": "must be a date such as 2026-11-23"}
_LINE = ("must be 1 to 500 characters on one line, with no space at the ends", r"\S(.{0,498}\S)?")
_KEY = ("must be 1 to 60 of a-z, 0-9 and -", r"[a-z0-9-]{1,60}")
_URL = ("must be an address that begins with https://", r"https://[^\s/@]+(/\S*)?")
_MAILBOX = ("must be an e-mail address", r"[^\s@]{1,64}@[^\s@]+\.[^\s@.]+")
_HOST = ("must be a host such as www.example.no", r"[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]{1,5})?")
_TERM = ("must be a vocabulary term such as dpv:Marketing", r"[a-z-]+:[A-Za-z0-9-]+")
# What form plugins send for an unticked box, and plain ways of saying no: none of them can be a yes.
_YES = ("must not be empty or a way of saying no", r"(?!(?i:0|false|no|nei|off|not checked)\Z)\S(.{0,498}\S)?")


def _line(says: str = _LINE[0], pattern: str = _LINE[1], *, required: bool = True) -> fields.String:
    """One line of text; `says` is the error when the whole of it does not match `pattern`."""
    check = validate.Regexp(rf"\A(?:{pattern})\Z", error=says)
    default = missing if required else None
    return fields.String(required=required, load_default=default, validate=check, error_messages=_TEXT)


def _one_of(*choices: str, required: bool = True) -> fields.String:
    return _line("must be one of: " + ", ".join(choices), "|".join(map(re.escape, choices)), required=required)


def _count(most: int = 9999) -> fields.Integer:
    says = f"must be a whole number from 1 to {most}"
    check = validate.Range(1, most, error=says)
    return fields.Integer(strict=True, load_default=None, validate=check, error_messages={"invalid": says})


def _no_repeats(values: Sequence[object]) -> None:
    if any(value in values[:position] for position, value in enumerate(values)):
        raise ValidationError("repeats a value")


def _list(of: fields.Field[Any], *, least: int = 0) -> fields.List[Any]:
    """A list without repeats. With `least` 0 it may be left out, and is then empty."""
    checks: list[Callable[[Any], Any]] = [
        validate.Length(least, 100, error=f"must have {least} to 100 values"),
        _no_repeats,
    ]
    messages: Messages = {"required": "missing", "invalid": "must be a list"}
    default = missing if least else list
    return fields.List(of, required=least > 0, load_default=default, validate=checks, error_messages=messages)


class _Switch(fields.Boolean):
    """true or false, and nothing that merely looks like it (marshmallow would take 1 and "yes")."""

    default_error_messages = _TEXT

    def _deserialize(self, value: Any, *arguments: Any, **keywords: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("must be true or false")
        return value


class _Keyed(fields.Dict):
    """A table whose keys the writer chooses; marshmallow's `key` and `value` levels leave the error paths."""

    def _deserialize(self, *arguments: Any, **keywords: Any) -> Any:
        try:
            return super()._deserialize(*arguments, **keywords)  # type: ignore[no-untyped-call]
        except ValidationError as error:
            if not isinstance(error.messages, dict):
                raise
            found = {key: list(levels.values()) for key, levels in error.messages.items()}
            raise ValidationError(found, valid_data=error.valid_data) from None


class _Strict(Schema):
    error_messages = {"unknown": "unknown key", "type": "must be a table"}


def _table(members: Members, *, required: bool = True) -> fields.Nested:
    return fields.Nested(_Strict.from_dict(members), required=required, error_messages=_TABLE)


def _keyed(values: fields.Field[Any], *, required: bool = True) -> _Keyed:
    return _Keyed(_line(*_KEY), values, required=required, error_messages=_TABLE)


def _words() -> fields.Nested:
    return _table({"nb": _line(), "en": _line()})


_CONTROLLER: Members = {
    "name": _line(),
    "country": _line("must be two capital letters (ISO 3166-1)", "[A-Z]{2}"),
    "postal_address": _line(required=False),
    "contact_url": _line(*_URL),
    "email": _line(*_MAILBOX, required=False),
}
_PURPOSE: Members = {
    "name": _words(),
    "description": _words(),
    "dpv": _line(*_TERM),
    "legal_basis": _line(*_TERM),
    "double_opt_in": _Switch(required=True),
    "reminder_months": _count(120),
}
_DATA_FIELD: Members = {"name": _words(), "dpv": _line(*_TERM), "required": _Switch(required=True)}
_RESIDUAL: Members = {"what": _words(), "days": _count(), "source": _line(*_URL), "formula": _line()}
_PROCESSOR: Members = {
    "name": _line(),
    "role": _line(),
    "region": _line(),
    "holds": _list(_one_of(*PERSONAL_DATA)),
    "dpa_url": _line(*_URL, required=False),
    "contact_url": _line(*_URL, required=False),
    "reviewed_at": fields.Date(load_default=None, error_messages=_DATE),
    "actions": _list(_one_of(*ACTIONS)),
    "residual": _list(_table(_RESIDUAL)),
}
_NOTICE: Members = {
    "published_at": fields.Date(required=True, error_messages=_DATE),
    "url": _line(*_URL),
    "sha256": _line("must be 64 of 0-9 and a-f", "[0-9a-f]{64}", required=False),
}
_GRANT: Members = {"accepted": _list(_line(*_YES), least=1), "purposes": _list(_line(*_KEY), least=1)}
_CHOICE: Members = {
    "accepted": _list(_line(), least=1),
    "intent": _one_of(*INTENTS),
    "right": _one_of(*RIGHTS, required=False),
    "purposes": _list(_line(*_KEY)),
}
_FORM: Members = {
    "dialect": _one_of(*DIALECTS),
    "intent": _one_of(*INTENTS, required=False),
    "right": _one_of(*RIGHTS, required=False),
    "intent_field": _line(required=False),
    "choice": _list(_table(_CHOICE)),
    "topics": _list(_line()),
    "purposes": _list(_line(*_KEY)),
    "fields": _table({key: _line(required=key == "email") for key in PERSONAL_DATA}),
    "consent": _list(_table({"field": _line()} | _GRANT)),
    "facts": _keyed(_line(), required=False),
    "entry_id": _line(required=False),
    "time_field": _line(required=False),
    "notice": _line(*_KEY, required=False),
    "secret_header": _line("must be the name of a header", "[A-Za-z][A-Za-z0-9-]{0,59}", required=False),
    "sites": _list(_line(*_HOST)),
    "language": _one_of("nb", "en", required=False),
}
_STRIPE_CONSENT: Members = {"kind": _one_of("custom_field", "metadata"), "key": _line(), "notice": _FORM["notice"]}
_STRIPE: Members = {"consent": _list(_table(_STRIPE_CONSENT | _GRANT)), "metadata_keys": _list(_line())}
_PRODUCT: Members = {
    "name": _words(),
    "stripe_prices": _list(_line("must be the id of a price", "price_[A-Za-z0-9]{1,60}")),
    "stripe_payment_links": _list(_line("must be the id of a payment link", "plink_[A-Za-z0-9]{1,60}")),
    "role": _line("must be the name of a WordPress role", "[a-z0-9_-]{1,60}", required=False),
    "woocommerce_product": _count(most=2**53),
}
_FACT: Members = {"name": _words(), "values": _keyed(_words())}
_RIGHTS: Members = {"by_operator": _list(_one_of(*RIGHTS))}
_RETENTION = ("unconfirmed_request_days", "parked_days", "proof_years", "bookkeeping_years", "answer_days")
_DEADLINES = ("rights_request_months", "extension_months", "withdrawal_relay_hours", "manual_task_days", "breach_hours")
_POLICY: Members = {
    "version": _line(),
    "controller": _table(_CONTROLLER),
    "authority": _table({"name": _line(), "url": _line(*_URL), "dpv": _line(*_TERM)}),
    "purposes": _keyed(_table(_PURPOSE)),
    "personal_data": _table({key: _table(_DATA_FIELD, required=key == "email") for key in PERSONAL_DATA}),
    "processors": _table(
        {
            "wordpress": _table(_PROCESSOR, required=False),
            "stripe": _table(_PROCESSOR, required=False),
            "google": _table(_PROCESSOR | {"groups": _keyed(_line(*_MAILBOX))}, required=False),
        }
    ),
    "notices": _keyed(_table(_NOTICE)),
    "forms": _keyed(_table(_FORM)),
    "stripe": _table(_STRIPE, required=False),
    "products": _keyed(_table(_PRODUCT), required=False),
    "profile": _keyed(_table(_FACT), required=False),
    "rights": _table(_RIGHTS, required=False),
    "role_mailboxes": _list(_line("must be what stands before @, in lower case", "[a-z0-9._+-]{1,64}")),
    "retention": _table({key: _count() for key in _RETENTION}, required=False),
    "deadlines": _table({key: _count() for key in _DEADLINES}, required=False),
}


def check_document(document: Mapping[str, Any]) -> tuple[Document, tuple[Finding, ...]]:
    """The typed document and every finding, sorted by path; the document is whole only without findings."""
    messages: Any = {}
    try:
        found = _Strict.from_dict(_POLICY)().load(document)
    except ValidationError as error:
        found, messages = error.valid_data or {}, error.messages
    return found, tuple(sorted({*_flatten(messages), *policy_findings(found)}))


def _flatten(messages: Any, path: tuple[str, ...] = ()) -> Iterator[Finding]:
    """marshmallow's nested messages as (path, message); a list may hold texts and, from `_Keyed`, more levels."""
    if isinstance(messages, str):
        yield ".".join(path), messages
        return
    levels = messages.items() if isinstance(messages, Mapping) else (("_schema", inner) for inner in messages)
    for key, inner in levels:
        yield from _flatten(inner, path if key == "_schema" else (*path, str(key)))
