"""The rules between the sections of policy.toml: each finding with its path, silent where a shape is already wrong."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from schemas.dialects import DIALECTS, SECRET

Finding = tuple[str, str]  # (path, what is wrong there)
Document = dict[str, Any]
PROFILING = "profiling"


def policy_findings(found: Document) -> Iterator[Finding]:
    """What the sections say against each other; see the module."""
    if found.get("personal_data", {}).get("email", {}).get("required") is False:
        yield "personal_data.email.required", "must be true, for the address tells who it is"
    groups = found.get("processors", {}).get("google", {}).get("groups", {})
    yield from _not_in("purposes", groups, found, "processors.google.groups")
    if len({address.casefold() for address in groups.values()}) < len(groups):
        # Leaving a shared group would withdraw the other purpose too.
        yield "processors.google.groups", "two purposes share a group"
    if found.get("profile") and PROFILING not in found.get("purposes", {PROFILING: {}}):
        yield "profile", "needs the purpose profiling, or nobody could agree to it"
    for key, product in found.get("products", {}).items():
        yield from _product_findings(f"products.{key}", product, found)
    for key, form in found.get("forms", {}).items():
        yield from _form_findings(f"forms.{key}", form, found)
    stripe = found.get("stripe", {})
    yield from _grant_findings("stripe.consent", stripe.get("consent", []), found)
    for position, grant in enumerate(stripe.get("consent", [])):
        yield from _not_in("notices", [grant.get("notice")], found, f"stripe.consent.{position}.notice")
        if grant.get("kind") == "metadata" and grant.get("key") not in stripe.get("metadata_keys", [grant.get("key")]):
            yield f"stripe.consent.{position}.key", "is not one of stripe.metadata_keys, so it would be dropped"


def _product_findings(path: str, product: Document, found: Document) -> Iterator[Finding]:
    if not any("product_access" in (one or {}).get("actions", []) for one in found.get("processors", {}).values()):
        yield path, "needs a processor with product_access among its actions, or nobody gives it"
    if product.get("stripe_prices") == product.get("stripe_payment_links") == []:
        yield path, "needs stripe_prices or stripe_payment_links, or nothing grants it"
    if product.keys() >= {"role", "woocommerce_product"} and (
        (product["role"] is None) == (product["woocommerce_product"] is None)
    ):
        yield path, "needs either role or woocommerce_product"


def _not_in(section: str, names: Iterable[str | None], found: Document, path: str) -> Iterator[Finding]:
    if section in found and not {*names} - {None} <= {*found[section]}:
        yield path, f"names something that is not in [{section}]"


def _form_findings(path: str, form: Document, found: Document) -> Iterator[Finding]:
    grants, purposes = form.get("consent"), form.get("purposes", [])
    covered = {purpose for grant in grants or [] for purpose in grant.get("purposes", purposes)}
    intents = {form.get("intent")} | {choice.get("intent") for choice in form.get("choice", [])}
    if "consent" in intents and grants == []:
        yield f"{path}.consent", "missing"
    if "consent" in intents and grants and purposes and {*purposes} != covered:
        yield f"{path}.purposes", "must be what the consent fields cover, or be left out"
    if grants and {*intents} - {None} and "consent" not in intents:
        yield f"{path}.consent", "belongs to the intent `consent` only"
    yield from _intent_findings(path, form, found)
    yield from _dialect_findings(path, form)
    yield from _not_in("purposes", purposes, found, f"{path}.purposes")
    yield from _not_in("notices", [form.get("notice")], found, f"{path}.notice")
    sent = [key for key, sender_key in form.get("fields", {}).items() if sender_key]
    yield from _not_in("personal_data", sent, found, f"{path}.fields")
    yield from _grant_findings(f"{path}.consent", grants or [], found)
    if form.get("facts") and not {*form["facts"]} <= {*found.get("profile", {})}:
        yield f"{path}.facts", "names something that is not in [profile]"
    if form.get("facts") and PROFILING not in covered:
        yield f"{path}.facts", "needs a consent field for profiling in the same form"


def _intent_findings(path: str, form: Document, found: Document) -> Iterator[Finding]:
    """What a form says is fixed, or mapped from the exact values of a field; a request says which right."""
    choices = form.get("choice")
    if form.keys() >= {"intent", "intent_field", "choice"}:
        if form["intent"] is None and form["intent_field"] is None and not choices:
            yield f"{path}.intent", "missing"
        if form["intent"] and (form["intent_field"] or choices):
            yield f"{path}.intent", "is either fixed or chosen by intent_field"
        elif (form["intent_field"] is None) != (choices == []):
            yield f"{path}.intent_field", "needs [[choice]], and [[choice]] needs it"
    yield from _right_findings(path, form)
    for position, choice in enumerate(choices or []):
        here = f"{path}.choice.{position}"
        yield from _right_findings(here, choice)
        yield from _not_in("purposes", choice.get("purposes", []), found, f"{here}.purposes")
        if choice.get("purposes") and choice.get("intent", "withdrawal") != "withdrawal":
            yield f"{here}.purposes", "belongs to the intent `withdrawal` only"
        if any({*choice.get("accepted", [])} & {*one.get("accepted", [])} for one in (choices or [])[:position]):
            yield f"{here}.accepted", "repeats a value of an earlier choice"


def _right_findings(path: str, said: Document) -> Iterator[Finding]:
    if said.keys() >= {"intent", "right"} and (said["intent"] == "request") != (said["right"] is not None):
        yield f"{path}.right", "must be there for the intent `request`, and for no other"


def _dialect_findings(path: str, form: Document) -> Iterator[Finding]:
    """What a plugin cannot say."""
    dialect = DIALECTS.get(form.get("dialect", ""))
    if dialect is None:
        return
    time_field = form.get("time_field")
    if time_field and dialect.time_fields is not None and time_field not in dialect.time_fields:
        yield f"{path}.time_field", "is not a time in UTC in this dialect"
    if form.get("secret_header") and dialect.scheme != SECRET:
        yield f"{path}.secret_header", "this dialect is signed and has no secret header"
    if form.get("sites") and dialect.site_header is None:
        yield f"{path}.sites", "this dialect does not say which site it sends from"
    if form.get("topics") and dialect.topic is None:
        yield f"{path}.topics", "this dialect has no topics"
    for position, grant in enumerate(form.get("consent") or []):
        for name in (grant.get("field", ""), *grant.get("accepted", [])):
            if re.fullmatch(dialect.never_consent, name):
                yield f"{path}.consent.{position}", "is always ticked in this dialect, so it is no consent"


def _grant_findings(path: str, grants: list[Document], found: Document) -> Iterator[Finding]:
    """Consent fields of a form or of Stripe: what each covers, and that no single answer covers too much."""
    for position, grant in enumerate(grants):
        here, purposes = f"{path}.{position}", grant.get("purposes", [])
        yield from _not_in("purposes", purposes, found, f"{here}.purposes")
        # Consent is asked for each purpose separately (EDPB guidelines 05/2020, 3.1.3).
        if PROFILING in purposes and len(purposes) > 1:
            yield f"{here}.purposes", "profiling needs a consent field of its own"
        for earlier in grants[:position]:
            same = all(grant.get(name) == earlier.get(name) for name in ("field", "kind", "key"))
            if same and {*grant.get("accepted", [])} & {*earlier.get("accepted", [])}:
                yield f"{here}.accepted", "repeats a value of an earlier consent field with the same name"
