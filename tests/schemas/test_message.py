"""The message: what is sealed can be read again, and nothing else can."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from schemas.message import (
    LANGUAGES,
    PROFILE_VALUE_SIZE_MAX,
    Decision,
    Dropped,
    Message,
    MessageType,
    comparable,
    format_message,
    parse_message,
)
from schemas.minimise import scrub
from schemas.refusal import ErrorBody, NotUnderstood, Refused
from schemas.understanding import format_parked, parse_parked

MESSAGE = Message(
    type=MessageType.SIGN_UP,
    source="form:newsletter",
    email="zoë@example.no",
    profile={"first_name": "Zoë", "company": "Müller & Søn"},
    decisions=(Decision("newsletter", "given", "personvern-1"), Decision("offers", "refused")),
    sent_at_ms=1_795_400_000_000,
    dropped=(Dropped("other", "payment_card_number"),),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
KEYS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
MESSAGES = st.builds(
    Message,
    type=st.sampled_from(MessageType),
    source=KEYS,
    email=st.none() | TEXT,
    profile=st.none() | st.dictionaries(st.sampled_from(["first_name", "last_name", "company"]), TEXT),
    decisions=st.lists(
        st.builds(Decision, KEYS, st.sampled_from(["given", "refused"]), st.none() | KEYS), max_size=3
    ).map(tuple),
    purposes=st.lists(KEYS, max_size=3).map(tuple),
    link_id=st.none() | st.binary(min_size=16, max_size=16).map(bytes.hex),
    method=KEYS,
    sent_at_ms=st.none() | st.integers(0, 2**53),
    language=st.sampled_from(LANGUAGES),
    dropped=st.lists(st.builds(Dropped, st.sampled_from(["email", "other"]), KEYS), max_size=2).map(tuple),
)


@settings(deadline=None)
@given(MESSAGES)
def test_parsing_is_the_inverse_of_formatting(message: Message) -> None:
    assert parse_message(format_message(message)) == message


def test_equal_messages_have_equal_bytes() -> None:
    reordered = replace(MESSAGE, profile=dict(reversed(list((MESSAGE.profile or {}).items()))))
    assert format_message(reordered) == format_message(MESSAGE)


@settings(deadline=None)
@given(st.none() | st.integers(0, 2**53))
def test_when_it_was_sent_does_not_make_it_another_delivery(sent_at_ms: int | None) -> None:
    assert comparable(replace(MESSAGE, sent_at_ms=sent_at_ms)) == comparable(MESSAGE)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": MessageType.WITHDRAWAL},
        {"source": "form:other"},
        {"email": "zoe@example.no"},
        {"profile": {}},
        {"decisions": MESSAGE.decisions[:1]},
        {"purposes": ("offers",)},
        {"method": "stripe"},
        {"language": "en"},
        {"dropped": ()},
    ],
)
def test_everything_else_does(changes: dict[str, Any]) -> None:
    assert comparable(replace(MESSAGE, **changes)) != comparable(MESSAGE)


CHANGES: dict[str, dict[str, Any]] = {
    "an unknown key": {"phone": "+4790000000"},
    "an unknown type": {"type": "payment"},
    "a source with a space": {"source": "form: newsletter"},
    "a source with a line end": {"source": "form:newsletter\n"},
    "an address as a source": {"source": "kari@example.no"},
    "a fourth profile field": {"profile": {"phone": "+4790000000"}},
    "a profile value without end": {"profile": {"company": "x" * (PROFILE_VALUE_SIZE_MAX + 1)}},
    "a decision that is neither": {"decisions": [{"purpose": "newsletter", "state": "maybe"}]},
    "a decision with a comment": {"decisions": [{"purpose": "newsletter", "state": "given", "comment": "x"}]},
    "a purpose with a capital": {"purposes": ["Newsletter"]},
    "half a link id": {"link_id": "00"},
    "a link id in capitals": {"link_id": "AB" * 16},
    "a time in words": {"sent_at_ms": "1795400000000"},
    "a third language": {"language": "de"},
    "a sender's field name": {"dropped": [{"field": "fødselsnummer", "rule": "national_identity_number"}]},
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_is_not_ours_is_refused(case: str) -> None:
    document = json.loads(format_message(MESSAGE)) | CHANGES[case]
    with pytest.raises(ValidationError):
        parse_message(json.dumps(document).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"{}", b'"sign_up"', b"\xff"])
def test_other_bytes_are_no_message(data: bytes) -> None:
    with pytest.raises(ValidationError):
        parse_message(data)


def test_a_message_does_not_show_itself() -> None:
    assert repr(MESSAGE) == f"{MESSAGE}" == "Message(sign_up, redacted)"


# What could not be understood


@settings(deadline=None)
@given(st.dictionaries(TEXT, TEXT, max_size=3) | st.lists(st.integers(-1000, 1000), max_size=3), st.none() | st.just(7))
def test_a_parked_body_can_be_read_again(document: object, signed_at_ms: int | None) -> None:
    assert parse_parked(format_parked(document, signed_at_ms)) == (scrub(document)[0], signed_at_ms)


def test_a_parked_body_is_scrubbed() -> None:
    assert b"01010750160" not in format_parked({"note": "01010750160", "email": "kari@example.no"}, None)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"document":1}', b"\xff", format_message(MESSAGE)])
def test_other_bytes_are_no_parked_body(data: bytes) -> None:
    with pytest.raises(NotUnderstood, match="not_a_parked_body"):
        parse_parked(data)


# What is refused


def test_an_error_has_one_shape_and_always_a_message() -> None:
    for status in (400, 401, 404, 405, 413, 415, 418, 500, 503):
        document = ErrorBody(status, "a_reason").document()
        assert list(document) == ["error"]
        error = document["error"]
        assert isinstance(error, dict)
        assert (error["status"], error["reason"]) == (status, "a_reason")
        assert error["message"].endswith(".")


def test_a_refusal_carries_its_status_and_reason() -> None:
    refused = Refused(503, "database_away", 30)
    assert (refused.status, refused.reason, refused.retry_after_s, str(refused)) == (
        503,
        "database_away",
        30,
        "database_away",
    )
