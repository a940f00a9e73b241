"""Every plugin through the real door: other encodings than the captured ones, each way of saying no, tests, pings."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import pytest

from schemas.message import Decision, Message, MessageType
from tests.webhooks.capture import messages, read_capture
from tests.webhooks.plugins import SECRETS, plugin_world, send, send_capture
from tests.webhooks.signing import SCHEMES, php_json
from tests.world import FORM_SECRET, SIGNED_SECRET, World

FORM = "application/x-www-form-urlencoded"
TOKEN = {"X-Gdpr-Token": FORM_SECRET}
FORMINATOR, FORMIDABLE, FLUENT = "newsletter-forminator", "newsletter-formidable", "newsletter-fluent-forms"
WPFORMS, ELEMENTOR, SIMPLE = "newsletter-wpforms", "newsletter-elementor", "newsletter-elementor-simple"
COMPANION, PRIVACY = "newsletter-companion", "privacy-contact-form-7"
CUSTOMERS, ORDERS = "customers-woocommerce", "orders-woocommerce"
PING = read_capture("woocommerce_ping_unsigned.http")
FLUENT_YES = json.loads(read_capture("fluentformpro_all-fields_json.http").body)
CF7_YES = json.loads(read_capture("cf7-to-webhook_newsletter_consent-yes.http").body)
ENTRY = {"id": "7", "created_at": "2026-11-23 01:26:38", "nl_em": "kari@example.no"}
ENTRY["nl_cons"] = "I agree to receive the newsletter"


@pytest.fixture
def plugins(tmp_path: Any) -> Iterator[World]:
    made = plugin_world(tmp_path)
    yield made
    made.close()


def signed(world: World, scheme: str, form: str, body: bytes, headers: Mapping[str, str] | None = None) -> Any:
    """By a dialect that signs, now."""
    one = SCHEMES[scheme]
    secret = SECRETS.get(form, SIGNED_SECRET if scheme.startswith("standard") else FORM_SECRET)
    proof = one.sign(secret, int(time.time()), body)
    return send(world.client, form, body, one.media_type, proof | dict(headers or {}))


def said(world: World) -> list[tuple[str | None, list[str]]]:
    """Who, and the states of the decisions, oldest first."""
    return [(one.email, [decision.state for decision in one.decisions]) for one in messages(world)]


def status_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["status"]


def php(document: Any, prefix: str = "") -> dict[str, str]:
    """As PHP's http_build_query writes it: `a[b][0]=…`, and nothing for null."""
    members = document.items() if isinstance(document, dict) else enumerate(document)
    fields: dict[str, str] = {}
    for name, value in members:
        key = f"{prefix}[{name}]" if prefix else str(name)
        if isinstance(value, dict | list):
            fields |= php(value, key)
        elif value is not None:
            fields[key] = str(value)
    return fields


def form_of(document: Any) -> bytes:
    return urlencode(php(document)).encode()


# Encodings


def test_form_encoding_with_brackets_says_what_the_json_says(plugins: World) -> None:
    assert status_of(send(plugins.client, FLUENT, form_of(FLUENT_YES), FORM, TOKEN)) == (200, "accepted")
    answer = send(plugins.client, FLUENT, json.dumps(FLUENT_YES).encode(), headers=TOKEN)
    assert status_of(answer) == (200, "duplicate")
    (message,) = messages(plugins)
    assert message.profile == {"first_name": "Zoë", "last_name": "O'Neil & Söhne", "company": 'Müller "GmbH"'}
    assert message.decisions == (Decision("newsletter", "given", "personvern-1"),)


def test_formidable_sends_its_list_as_a_form_too(plugins: World) -> None:
    headers = {"Authorization": "Basic c2VjcmV0Ong="}  # secret:x
    assert status_of(send(plugins.client, FORMIDABLE, form_of([ENTRY]), FORM, headers)) == (200, "accepted")
    assert status_of(send(plugins.client, FORMIDABLE, json.dumps([ENTRY]).encode(), headers=headers))[1] == "duplicate"
    assert said(plugins) == [("kari@example.no", ["given"])]


