"""A form's submission, understood: who, what was said, which purposes, yes or no, and nothing else of what was sent."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from schemas.address import AddressRefused, parse_address
from schemas.dialects import ALWAYS_SENT, DIALECTS, OMITTED, Dialect
from schemas.dialects.fields import Fields, text_of
from schemas.dialects.rest import rest_of
from schemas.message import PROFILE_VALUE_SIZE_MAX, Decision, Dropped, Message, MessageType
from schemas.minimise import minimise
from schemas.policy import Choice, Fact, Form
from schemas.refusal import NotUnderstood

ENTRY_ID_SIZE_MAX = 100
CONSENT, WITHDRAWAL, REQUEST = "consent", "withdrawal", "request"


def understand_form(
    fields: Fields, form: Form, sent_at_ms: int | None, profile: Mapping[str, Fact] = MappingProxyType({})
) -> Message:
    """The message of a submission. Raises NotUnderstood, and the delivery is parked.

    `profile`: what people may tell. `sent_at_ms`: the time of a signature, where there is one; a form's own time field
    wins over it.
    """
    dialect, source = DIALECTS[form.dialect], f"form:{form.key}"
    if not _is_heard(fields, form, dialect):
        return Message(type=MessageType.IGNORED, source=source)
    said = _said(fields, form, dialect)
    kept, dropped = _profile(fields, form, said.intent)
    facts, unlisted = _facts(fields, form, dialect, profile) if said.intent == CONSENT else ({}, ())
    rest, unread = rest_of(fields, {name for name in _names(form, dialect) if name}, dialect)
    common = {
        "source": source,
        "email": _email(kept),
        "language": form.language,
        "dropped": dropped + unlisted + rest,
        "unread": unread,
    }
    if said.intent == WITHDRAWAL:
        at_ms = _withdrawn_at_ms(fields, form, dialect)
        return Message(type=MessageType.WITHDRAWAL, purposes=said.purposes, sent_at_ms=at_ms, **common)  # type: ignore[arg-type]
    if said.intent == REQUEST:  # answered from its arrival; who asks is proved by the mailed link, not by a profile
        return Message(type=MessageType.REQUEST, right=said.right, **common)  # type: ignore[arg-type]
    return Message(
        type=MessageType.SIGN_UP,
        profile={name: value for name, value in kept.items() if name != "email" and value},
        decisions=tuple(_decisions(fields, form, dialect)),
        facts=facts or None,
        sent_at_ms=sent_at_ms if form.time_field is None else dialect.parse_time(text_of(fields, form.time_field)),
        **common,  # type: ignore[arg-type]
    )


def entry_id(fields: Fields, form: Form) -> str | None:
    """The sender's own id of the submission, or None. Raises NotUnderstood when the form names a field for it, it is
    missing there and that matters: two people without an id could be taken for one.
    """
    value = text_of(fields, form.entry_id or DIALECTS[form.dialect].entry_id)
    if value and len(value) <= ENTRY_ID_SIZE_MAX and value.isprintable():
        return value
    # Parked, a withdrawal would stop nothing and a request would wait; the same one twice does no harm.
    if form.entry_id is None or form.intent != CONSENT:
        return None
    raise NotUnderstood("entry_id_missing")


def _is_heard(fields: Fields, form: Form, dialect: Dialect) -> bool:
    """Whether it is about something that the form listens to, where one address is told of many things."""
    if dialect.topic is None:
        return True
    topic = text_of(fields, dialect.topic)
    if not topic:
        raise NotUnderstood("topic_missing")
    return topic in (form.topics or dialect.topics)


def _said(fields: Fields, form: Form, dialect: Dialect) -> Choice:
    """What the person wants: always the same at this form, or told by the exact value of a field."""
    if form.intent is not None:
        return Choice((), form.intent, form.right, form.purposes)
    if form.intent_field not in fields:
        raise NotUnderstood("intent_field_missing")
    said = _values(fields[form.intent_field], dialect)
    chosen = [choice for choice in form.choice if said & {*choice.accepted}]
    if len(chosen) != 1:
        raise NotUnderstood("intent_not_listed")
    return chosen[0]


def _names(form: Form, dialect: Dialect) -> Iterator[str | None]:
    """Of every field that is read."""
    yield from form.fields.values()
    yield from (consent.field for consent in form.consent)
    yield from form.facts.values()
    yield from (form.entry_id or dialect.entry_id, form.time_field, form.intent_field, dialect.topic)
    yield from dialect.headers


def _profile(fields: Fields, form: Form, intent: str) -> tuple[dict[str, str], tuple[Dropped, ...]]:
    """Our closed list of fields, minimised."""
    wanted = {ours: text_of(fields, theirs).strip() for ours, theirs in form.fields.items() if theirs in fields}
    # An address is never cut: half of a long one can be the whole of another person's.
    cut = {ours: value if ours == "email" else value[:PROFILE_VALUE_SIZE_MAX] for ours, value in wanted.items()}
    # Who wants to stop, or to know, must be able to name any address, also one that looks like an identity number.
    named = {"email": cut.pop("email")} if intent != CONSENT and "email" in cut else {}
    kept, removed = minimise(cut)
    return kept | named, tuple(Dropped(one.field, one.rule) for one in removed)


def _facts(
    fields: Fields, form: Form, dialect: Dialect, profile: Mapping[str, Fact]
) -> tuple[dict[str, tuple[str, ...]], tuple[Dropped, ...]]:
    """What the person tells about themselves, by the closed list of policy.toml; anything else is not kept."""
    told: dict[str, tuple[str, ...]] = {}
    unlisted: list[Dropped] = []
    for fact, name in form.facts.items():
        said = sorted(_values(fields[name], dialect) - {""}) if name in fields else []
        unlisted += [Dropped("other", "value_not_listed") for value in said if value not in profile[fact].values]
        if listed := tuple(value for value in said if value in profile[fact].values):
            told[fact] = listed
    return told, tuple(unlisted)


def _email(kept: dict[str, str]) -> str:
    if not kept.get("email"):
        raise NotUnderstood("email_missing")
    try:
        return parse_address(kept["email"]).verbatim
    except AddressRefused as refused:
        raise NotUnderstood(refused.reason) from None


def _withdrawn_at_ms(fields: Fields, form: Form, dialect: Dialect) -> int | None:
    """When the person said it, as far as the sender can be believed; see decision 0001, "Order".

    A signature tells when this attempt was sent, by a clock that may be minutes behind: dated back by it, a
    withdrawal would lose against what it withdraws. A whole second counts to its end, for the same reason.
    """
    if form.time_field is None:
        return None
    try:
        return dialect.parse_time(text_of(fields, form.time_field)) // 1000 * 1000 + 999
    except NotUnderstood:  # parked it would stop nothing; without a trusted time it counts from now
        return None


def _decisions(fields: Fields, form: Form, dialect: Dialect) -> Iterator[Decision]:
    """Yes is one of the exact accepted values, or among the ticked ones. Absent: decision 0001, "Unticked"."""
    for consent in form.consent:
        if consent.field in fields:
            state = "given" if _values(fields[consent.field], dialect) & {*consent.accepted} else "refused"
        elif dialect.unticked == ALWAYS_SENT:
            raise NotUnderstood("consent_field_missing")
        elif dialect.unticked == OMITTED:
            state = "refused"
        else:
            continue
        yield from (Decision(purpose, state, form.notice) for purpose in consent.purposes)


def _values(texts: tuple[str, ...], dialect: Dialect) -> set[str]:
    """The ticked choices: each text, and its parts where the plugin writes several into one."""
    if dialect.separator is None:
        return {*texts}
    return {*texts}.union(*(text.split(dialect.separator) for text in texts))
