"""The rules between the sections of policy.toml: each finding with its path, silent where a shape is already wrong."""

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
    for key, form in found.get("forms", {}).items():
        yield from _form_findings(f"forms.{key}", form, found)
    stripe = found.get("stripe", {})
    yield from _grant_findings("stripe.consent", stripe.get("consent", []), found)
    for position, grant in enumerate(stripe.get("consent", [])):
        yield from _not_in("notices", [grant.get("notice")], found, f"stripe.consent.{position}.notice")
        if grant.get("kind") == "metadata" and grant.get("key") not in stripe.get("metadata_keys", [grant.get("key")]):
            yield f"stripe.consent.{position}.key", "is not one of stripe.metadata_keys, so it would be dropped"


def _not_in(section: str, names: Iterable[str | None], found: Document, path: str) -> Iterator[Finding]:
    if section in found and not {*names} - {None} <= {*found[section]}:
        yield path, f"names something that is not in [{section}]"


def _form_findings(path: str, form: Document, found: Document) -> Iterator[Finding]:
    grants, purposes = form.get("consent"), form.get("purposes", [])
    covered = {purpose for grant in grants or [] for purpose in grant.get("purposes", purposes)}
    if form.get("intent") == "consent" and grants == []:
        yield f"{path}.consent", "missing"
    if form.get("intent") == "consent" and grants and purposes and {*purposes} != covered:
        yield f"{path}.purposes", "must be what the consent fields cover, or be left out"
    if form.get("intent") == "withdrawal" and grants:
        yield f"{path}.consent", "a withdrawal form has no consent fields"
    dialect = DIALECTS.get(form.get("dialect", ""))
    time_field = form.get("time_field")
    if dialect and time_field and dialect.time_fields is not None and time_field not in dialect.time_fields:
        yield f"{path}.time_field", "is not a time in UTC in this dialect"
    if dialect and dialect.scheme != SECRET and form.get("secret_header"):
        yield f"{path}.secret_header", "this dialect is signed and has no secret header"
    yield from _not_in("purposes", purposes, found, f"{path}.purposes")
    yield from _not_in("notices", [form.get("notice")], found, f"{path}.notice")
    sent = [key for key, sender_key in form.get("fields", {}).items() if sender_key]
    yield from _not_in("personal_data", sent, found, f"{path}.fields")
    yield from _grant_findings(f"{path}.consent", grants or [], found)


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