@pytest.mark.parametrize("entries", [[], [ENTRY, ENTRY | {"id": "8"}]])
def test_formidable_with_another_number_of_entries_than_one_is_parked(plugins: World, entries: list[Any]) -> None:
    headers = {"Authorization": "Bearer secret"}
    assert status_of(send(plugins.client, FORMIDABLE, json.dumps(entries).encode(), headers=headers))[1] == "parked"
    assert plugins.statuses() == [("parked", "not_one_entry")]


def test_wpforms_signs_the_json_of_the_form_that_it_sends(plugins: World) -> None:
    fields = {"email": "kari@example.no", "newsletter": "I agree to receive the newsletter", "entry_id": "8"}
    assert status_of(signed(plugins, "wpforms form", WPFORMS, urlencode(fields).encode())) == (200, "accepted")
    assert status_of(signed(plugins, "wpforms json", WPFORMS, php_json(fields).encode())) == (200, "duplicate")
    assert said(plugins) == [("kari@example.no", ["given"])]


def test_a_content_type_that_the_plugin_does_not_send_is_415(plugins: World) -> None:
    for form, content_type in ((ELEMENTOR, "application/json"), (FORMINATOR, FORM), (ORDERS, FORM)):
        headers = SCHEMES["woocommerce"].sign(FORM_SECRET, 0, b"{}") | TOKEN
        answer = send(plugins.client, form, b"{}", content_type, headers)
        assert (answer.status_code, answer.get_json()["error"]["reason"]) == (415, "content_type_not_accepted")


def test_json_under_the_name_of_a_form_is_read_where_a_plugin_does_that_and_nowhere_else(plugins: World) -> None:
    body = b'{"email":"kari@example.no","consent":"","sub_id":"9"}'
    assert status_of(send(plugins.client, "newsletter-ninja-forms", body, FORM, TOKEN))[1] == "accepted"
    assert said(plugins) == [("kari@example.no", ["refused"])]
    assert status_of(send(plugins.client, "newsletter-jetpack-forms", body, FORM, TOKEN))[1] == "parked"


# Each plugin's way of saying no, and of several choices


def test_a_key_that_is_left_out_is_a_no_where_the_plugin_leaves_it_out(plugins: World) -> None:
    without = {name: value for name, value in FLUENT_YES.items() if name != "newsletter_consent"}
    send(plugins.client, FLUENT, json.dumps(without).encode(), headers=TOKEN)
    bare = {name: value for name, value in ENTRY.items() if name != "nl_cons"}
    send(plugins.client, FORMIDABLE, json.dumps([bare]).encode(), headers={"Authorization": "Basic c2VjcmV0Og=="})
    assert said(plugins) == [("zoe1@example.test", ["refused"]), ("kari@example.no", ["refused"])]


NOT_TICKED = [
    (SIMPLE, FORM, b"E-Mail=kari@example.no&Consent="),
    (ELEMENTOR, FORM, form_of({"form": {"id": "7"}, "fields": {
        "email": {"value": "kari@example.no", "raw_value": "kari@example.no"},
        "field_a1b2c3d": {"value": "", "raw_value": ""},
    }})),
    ("newsletter-jetpack-forms", "application/json", b'{"email": "kari@example.no", "consent": "No"}'),
    ("newsletter-ws-form", "application/json", b'{"id": 3, "email": "kari@example.no", "newsletter": []}'),
]  # fmt: skip


def test_an_unticked_box_is_a_refusal(plugins: World) -> None:
    for form, content_type, body in NOT_TICKED:
        assert status_of(send(plugins.client, form, body, content_type, TOKEN)) == (200, "accepted")
    assert said(plugins) == [("kari@example.no", ["refused"])] * len(NOT_TICKED)
    plugins.record()
    assert plugins.kinds() == [("consent.refused", "newsletter")] * len(NOT_TICKED)


RENAMED = {
    "consent_field_missing": (SIMPLE, FORM, b"E-Mail=kari@example.no&Samtykke=on"),
    "email_missing": (SIMPLE, FORM, b"E-post=kari@example.no&Consent=on"),
    "entry_id_missing": ("newsletter-ws-form", "application/json", b'{"email":"k@example.no","newsletter":"Yes"}'),
    "field_ambiguous": (FLUENT, "application/json", b'{"names":{"first_name":"A"},"names[first_name]":"B"}'),
    "not_an_object": (FLUENT, "application/json", b'["kari@example.no"]'),
    "intent_field_missing": (PRIVACY, "application/json", b'{"your-email":"kari@example.no"}'),
    "intent_not_listed": (PRIVACY, "application/json", b'{"your-email":"kari@example.no","form_kind":"Withdraw"}'),
}


