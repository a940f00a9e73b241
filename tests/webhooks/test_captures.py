"""Real requests of real plugins: what each becomes, and what the ledger then says."""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import pytest

from schemas.entry import format_time
from schemas.message import Decision, Message, MessageType
from tests.webhooks.capture import FOLDER, inbox_rows, messages, post, post_capture, read_capture
from tests.webhooks.plugins import client_at, plugin_world, send_capture
from tests.world import World

CF7, GF, SELECTED = "newsletter-contact-form-7", "newsletter-gravity-forms", "newsletter-gravity-forms-selected"
FORMINATOR, WOO = "newsletter-forminator", "customers-woocommerce"
NAME = {"first_name": "Zoë", "last_name": "O'Neil & Söhne"}
ZOE = NAME | {"company": 'Müller "GmbH"'}
BO = ZOE | {"first_name": "Bo"}


def utc_ms(text: str) -> int:
    return int(datetime.datetime.fromisoformat(f"{text}+00:00").timestamp()) * 1000


SENT_AT_MS, WOO_AT_MS = utc_ms("2026-11-23 01:25:45"), utc_ms("2026-11-23 01:31:25")
WPFORMS_AT_MS = 1_795_397_000_000
REST = ("4.1", "4.2", "5.2", "5.3")


class Expected(NamedTuple):
    """`state`: of the newsletter; None where nobody was asked."""

    form: str
    email: str
    profile: dict[str, str]
    state: str | None
    sent_at_ms: int | None = None
    unread: tuple[str, ...] = ()


CAPTURES = {
    "cf7-to-webhook_newsletter_consent-yes.http": Expected(
        CF7,
        "zoe@example.test",
        {"first_name": 'Zoë "Z"', "last_name": "O'Neil & Söhne", "company": "Müller GmbH"},
        "given",
        None,
        ("form_kind", "topics"),
    ),
    "cf7-to-webhook_newsletter_consent-no.http": Expected(
        CF7, "bo@example.test", {"first_name": "Bo", "last_name": "No"}, "refused", None, ("form_kind", "topics")
    ),
    "gravityforms_all-fields_json_consent-yes.http": Expected(GF, "zoe@example.test", ZOE, "given", SENT_AT_MS, REST),
    "gravityforms_all-fields_json_consent-no.http": Expected(GF, "bo@example.test", BO, "refused", SENT_AT_MS, REST),
    "gravityforms_selected_json_consent-yes.http": Expected(SELECTED, "zoe@example.test", ZOE, "given"),
    "gravityforms_selected_json_consent-NO_reads-Not-Checked.http": Expected(
        SELECTED, "bo@example.test", BO, "refused"
    ),
    "wpforms_json_signed_secret-wpf-secret-0123456789.http": Expected(
        "newsletter-wpforms", "zoe@example.test", ZOE, "given", WPFORMS_AT_MS, ("gdpr", "topics")
    ),
    "elementor_simple_consent-yes.http": Expected(
        "newsletter-elementor-simple", "zoe@example.test", ZOE, "given", None, ("Topics",)
    ),
    "elementor_advanced_consent-yes.http": Expected(
        "newsletter-elementor", "zoe@example.test", ZOE, "given", None, ("field_9z8y7x6", "topics")
    ),
    "ninjaforms_json_WRONG-content-type.http": Expected(
        "newsletter-ninja-forms", "zoe@example.test", {"first_name": "Zoë"}, "given", None, ("token",)
    ),
    "fluentformpro_all-fields_json.http": Expected(
        "newsletter-fluent-forms", "zoe1@example.test", ZOE, "given", None, ("gdpr-agreement",)
    ),
    "formidable-api_default_json_LIST.http": Expected(
        "newsletter-formidable",
        "zoe1@example.test",
        {"company": 'Müller "GmbH"'},
        "given",
        utc_ms("2026-11-23 01:26:38"),
        ("nl_n",),
    ),
    "forminator_webhook_consent-yes.http": Expected(
        FORMINATOR, "zoe1@example.test", ZOE, "given", None, ("gdprcheckbox_1",)
    ),
    "forminator_webhook_consent-no_key-absent.http": Expected(
        FORMINATOR, "zoe0@example.test", ZOE, "refused", None, ("gdprcheckbox_1",)
    ),
    "woocommerce_customer-created_A_same-delivery-id.http": Expected(
        WOO,
        "zoe@example.test",
        NAME | {"company": "Müller GmbH"},
        None,
        WOO_AT_MS,
        ("meta_data.default_password_nag",),
    ),
    "woocommerce_customer-created_B_same-delivery-id.http": Expected(
        WOO, "bo@example.test", {"first_name": "Bo"}, None, WOO_AT_MS, ("meta_data.default_password_nag",)
    ),
}
PING = "woocommerce_ping_unsigned.http"
YES = read_capture("gravityforms_all-fields_json_consent-yes.http")


@pytest.fixture
def plugins(tmp_path: Path, database_url: str | None) -> Iterator[World]:
    """A form of every plugin, on each database in turn."""
    made = plugin_world(tmp_path, database_url)
    yield made
    made.close()


def test_every_capture_has_its_expectation() -> None:
    assert {path.name for path in FOLDER.glob("*.http")} == {*CAPTURES, PING}


def test_each_capture_becomes_exactly_its_message_and_its_entry(plugins: World) -> None:
    client = client_at(plugins, WPFORMS_AT_MS)
    for name, expected in CAPTURES.items():
        answer = send_capture(client, expected.form, read_capture(name))
        assert (name, answer.status_code, answer.get_json()) == (name, 200, {"status": "accepted"})
    for expected, message in zip(CAPTURES.values(), messages(plugins), strict=True):
        asked = (Decision("newsletter", expected.state, "personvern-1"),) if expected.state else ()
        assert message == Message(
            type=MessageType.SIGN_UP,
            source=f"form:{expected.form}",
            email=expected.email,
            profile=expected.profile,
            decisions=asked,
            sent_at_ms=expected.sent_at_ms,
            unread=expected.unread,
        )
    plugins.record()
    leaves = plugins.leaves()
    asked_of = [expected for expected in CAPTURES.values() if expected.state]
    assert len(leaves) == len(asked_of)
    for expected, leaf in zip(asked_of, leaves, strict=True):
        assert leaf["kind"] == ("consent.requested" if expected.state == "given" else "consent.refused")
        assert (leaf["purpose"], leaf["source"], leaf["method"]) == ("newsletter", f"form:{expected.form}", "form")
        trusted = [leaf["received_at"]] + ([format_time(expected.sent_at_ms)] if expected.sent_at_ms else [])
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
    kept = " ".join(map(str, (message.profile, message.decisions, message.dropped, message.unread)))
    for undeclared in ("127.0.0.1", "Mozilla", "November", "offers", "8081"):
        assert undeclared not in kept
    assert message.dropped == ()
