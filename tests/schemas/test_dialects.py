"""Dialects: what each value of each plugin's form means, and what of a submission is left afterwards."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.dialects import DIALECTS
from schemas.dialects import form as dialect_form
from schemas.dialects.form import ENTRY_ID_SIZE_MAX
from schemas.dialects.times import parse_offset_time, parse_utc_time
from schemas.message import Decision, Message, MessageType, format_message, parse_message
from schemas.policy import ConsentField, Form, load_policy
from schemas.refusal import NotUnderstood
from tests.world import ROOT

FORMS = load_policy(ROOT / "policy.toml").forms
GENERIC, CF7 = FORMS["newsletter"], FORMS["newsletter-contact-form-7"]
GF, SELECTED = FORMS["newsletter-gravity-forms"], FORMS["newsletter-gravity-forms-selected"]
WITHDRAWAL = FORMS["withdrawal"]
SENT_AT_MS = 1_795_400_000_000


def understand_form(document: object, form: Form, sent_at_ms: int | None) -> Message:
    return dialect_form.understand_form(DIALECTS[form.dialect].read(document), form, sent_at_ms)


def entry_id(document: object, form: Form) -> str | None:
    return dialect_form.entry_id(DIALECTS[form.dialect].read(document), form)


def understood(form: Form, sent_at_ms: int | None = None, /, **fields: Any) -> Message:
    return understand_form({"email": "kari@example.no", "your-email": "kari@example.no", **fields}, form, sent_at_ms)


def reason_of(document: object, form: Form) -> str:
    with pytest.raises(NotUnderstood) as caught:
        understand_form(document, form, None)
    return caught.value.reason


def test_every_dialect_stands_under_its_own_key() -> None:
    assert all(key == dialect.key for key, dialect in DIALECTS.items())


@pytest.mark.parametrize("value", ["1", 1, ["1"]])
def test_only_the_accepted_value_is_a_yes(value: object) -> None:
    assert understood(CF7, **{"gdpr-consent": value}).decisions == (Decision("newsletter", "given", "personvern-1"),)


NO = ["", "0", "2", "on", "true", "yes", "Checked", "Not Checked", " 1", "1 ", "１", 0, 2, True, False, None, [], [""]]


@pytest.mark.parametrize("value", NO)
def test_every_other_value_is_a_no(value: object) -> None:
    assert understood(CF7, **{"gdpr-consent": value}).decisions == (Decision("newsletter", "refused", "personvern-1"),)


@pytest.mark.parametrize("value", ["Not Checked", "Ikke avkrysset", "checked", "CHECKED", "Checked!"])
def test_gravity_forms_says_no_in_words_that_are_true_in_every_language(value: str) -> None:
    assert understood(SELECTED, consent=value, entry_id="1").decisions[0].state == "refused"


def test_json_true_is_the_text_true() -> None:
    states = {d.purpose: d.state for d in understood(GENERIC, newsletter=True, offers=False).decisions}
    assert states == {"newsletter": "given", "offers": "refused"}


def test_an_absent_key_says_nothing_where_the_dialect_promises_nothing() -> None:
    assert [decision.purpose for decision in understood(GENERIC, newsletter="yes").decisions] == ["newsletter"]
    assert understood(GENERIC).decisions == ()


@pytest.mark.parametrize("form", [CF7, GF, SELECTED])
def test_an_absent_key_is_a_question_for_a_human_where_the_dialect_always_sends_it(form: Form) -> None:
    document = {"email": "kari@example.no", "your-email": "kari@example.no", "2": "kari@example.no"}
    document["date_created"] = "2026-11-23 01:25:45"
    assert reason_of(document, form) == "consent_field_missing"


@pytest.mark.parametrize("value", [[{"value": "1"}], {"value": "1"}, 1.0])
def test_a_shape_that_the_dialect_does_not_send_counts_as_absent(value: object) -> None:
    assert reason_of({"your-email": "kari@example.no", "gdpr-consent": value}, CF7) == "consent_field_missing"


def test_one_box_grants_all_its_purposes_and_no_other() -> None:
    both = ConsentField("gdpr-consent", ("1",), ("newsletter", "offers"))
    message = understood(replace(CF7, consent=(both,)), **{"gdpr-consent": "1"})
    assert [(one.purpose, one.state) for one in message.decisions] == [("newsletter", "given"), ("offers", "given")]


def test_of_the_rest_nothing_is_kept() -> None:
    message = understood(GENERIC, newsletter="yes", first_name="Kari", phone="+4790000000", note="x", _ip="192.0.2.1")
    assert message.profile == {"first_name": "Kari"}
    unread = ("_ip", "note", "phone", "your-email")
    assert message == replace(understood(GENERIC, newsletter="yes"), profile={"first_name": "Kari"}, unread=unread)


def test_white_space_around_a_value_is_not_part_of_it() -> None:
    message = understood(GENERIC, email=" kari@example.no\n", first_name="  Kari ", company="   ")
    assert (message.email, message.profile) == ("kari@example.no", {"first_name": "Kari"})


def test_a_forbidden_value_is_dropped_and_only_its_rule_is_told() -> None:
    message = understood(GENERIC, first_name="Kari", company="01010750160", fodselsnummer="01010750160", newsletter="1")
    assert message.profile == {"first_name": "Kari"}
    told = [(one.field, one.rule) for one in message.dropped]
    assert told == [("company", "national_identity_number"), ("other", "identity_number_field")]
    assert b"01010750160" not in format_message(message)


def test_a_name_that_is_too_long_is_cut_and_an_address_never() -> None:
    """Half of a long address can be the whole of another person's."""
    label = "a" * 63
    address = f"kari@{label}.{label}.{label}.example.no"
    assert 200 < len(address) < 254
    message = understood(GENERIC, email=address, first_name="K" * 300)
    assert message.email == address
    assert message.profile == {"first_name": "K" * 200}
    assert reason_of({"email": f"{label}.{address}.no"}, GENERIC) == "address_too_long"


