"""Whether senders do what they should: heard of, on time, with the newest secret, and complete where we can ask."""

from collections.abc import Iterator, Sequence

from sqlalchemy import select

from console.doctor.finding import FAULT, OK, WARNING, Finding, span
from console.operator import Operator, at
from ledger import senders
from ledger.tables import intake_position, unread_field
from ledger.versions import foreign_versions
from schemas.dialects import DIALECTS, OMITTED
from schemas.settings import form_secrets_name
from schemas.stripe.event import RELEASE
from schemas.stripe.shape import SOURCE as STRIPE
from schemas.understanding import FORM_PREFIX
from workers.context import now_ms

GMAIL = "gmail"
SKEW_MAX_MS = 60_000  # at 300 s a signature is refused (webhooks/signatures.py)
UNUSED_MS = FOREIGN_MS = 7 * senders.DAY_MS
CHECKED_LATE_MS = 26 * senders.HOUR_MS  # a source is asked for everything once a night
EXPIRING_MS = 48 * senders.HOUR_MS
NAMES_SHOWN = 5


def _secrets(operator: Operator, source: str) -> tuple[str, ...]:
    """Those that are live, newest first."""
    if source == STRIPE:
        return operator.settings.stripe_webhook_secrets
    return operator.settings.form_secrets.get(source.removeprefix(FORM_PREFIX), ())


def health(operator: Operator) -> Iterator[Finding]:
    """Whoever has delivered has a line; of whoever only could, nothing is wrong yet."""
    forms = operator.context.policy.forms.values()
    omitting = {FORM_PREFIX + form.key for form in forms if DIALECTS[form.dialect].unticked == OMITTED}
    with operator.context.database.read() as connection:
        for source in senders.sources_of(operator.context.policy):
            standing = senders.standing_of(connection, source)
            if standing is not None:
                yield from _standing(standing)
                yield from _silence(source, senders.silence_of(connection, source, now_ms()))
            # Other dialects park a form whose field was renamed; here it only looks like a no.
            if source in omitting:
                yield from _noes(source, senders.noes_in_a_row(connection, source))
        for source, count in senders.conflicts(connection).items():
            told = f"{count} parked whose id came before with other content"
            yield Finding(FAULT, "senders", f"{source}: {told}: flask deliveries list --source {source}")


def _standing(one: senders.Standing) -> Iterator[Finding]:
    last = span(now_ms() - one.received_at_ms)
    yield Finding(OK, "senders", f"{one.source}: last {last} ago, {one.parked} of the last {one.recent} parked")
    if one.skew_ms is not None and abs(one.skew_ms) > SKEW_MAX_MS:
        how = "ahead of" if one.skew_ms > 0 else "behind"
        told = f"its clock is {abs(one.skew_ms) // 1000} s {how} ours; beyond 300 s it is refused"
        yield Finding(WARNING, "senders", f"{one.source}: {told}")


def _silence(source: str, silence: senders.Silence | None) -> Iterator[Finding]:
    if silence is not None and silence.is_unusual:
        told = (
            f"silent for {span(silence.silent_ms)}; at most {span(silence.usual_ms)} before: does it still send here?"
        )
        yield Finding(FAULT, "senders", f"{source}: {told}")


def _noes(source: str, count: int | None) -> Iterator[Finding]:
    if count is not None:
        told = f"nobody said yes in its last {count} forms, though people did before: was a field renamed?"
        yield Finding(FAULT, "senders", f"{source}: {told}")


def rotation(operator: Operator) -> Iterator[Finding]:
    """Of sources with two secrets or more: which can be removed, and which is not at the sender yet."""
    with operator.context.database.read() as connection:
        for source in senders.sources_of(operator.context.policy):
            secrets = _secrets(operator, source)
            if len(secrets) > 1:
                yield from _rotation(_setting(source), secrets, senders.key_uses(connection, source))


def _setting(source: str) -> str:
    return "STRIPE_WEBHOOK_SECRETS" if source == STRIPE else form_secrets_name(source.removeprefix(FORM_PREFIX))


def _rotation(setting: str, secrets: Sequence[str], uses: senders.KeyUses) -> Iterator[Finding]:
    used = [uses.used_at_ms.get(senders.fingerprint(secret)) for secret in secrets]
    newest_used = next((place for place, at_ms in enumerate(used) if at_ms is not None), None)
    if newest_used is None:
        return
    if newest_used > 0:
        yield Finding(WARNING, "secrets", f"{setting}: the first, the newest, was never used: does the sender have it?")
    for place, at_ms in list(enumerate(used))[newest_used + 1 :]:
        # One that was not found may have been used just before the oldest delivery that was looked at.
        unused_ms = now_ms() - (at_ms or uses.since_ms or now_ms())
        if unused_ms > UNUSED_MS:
            told = f"number {place + 1} was not used for {span(unused_ms)}, and a newer one is: remove it"
            yield Finding(WARNING, "secrets", f"{setting}: {told}")


def intake(operator: Operator) -> Iterator[Finding]:
    """Of sources that are asked: until when nothing is missing."""
    with operator.context.database.read() as connection:
        rows = connection.execute(select(intake_position).order_by(intake_position.c.source)).all()
    for row in rows:
        checked = f"missing = 0 as of {at(row.checked_at_ms)}"
        if now_ms() - row.checked_at_ms > CHECKED_LATE_MS:
            yield Finding(FAULT, "intake", f"{row.source}: {checked}, and not asked since: is the intake running?")
        else:
            yield Finding(OK, "intake", f"{row.source}: {checked}; {row.found} came only because we asked")
        if row.expires_at_ms is not None and row.expires_at_ms - now_ms() < EXPIRING_MS:
            told = f"its subscription ends at {at(row.expires_at_ms)} and was not renewed"
            yield Finding(FAULT, "intake", f"{row.source}: {told}")
    settings = operator.settings
    for source, is_set in ((STRIPE, settings.stripe_api_key), (GMAIL, settings.gmail_mailbox)):
        if is_set and source not in {row.source for row in rows}:
            yield Finding(WARNING, "intake", f"{source}: never asked: is the intake running?")


def versions(operator: Operator) -> Iterator[Finding]:
    """Events that speak a version whose description was not read here are read all the same; they may say it anew."""
    with operator.context.database.read() as connection:
        spoken = foreign_versions(connection, now_ms() - FOREIGN_MS)
    for version in spoken:
        told = f"its events speak version {version}, this release was written for {RELEASE}: set the endpoint's version"
        yield Finding(WARNING, "senders", f"{STRIPE}: {told}")


def unread(operator: Operator) -> Iterator[Finding]:
    """What is sent and never read should not be sent; or it is a field that was renamed."""
    newest = select(unread_field).order_by(unread_field.c.source, unread_field.c.seen_at_ms.desc(), unread_field.c.name)
    names: dict[str, list[str]] = {}
    with operator.context.database.read() as connection:
        for row in connection.execute(newest):
            names.setdefault(row.source, []).append(row.name)
    for source, found in names.items():
        shown = ", ".join(found[:NAMES_SHOWN]) + (", …" if len(found) > NAMES_SHOWN else "")
        yield Finding(WARNING, "fields", f"{source} sends {len(found)} fields that nobody reads: {shown}")
