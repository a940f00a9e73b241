"""A form's submission, understood: who, which purposes, yes or no, and nothing else of what was sent."""

import re
from collections.abc import Mapping

from schemas.address import AddressRefused, parse_address
from schemas.dialects import ALWAYS_SENT, DIALECTS, OMITTED
from schemas.dialects.fields import Fields, text_of
from schemas.message import PROFILE_VALUE_SIZE_MAX, Decision, Dropped, Message, MessageType
from schemas.minimise import find_forbidden, forbidden_field_name, minimise
from schemas.policy import ConsentField, Form
from schemas.refusal import NotUnderstood

ENTRY_ID_SIZE_MAX = 100
_NUMBER = re.compile(r"[\d\s.-]{8,40}")


def understand_form(document: object, form: Form, sent_at_ms: int | None) -> Message:
    """The message of a submission. Raises NotUnderstood, and the delivery is parked.

    `sent_at_ms`: the time of a signature, where there is one; a form's own time field wins over it.
    """
    fields = DIALECTS[form.dialect].read(document)
    kept, dropped = _profile(fields, form)
    common = {
        "source": f"form:{form.key}",
        "email": _email(kept),
        "sent_at_ms": _sent_at_ms(fields, form, sent_at_ms),
        "language": form.language,
        "dropped": dropped,
    }
    if form.intent == "withdrawal":
        return Message(type=MessageType.WITHDRAWAL, purposes=form.purposes, **common)  # type: ignore[arg-type]
    profile = {name: value for name, value in kept.items() if name != "email" and value}
    decisions = tuple(
        Decision(purpose, state, form.notice)
        for consent in form.consent
        if (state := _decision(fields, consent, DIALECTS[form.dialect].unticked)) is not None
        for purpose in consent.purposes
    )
    return Message(type=MessageType.SIGN_UP, profile=profile, decisions=decisions, **common)  # type: ignore[arg-type]


def entry_id(document: object, form: Form) -> str | None:
    """The sender's own id of the submission, where the form has one. Raises NotUnderstood when it is missing and
    that matters.
    """
    if form.entry_id is None:
        return None
    value = text_of(DIALECTS[form.dialect].read(document), form.entry_id)
    if value and len(value) <= ENTRY_ID_SIZE_MAX and value.isprintable():
        return value
    if form.intent == "withdrawal":  # parked it would stop nothing; the same one twice does no harm
        return None
    raise NotUnderstood("entry_id_missing")


def _profile(fields: Fields, form: Form) -> tuple[dict[str, str], tuple[Dropped, ...]]:
    """Our closed list of fields, minimised. Everything else is left out; what of it was forbidden is noted as `other`,
    by its name, or by its value where that is a number and nothing else: browser versions look like anything.
    """
    wanted = {ours: text_of(fields, theirs).strip() for ours, theirs in form.fields.items() if theirs in fields}
    # An address is never cut: half of a long one can be the whole of another person's.
    cut = {ours: value if ours == "email" else value[:PROFILE_VALUE_SIZE_MAX] for ours, value in wanted.items()}
    # Who wants to stop must be able to name any address, also one that looks like an identity number.
    named = {"email": cut.pop("email")} if form.intent == "withdrawal" and "email" in cut else {}
    kept, removed = minimise(cut)
    kept |= named
    dropped = [Dropped(one.field, one.rule) for one in removed]
    for key in sorted(set(fields) - set(form.fields.values())):
        value = " ".join(fields[key])
        rule = (value and forbidden_field_name(key)) or (_NUMBER.fullmatch(value) and find_forbidden(value))
        if rule:
            dropped.append(Dropped("other", rule))
    return kept, tuple(dropped)


def _email(kept: Mapping[str, str]) -> str:
    if not kept.get("email"):
        raise NotUnderstood("email_missing")
    try:
        return parse_address(kept["email"]).verbatim
    except AddressRefused as refused:
        raise NotUnderstood(refused.reason) from None


def _sent_at_ms(fields: Fields, form: Form, signed_at_ms: int | None) -> int | None:
    """When the person said it, as far as the sender can be believed; see decision 0001, "Order"."""
    parse, text = DIALECTS[form.dialect].parse_time, text_of(fields, form.time_field or "")
    if form.intent != "withdrawal":
        return signed_at_ms if form.time_field is None else parse(text)
    # A signature tells when this attempt was sent, by a clock that may be minutes behind: dated back by it, a
    # withdrawal would lose against what it withdraws. A whole second counts to its end, for the same reason.
    try:
        return None if form.time_field is None else parse(text) // 1000 * 1000 + 999
    except NotUnderstood:  # parked it would stop nothing; without a trusted time it counts from now
        return None


def _decision(fields: Fields, consent: ConsentField, unticked: str) -> str | None:
    """Yes is one of the exact accepted values. Absent: see decision 0001, "Unticked"."""
    if consent.field in fields:
        return "given" if {*fields[consent.field]} & {*consent.accepted} else "refused"
    if unticked == ALWAYS_SENT:
        raise NotUnderstood("consent_field_missing")
    return "refused" if unticked == OMITTED else None
