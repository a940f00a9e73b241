"""Real requests of real plugins: what each becomes, and what the ledger then says."""

import datetime
import json
from urllib.parse import urlencode

import pytest

from schemas.entry import format_time
from schemas.message import Decision, Message, MessageType
from tests.webhooks.capture import FOLDER, inbox_rows, messages, post, post_capture, read_capture
from tests.world import World

CF7, GF, SELECTED = "newsletter-contact-form-7", "newsletter-gravity-forms", "newsletter-gravity-forms-selected"
ZOE = {"first_name": "Zoë", "last_name": "O'Neil & Söhne", "company": 'Müller "GmbH"'}
BO = ZOE | {"first_name": "Bo"}
SENT_AT_MS = int(datetime.datetime(2026, 11, 23, 1, 25, 45, tzinfo=datetime.UTC).timestamp()) * 1000

CAPTURES = {
    "cf7-to-webhook_newsletter_consent-yes.http": (
        CF7,
        "zoe@example.test",
        {"first_name": 'Zoë "Z"', "last_name": "O'Neil & Söhne", "company": "Müller GmbH"},
        "given",
        None,
    ),
    "cf7-to-webhook_newsletter_consent-no.http": (
        CF7,
        "bo@example.test",
        {"first_name": "Bo", "last_name": "No"},
        "refused",
        None,
    ),
    "gravityforms_all-fields_json_consent-yes.http": (GF, "zoe@example.test", ZOE, "given", SENT_AT_MS),
    "gravityforms_all-fields_json_consent-no.http": (GF, "bo@example.test", BO, "refused", SENT_AT_MS),
    "gravityforms_selected_json_consent-yes.http": (SELECTED, "zoe@example.test", ZOE, "given", None),
    "gravityforms_selected_json_consent-NO_reads-Not-Checked.http": (SELECTED, "bo@example.test", BO, "refused", None),
}
YES = read_capture("gravityforms_all-fields_json_consent-yes.http")


def test_every_capture_has_its_expectation() -> None:
    assert {path.name for path in FOLDER.glob("*.http")} == set(CAPTURES)


@pytest.mark.parametrize("name", CAPTURES)
def test_a_capture_becomes_exactly_this_message_and_this_entry(world: World, name: str) -> None:
    form, email, profile, state, sent_at_ms = CAPTURES[name]
    answer = post_capture(world, form, read_capture(name))
    assert (answer.status_code, answer.get_json()) == (200, {"status": "accepted"})
    assert messages(world) == [
        Message(
            type=MessageType.SIGN_UP,
            source=f"form:{form}",
            email=email,
            profile=profile,
            decisions=(Decision("newsletter", state, "personvern-1"),),
            sent_at_ms=sent_at_ms,
        )
    ]
    world.record()
    (leaf,) = world.leaves()
    assert leaf["kind"] == ("consent.requested" if state == "given" else "consent.refused")
    assert (leaf["purpose"], leaf["source"], leaf["method"]) == ("newsletter", f"form:{form}", "form")
    trusted = [leaf["received_at"]] + ([format_time(sent_at_ms)] if sent_at_ms else [])
    assert leaf["occurred_at"] == min(trusted)


def test_gravity_forms_form_encoding_omits_nulls_and_says_the_same(world: World) -> None:
    fields = {key: value for key, value in json.loads(YES.body).items() if value is not None}
    answer = post(world, GF, urlencode(fields).encode(), "application/x-www-form-urlencoded")
    assert answer.get_json() == {"status": "accepted"}
    (message,) = messages(world)
    assert (message.email, message.profile, message.sent_at_ms) == ("zoe@example.test", ZOE, SENT_AT_MS)
    # The same entry from a second feed, as JSON, is the same delivery.
    assert post_capture(world, GF, YES).get_json() == {"status": "duplicate"}


def test_an_absent_consent_key_parks_the_delivery(world: World) -> None:
    fields = json.loads(YES.body)
    del fields["5.1"]
    answer = post(world, GF, json.dumps(fields).encode())
    assert (answer.status_code, answer.get_json()) == (200, {"status": "parked"})
    assert world.statuses() == [("parked", "consent_field_missing")]
    world.record()
    assert world.leaves() == []


def test_a_null_consent_is_a_no_and_a_list_of_one_is_its_item(world: World) -> None:
    fields = json.loads(read_capture("cf7-to-webhook_newsletter_consent-yes.http").body)
    for address, value in (("null@example.test", None), ("list@example.test", ["1"]), ("none@example.test", [])):
        post(world, CF7, json.dumps(fields | {"your-email": address, "gdpr-consent": value}).encode())
    assert [message.decisions[0].state for message in messages(world)] == ["refused", "given", "refused"]


def test_a_key_that_a_visitor_injected_is_refused(world: World) -> None:
    """CF7 to Webhook pastes values into a template unescaped: this name brought a consent of its own."""
    body = b'{"name":"Eve","gdpr-consent":"1","x":"","your-email":"eve@example.test","gdpr-consent":""}'
    answer = post(world, CF7, body)
    assert answer.status_code == 400
    assert answer.get_json()["error"]["reason"] == "json_duplicate_key"
    assert inbox_rows(world) == 0


def test_the_same_entry_id_twice_is_one_delivery_however_late(world: World) -> None:
    assert post_capture(world, GF, YES).get_json() == {"status": "accepted"}
    reordered = json.dumps(dict(reversed(json.loads(YES.body).items()))).encode()
    assert post(world, GF, reordered).get_json() == {"status": "duplicate"}
    world.record()
    assert post_capture(world, GF, YES).get_json() == {"status": "duplicate"}
    world.record()
    assert world.kinds() == [("consent.requested", "newsletter")]


def test_the_same_entry_id_with_another_person_is_a_conflict_and_parked(world: World) -> None:
    post_capture(world, GF, YES)
    fields = json.loads(YES.body) | {"2": "somebody-else@example.test"}
    answer = post(world, GF, json.dumps(fields).encode())
    assert (answer.status_code, answer.get_json()) == (200, {"status": "conflict"})
    assert world.statuses() == [("new", None), ("parked", "conflict")]


def test_the_same_entry_id_of_another_form_is_another_delivery(world: World) -> None:
    selected = read_capture("gravityforms_selected_json_consent-yes.http")
    assert json.loads(selected.body)["entry_id"] == json.loads(YES.body)["id"]
    assert post_capture(world, GF, YES).get_json() == {"status": "accepted"}
    assert post_capture(world, SELECTED, selected).get_json() == {"status": "accepted"}


def test_without_an_entry_id_the_same_body_again_is_the_same_delivery(world: World) -> None:
    capture = read_capture("cf7-to-webhook_newsletter_consent-yes.http")
    assert post_capture(world, CF7, capture).get_json() == {"status": "accepted"}
    assert post_capture(world, CF7, capture).get_json() == {"status": "duplicate"}
    world.record()
    assert world.kinds() == [("consent.requested", "newsletter")]


def test_nothing_but_the_declared_fields_is_kept(world: World) -> None:
    capture = read_capture("cf7-to-webhook_newsletter_consent-yes.http")
    post_capture(world, CF7, capture)
    (message,) = messages(world)
    kept = " ".join(map(str, (message.profile, message.decisions, message.dropped)))
    for undeclared in ("127.0.0.1", "Mozilla", "November", "offers", "8081"):
        assert undeclared not in kept
    assert message.dropped == ()