def test_a_renamed_field_is_parked_and_never_guessed(plugins: World) -> None:
    for form, content_type, body in RENAMED.values():
        assert status_of(send(plugins.client, form, body, content_type, TOKEN)) == (200, "parked")
    assert plugins.statuses() == [("parked", reason) for reason in RENAMED]
    plugins.record()
    assert plugins.leaves() == []


def test_of_several_ticked_choices_each_counts_for_its_purpose(plugins: World) -> None:
    for number, topics in enumerate(("Offers||News", "News", "", "Newsroom||Off")):
        body = php_json({"email": f"kari{number}@example.no", "topics": topics}).encode()
        assert status_of(signed(plugins, "wpforms json", "topics-wpforms", body))[1] == "accepted"
    assert [states for _, states in said(plugins)] == [
        ["given", "given"],
        ["given", "refused"],
        ["refused", "refused"],
        ["refused", "refused"],
    ]


# Intents


def privacy(world: World, kind: Any) -> Message:
    fields = CF7_YES | {"form_kind": kind}
    assert status_of(send(world.client, PRIVACY, json.dumps(fields).encode(), headers=TOKEN)) == (200, "accepted")
    return messages(world)[-1]


def test_one_form_for_several_wishes(plugins: World) -> None:
    signed_up = privacy(plugins, "newsletter")
    assert (signed_up.type, signed_up.decisions[0].state) == (MessageType.SIGN_UP, "given")
    request = privacy(plugins, ["erasure"])
    assert (request.type, request.right, request.email) == (MessageType.REQUEST, "erasure", "zoe@example.test")
    assert (request.profile, request.decisions, request.purposes, request.sent_at_ms) == (None, (), (), None)
    stop = privacy(plugins, "withdraw")
    assert (stop.type, stop.purposes, stop.right) == (MessageType.WITHDRAWAL, tuple(plugins.policy.purposes), None)
    body = b'{"email": "kari@example.no", "consent": "Yes"}'
    assert status_of(send(plugins.client, "access", body, headers=TOKEN))[1] == "accepted"
    assert (messages(plugins)[-1].type, messages(plugins)[-1].right) == (MessageType.REQUEST, "access")


def test_two_wishes_at_once_are_a_question_for_a_human(plugins: World) -> None:
    fields = CF7_YES | {"form_kind": ["withdraw", "access"]}
    assert status_of(send(plugins.client, PRIVACY, json.dumps(fields).encode(), headers=TOKEN))[1] == "parked"
    assert plugins.statuses() == [("parked", "intent_not_listed")]


# The plugins that sign


def companion(**changes: Any) -> bytes:
    fields = {"email": "kari@example.no", "first_name": "Kari", "newsletter": "1"}
    envelope = {"type": "submission", "site": "https://www.example.no", "plugin": "contact-form-7", "form": "12"}
    return json.dumps(envelope | {"submitted_at": "2026-11-23T01:25:45Z", "fields": fields} | changes).encode()


def test_the_companion_plugin_and_its_ping(plugins: World) -> None:
    assert status_of(signed(plugins, "standard v1", COMPANION, companion()))[1] == "accepted"
    (message,) = messages(plugins)
    assert (message.email, message.profile) == ("kari@example.no", {"first_name": "Kari"})
    assert (message.decisions[0].state, message.sent_at_ms, message.unread) == ("given", 1_795_397_145_000, ())
    assert status_of(signed(plugins, "standard v1", COMPANION, companion()))[1] == "duplicate"


def test_a_topic_that_nobody_asked_for_is_200_and_leaves_no_entry(plugins: World) -> None:
    assert status_of(signed(plugins, "standard v1", COMPANION, companion(type="ping")))[1] == "accepted"
    assert status_of(order(plugins, topic="order.deleted"))[1] == "accepted"
    assert [message.type for message in messages(plugins)] == [MessageType.IGNORED, MessageType.IGNORED]
    plugins.record()
    assert plugins.leaves() == []
    assert status_of(order(plugins, topic="", webhook="9"))[1] == "parked"
    assert plugins.statuses()[-1] == ("parked", "topic_missing")