@pytest.mark.parametrize("value", ["", " ", None, [], {}, ["a@example.no", "b@example.no"], 1.5])
def test_without_an_address_there_is_nobody(value: object) -> None:
    assert reason_of({"email": value, "newsletter": "yes"}, GENERIC) == "email_missing"
    assert reason_of({"newsletter": "yes"}, GENERIC) == "email_missing"


def test_a_withdrawal_needs_only_an_address_and_keeps_only_that() -> None:
    message = understood(WITHDRAWAL, SENT_AT_MS, first_name="Kari", newsletter="yes")
    assert message.type is MessageType.WITHDRAWAL
    assert message.purposes == WITHDRAWAL.purposes == tuple(load_policy(ROOT / "policy.toml").purposes)
    # The signature tells when it was sent, by a clock that may be behind; a withdrawal counts from its arrival.
    assert (message.profile, message.decisions, message.sent_at_ms) == (None, (), None)


# Times


def test_a_withdrawal_may_name_an_address_that_looks_like_a_number_we_never_keep() -> None:
    card = "4242424242424242@example.no"  # Stripe's published test number
    assert understood(WITHDRAWAL, email=card).email == card
    assert reason_of({"email": card, "newsletter": "yes"}, GENERIC) == "email_missing"


def test_the_forms_own_time_wins_over_the_signatures() -> None:
    form = replace(GENERIC, time_field="at")
    assert understood(form, SENT_AT_MS, at="2026-11-23T02:25:45.5+01:00").sent_at_ms == 1_795_397_145_500
    assert understood(GENERIC, SENT_AT_MS, at="2026-11-23T02:25:45+01:00").sent_at_ms == SENT_AT_MS


LOCALISED = ["November 23, 2026", "1:24 am", "23.11.2026 01:24", "2026-11-23", "11/23/2026", "", "now", "1795397145"]


@pytest.mark.parametrize("text", [*LOCALISED, "2026-11-23 01:25:45", "2026-11-23T01:25:45"])
def test_a_time_that_means_another_moment_elsewhere_is_not_counted(text: str) -> None:
    with pytest.raises(NotUnderstood, match="time_not_understood"):
        parse_offset_time(text)
    document = {"your-email": "kari@example.no", "gdpr-consent": "1", "_date": text}
    assert reason_of(document, replace(CF7, time_field="_date")) == "time_not_understood"


@pytest.mark.parametrize("text", [*LOCALISED, "2026-11-23T01:25:45", "2026-11-23 01:25", "2026-13-01 00:00:00"])
def test_gravity_forms_time_has_one_shape(text: str) -> None:
    with pytest.raises(NotUnderstood, match="time_not_understood"):
        parse_utc_time(text)


@pytest.mark.parametrize("year", ["0000", "0001", "0999", "1969"])
def test_a_time_before_there_were_forms_is_no_time(year: str) -> None:
    """WordPress writes 0000-00-00 for none."""
    for parse, text in ((parse_utc_time, f"{year}-12-31 23:59:59"), (parse_offset_time, f"{year}-12-31T23:59:59Z")):
        with pytest.raises(NotUnderstood, match="time_not_understood"):
            parse(text)


@pytest.mark.parametrize("text", ["", "November 23, 2026"])
def test_a_withdrawal_without_a_trusted_time_counts_from_now(text: str) -> None:
    """Parked it would not stop anything, and the person has read that it did."""
    message = understood(replace(WITHDRAWAL, time_field="at"), SENT_AT_MS, at=text)
    assert (message.type, message.sent_at_ms) == (MessageType.WITHDRAWAL, None)


# The sender's own id


def test_an_entry_id_is_text_or_a_number() -> None:
    assert entry_id({"id": "17"}, GF) == entry_id({"id": 17}, GF) == "17"
    assert entry_id({"id": "17"}, CF7) is None


@pytest.mark.parametrize("document", [{}, {"id": ""}, {"id": None}, {"id": "1\n2"}, {"id": "1" * 101}, {"id": {}}])
def test_an_entry_without_its_id_is_a_question_for_a_human(document: dict[str, object]) -> None:
    with pytest.raises(NotUnderstood, match="entry_id_missing"):
        entry_id(document, GF)
    assert len("1" * 101) == ENTRY_ID_SIZE_MAX + 1


def test_a_withdrawal_does_not_wait_for_an_id() -> None:
    """Parked it would not stop anything; twice recorded it does no harm."""
    form = replace(WITHDRAWAL, entry_id="id")
    assert entry_id({"email": "kari@example.no"}, form) is None
    assert entry_id({"email": "kari@example.no", "id": "7"}, form) == "7"


# Anything at all

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=10), children, max_size=3),
    max_leaves=6,
)
NAMES = sorted({*GENERIC.fields.values(), *GF.fields.values(), "5.1", "date_created", "id", "newsletter", "consent"})


@settings(deadline=None)
@given(JSON | st.dictionaries(st.sampled_from(NAMES), JSON), st.sampled_from(sorted(FORMS)))
def test_whatever_is_sent_becomes_a_message_or_is_parked(document: object, form: str) -> None:
    try:
        message = understand_form(document, FORMS[form], None)
    except NotUnderstood as refused:
        assert refused.reason.replace("_", "").isalpha()
    else:
        assert parse_message(format_message(message)) == message
        assert json.loads(format_message(message))["type"] in ("sign_up", "withdrawal")