def test_wp_webhooks_nests_and_signs(plugins: World) -> None:
    body = json.dumps({"email": "kari@example.no", "newsletter": "1", "form_data": {"phone": "+4790000000"}}).encode()
    assert status_of(signed(plugins, "wp webhooks", "newsletter-wp-webhooks", body))[1] == "accepted"
    assert said(plugins) == [("kari@example.no", ["given"])]
    assert messages(plugins)[0].unread == ("form_data.phone",)


def order(world: World, topic: str = "order.created", webhook: str = "4", **changes: Any) -> Any:
    document = {
        "id": 81,
        "date_created_gmt": "2026-11-23T01:31:25",
        "date_modified_gmt": "2026-11-23T01:31:27",
        "billing": {"first_name": "Zo&euml;", "last_name": "O&#039;Neil &amp; S\u00f6hne", "email": "zoe@example.test"},
        "meta_data": [{"id": 1, "key": "_newsletter", "value": "1"}, {"id": 2, "key": "x", "value": {"a": 1}}],
        "line_items": [{"name": "A course", "total": "1.00"}],
    }
    headers = {
        "X-WC-Webhook-ID": webhook,
        "X-WC-Webhook-Topic": topic,
        "X-WC-Webhook-Source": "https://www.example.no/",
    }
    return signed(world, "woocommerce", ORDERS, json.dumps(document | changes).encode(), headers)


def test_an_order_says_yes_in_its_meta_data(plugins: World) -> None:
    assert status_of(order(plugins)) == (200, "accepted")
    (message,) = messages(plugins)
    assert message.profile == {"first_name": "Zoë", "last_name": "O'Neil & Söhne"}
    assert [one.state for one in message.decisions] == ["given"]
    assert (message.sent_at_ms, message.unread) == (1_795_397_485_000, ())
    plugins.record()
    assert plugins.kinds() == [("consent.requested", "newsletter")]


def test_what_tells_woocommerces_deliveries_apart(plugins: World) -> None:
    """Webhook, resource and the time of its last change; what is said differently under the same is a conflict."""
    assert status_of(order(plugins))[1] == "accepted"
    assert status_of(order(plugins, status="completed"))[1] == "duplicate"
    assert status_of(order(plugins, meta_data=[{"key": "_newsletter", "value": "0"}]))[1] == "conflict"
    for another in ({"webhook": "5"}, {"id": 82}, {"date_modified_gmt": "2026-11-23T01:40:00"}):
        assert status_of(order(plugins, **another))[1] == "accepted"


def test_two_customers_with_the_same_delivery_id_are_two(plugins: World) -> None:
    for name in ("A", "B", "A"):
        capture = read_capture(f"woocommerce_customer-created_{name}_same-delivery-id.http")
        assert send_capture(plugins.client, CUSTOMERS, capture).status_code == 200
    assert said(plugins) == [("zoe@example.test", []), ("bo@example.test", [])]


# Tests and pings


def test_woocommerces_unsigned_ping_is_200_and_nothing_is_stored(plugins: World) -> None:
    assert status_of(send_capture(plugins.client, CUSTOMERS, PING)) == (200, "ignored")
    assert plugins.statuses() == []


def test_nothing_else_unsigned_is_a_ping(plugins: World) -> None:
    for body in (b"webhook_id=1&email=kari@example.no", b"webhook_id=x", b"webhook_id=1\n", b""):
        assert send(plugins.client, CUSTOMERS, body, FORM).status_code == 401
    assert send(plugins.client, SIMPLE, PING.body, FORM).status_code == 401
    assert plugins.statuses() == []


def test_forminators_test_is_200_and_nothing_is_stored_but_only_for_who_knows_the_secret(plugins: World) -> None:
    capture = read_capture("forminator_webhook_consent-yes.http")
    test = {"X-Hook-Test": "true"}
    assert status_of(send(plugins.client, FORMINATOR, capture.body, headers=TOKEN | test)) == (200, "ignored")
    assert send(plugins.client, FORMINATOR, capture.body, headers=test).status_code == 401
    assert plugins.statuses() == []
    assert (
        status_of(send(plugins.client, FORMINATOR, capture.body, headers=TOKEN | {"X-Hook-Test": "0"}))[1] == "accepted"
    )
