"""From the hook of a form plugin to the service: kept until it is there, sent signed, once, and then forgotten."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.wordpress.receiver import Receiver
from tests.wordpress.site import LISTS, SHOP, Site

EMAIL = "zoe@example.test"
# Plugin, its form, the entry (None: made by us), fields when ticked, and the field that says no by an empty text.
HOOKS: list[tuple[str, str, str | None, dict[str, Any], str]] = [
    (
        "contact-form-7",
        "12",
        None,
        {
            "your-email": EMAIL,
            "first-name": "Zoë O'Neil",
            "topics": ["offers", "news"],
            "newsletter": "1",
            "entry": "15",
        },
        "newsletter",
    ),
    (
        "gravityforms",
        "1",
        "15",
        {"1.3": "Zoë", "1.6": "O'Neil", "2": EMAIL, "5.1": "1", "5.2": "I agree"},
        "5.1",
    ),
    (
        "wpforms",
        "7",
        "15",
        {
            "1": {"value": "Zoë O'Neil", "first": "Zoë", "middle": "", "last": "O'Neil"},
            "2": EMAIL,
            "3": "I agree",
        },
        "3",
    ),
    ("elementor", "7f3a91c", None, {"email": EMAIL, "consent": "on", "number": "15"}, "consent"),
    (
        "fluentform",
        "3",
        "15",
        {"email": EMAIL, "newsletter": "on", "names": {"first_name": "Zoë", "last_name": "O'Neil"}},
        "newsletter",
    ),
    ("formidable", "2", "15", {"email": EMAIL, "newsletter": "Yes"}, "newsletter"),
    ("ninja-forms", "4", "15", {"email_1": EMAIL, "consent_2": "1"}, "consent_2"),
    ("forminator", "16", "15", {"email-1": EMAIL, "consent-1": "checked"}, "consent-1"),
    ("ws-form", "5", "15", {"field_1": EMAIL, "field_2": "Yes"}, "field_2"),
    ("jetpack", "1", "15", {"g9-email": EMAIL, "g9-consent": "Yes"}, "g9-consent"),
]
FORMS = {f"{plugin}:{form}": "newsletter-companion" for plugin, form, *_ in HOOKS}


def connect(site: Site, url: str, **constants: object) -> None:
    site.configure({"SAMTYKKE_URL": url, "SAMTYKKE_FORMS": FORMS, **constants})


def make_due(site: Site) -> None:
    """As if the pause after a failed attempt were over."""
    site.run("global $wpdb; $wpdb->query( 'UPDATE wp_samtykke_outbox SET next_at = 0' ); samtykke_flush();")


def figures(site: Site) -> tuple[int, int]:
    told = site.ask("outbox", after=0)
    return told["waiting"], told["dead"]


@pytest.mark.parametrize(("plugin", "form", "entry", "fields", "said_no"), HOOKS, ids=[hook[0] for hook in HOOKS])
def test_every_form_plugin_arrives_in_one_shape(
    site: Site,
    receiver: Receiver,
    plugin: str,
    form: str,
    entry: str | None,
    fields: dict[str, Any],
    said_no: str,
) -> None:
    connect(site, receiver.url)
    began_s = int(time.time())
    site.fire(plugin, times=2)
    site.fire(plugin, ticked=False, entry=20)
    site.run_cron()
    ticked, not_ticked = (delivery.document() for delivery in receiver.deliveries)
    assert ticked["fields"] == fields
    assert not_ticked["fields"][said_no] == ""
    assert {name: ticked[name] for name in ("type", "site", "plugin", "form")} == {
        "type": "submission",
        "site": site.url,
        "plugin": plugin,
        "form": form,
    }
    assert ticked["entry"] == entry or (entry is None and len(ticked["entry"]) == 32)
    assert ticked["entry"] != not_ticked["entry"]
    assert ticked["submitted_at"].endswith("Z")
    if plugin not in ("contact-form-7", "gravityforms"):
        assert ticked["submitted_at"] >= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began_s))
    assert receiver.deliveries[0].path == "/webhooks/forms/newsletter-companion"
    assert f"; {site.url}" in receiver.deliveries[0].headers["user-agent"]  # the service reads the site from it


def test_the_times_are_the_plugins_own(site: Site, receiver: Receiver) -> None:
    connect(site, receiver.url)
    site.fire("contact-form-7")
    site.fire("gravityforms")
    site.run_cron()
    times = [delivery.document()["submitted_at"] for delivery in receiver.deliveries]
    assert times == [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_795_400_000)), "2026-11-23T01:25:45Z"]


def test_the_same_person_twice_is_two_submissions_where_the_plugin_counts_none(site: Site, receiver: Receiver) -> None:
    connect(site, receiver.url)
    site.fire("elementor")
    site.fire("elementor")
    site.run_cron()
    assert len({delivery.document()["entry"] for delivery in receiver.deliveries}) == 2


def test_while_the_service_is_down_it_is_kept_and_then_sent_as_the_same(site: Site, receiver: Receiver) -> None:
    connect(site, "http://127.0.0.1:9")
    site.fire("wpforms")
    site.run_cron()
    assert figures(site) == (1, 0)
    connect(site, receiver.url)
    for receiver.status in (500, 204, 302, 401):  # nothing but 200 says that it was taken
        make_due(site)
    assert figures(site) == (1, 0)
    receiver.status = 200
    make_due(site)
    assert figures(site) == (0, 0)
    assert len({delivery.headers["webhook-id"] for delivery in receiver.deliveries}) == 1
    assert len({delivery.body for delivery in receiver.deliveries}) == 1
    make_due(site)
    assert len(receiver.deliveries) == 5


def test_several_that_send_at_once_send_each_submission_once(site: Site, receiver: Receiver) -> None:
    connect(site, receiver.url)
    for entry in range(1, 6):
        site.fire("wpforms", entry=entry)
    with ThreadPoolExecutor(4) as senders:
        list(senders.map(lambda _: site.run("samtykke_flush();"), range(4)))
    assert sorted(delivery.document()["entry"] for delivery in receiver.deliveries) == ["1", "2", "3", "4", "5"]
    assert figures(site) == (0, 0)


def test_it_waits_longer_after_every_attempt(site: Site, receiver: Receiver) -> None:
    connect(site, receiver.url)
    receiver.status = 500
    site.fire("wpforms")
    pauses, left = [], "global $wpdb; return $wpdb->get_var( 'SELECT next_at FROM wp_samtykke_outbox' ) - time();"
    for _ in range(3):
        make_due(site)
        pauses.append(site.run(left))
    assert [round(pause / 60) for pause in pauses] == [1, 2, 4]
    site.run("samtykke_flush(); return true;")
    assert len(receiver.deliveries) == 3, "it is not due yet"


def test_what_was_sent_is_forgotten_but_for_its_number(site: Site, receiver: Receiver) -> None:
    connect(site, receiver.url)
    site.fire("wpforms")
    assert EMAIL in (site.folder / "wordpress.sqlite").read_bytes().decode("latin-1")
    site.run_cron()
    (entry,) = site.ask("outbox", after=0)["entries"]
    assert entry == {
        "number": 1,
        "id": receiver.deliveries[0].headers["webhook-id"],
        "plugin": "wpforms",
        "form": "7",
        "entry": "15",
        "submitted_at": receiver.deliveries[0].document()["submitted_at"],
        "state": "sent",
    }
    assert site.run("global $wpdb; return $wpdb->get_var( 'SELECT LENGTH(body) FROM wp_samtykke_outbox' );") == "0"
    assert site.ask("outbox", after=1)["entries"] == []


def test_after_two_weeks_an_administrator_is_told_and_may_send_it_again(site: Site, receiver: Receiver) -> None:
    connect(site, receiver.url)
    receiver.status = 500
    site.fire("wpforms")
    site.run("global $wpdb; return $wpdb->query( 'UPDATE wp_samtykke_outbox SET attempts = 63' );")
    make_due(site)
    assert figures(site) == (0, 1)
    problems = site.run("return samtykke_problems();")
    assert problems == ["1 submissions were given up. Send them again by: wp samtykke retry"]
    receiver.status = 200
    make_due(site)
    assert len(receiver.deliveries) == 1
    stub = "class WP_CLI { static function log( $text ) { $GLOBALS['said'] = $text; } }"
    assert site.run(f"{stub} samtykke_retry(); return $GLOBALS['said'];") == "waiting: 0, dead: 0"
    assert len(receiver.deliveries) == 2


def test_where_the_tables_are_gone_they_are_made_again_and_the_submission_is_kept(
    site: Site, receiver: Receiver
) -> None:
    connect(site, receiver.url)
    site.run("global $wpdb; return $wpdb->query( 'DROP TABLE wp_samtykke_outbox' );")
    site.fire("wpforms")
    assert site.complaints() == "", "a statement that failed is not logged with what the visitor wrote"
    site.run_cron()
    assert len(receiver.deliveries) == 1


def test_a_form_that_nobody_has_named_is_neither_kept_nor_sent(site: Site, receiver: Receiver) -> None:
    site.configure({"SAMTYKKE_URL": receiver.url, "SAMTYKKE_FORMS": {"wpforms:8": "newsletter-companion"}})
    site.fire("wpforms")
    site.run_cron()
    assert (receiver.deliveries, site.ask("outbox", after=0)["entries"]) == ([], [])


def test_a_copy_of_the_site_sends_nothing(site: Site, receiver: Receiver) -> None:
    connect(site, receiver.url, SAMTYKKE_SITE="https://www.example.no")
    site.fire("wpforms")
    site.run_cron()
    assert (receiver.deliveries, site.ask("outbox", after=0)["entries"]) == ([], [])
    assert site.run("return samtykke_problems();") == [
        "This is not the site of SAMTYKKE_SITE, so nothing is sent from here."
    ]


def test_a_broken_hook_never_reaches_the_visitor_and_is_logged_without_a_word_of_theirs(
    site: Site, receiver: Receiver
) -> None:
    connect(site, receiver.url)
    assert site.run("do_action( 'wpcf7_before_send_mail', 'kari@example.no' ); return 'sent';") == "sent"
    complaints = site.complaints()
    assert "samtykke: samtykke_from_contact_form_7: Error" in complaints
    assert "kari" not in complaints
    (site.folder / "debug.log").unlink()


def test_local_unsubscriptions_reach_the_service(site: Site, receiver: Receiver) -> None:
    forms = {"mailpoet:unsubscribed": "unsubscribed", "newsletter:unsubscribed": "unsubscribed"}
    site.configure({"SAMTYKKE_URL": receiver.url, "SAMTYKKE_FORMS": forms, "TEST_LISTS": LISTS})
    site.run(
        "$api = new Test_MailPoet(); $api->addSubscriber( array( 'email' => 'kari@example.no' ), array( 3 ),"
        " array( 'send_confirmation_email' => false ) ); $api->unsubscribe( 'kari@example.no' );"
        " do_action( 'newsletter_unsubscribed', (object) array( 'email' => 'ola@example.no' ) ); return true;"
    )
    site.run_cron()
    documents = [delivery.document() for delivery in receiver.deliveries]
    assert [(each["plugin"], each["fields"]) for each in documents] == [
        ("mailpoet", {"email": "kari@example.no"}),
        ("newsletter", {"email": "ola@example.no"}),
    ]


def test_an_erasure_that_is_asked_for_in_wordpress_reaches_the_service_once(site: Site, receiver: Receiver) -> None:
    forms = {"wordpress:remove_personal_data": "erasure"}
    site.configure({"SAMTYKKE_URL": receiver.url, "SAMTYKKE_FORMS": forms})
    site.run(
        "$id = wp_create_user_request( 'kari@example.no', 'remove_personal_data' );"
        " do_action( 'user_request_action_confirmed', $id ); do_action( 'wp_privacy_personal_data_erased', $id );"
        " return true;"
    )
    site.run_cron()
    (document,) = [delivery.document() for delivery in receiver.deliveries]
    assert (document["form"], document["fields"]) == ("remove_personal_data", {"email": "kari@example.no"})


def test_orders_and_customers_reach_the_service_but_its_own_orders_do_not(site: Site, receiver: Receiver) -> None:
    forms = {"woocommerce:order": "orders", "woocommerce:customer": "customers"}
    site.configure({"SAMTYKKE_URL": receiver.url, "SAMTYKKE_FORMS": forms, "TEST_SHOP": SHOP})
    site.run(
        "class Test_Bought extends Test_Order { function get_meta_data() { return array( (object) array("
        " 'key' => '_newsletter', 'value' => '1' ) ); } function get_billing_email() { return 'kari@example.no'; }"
        " function get_billing_first_name() { return 'Kari'; } function get_billing_last_name() { return 'Nordmann'; }"
        " function get_billing_company() { return ''; } }"
        " do_action( 'woocommerce_order_status_completed', 7, new Test_Bought() );"
        " $kari = array( 'user_login' => 'kari', 'user_pass' => 'x', 'user_email' => 'kari@example.no' );"
        " do_action( 'woocommerce_created_customer', wp_insert_user( $kari ) ); return true;"
    )
    assert site.ask("grant", reference="5a3c", emails=["ola@example.no"], woocommerce_product=42)["outcome"] == "done"
    site.run_cron()
    documents = [delivery.document() for delivery in receiver.deliveries]
    assert [(each["form"], each["fields"]["email"]) for each in documents] == [
        ("order", "kari@example.no"),
        ("customer", "kari@example.no"),
    ]
    assert documents[0]["fields"]["meta"] == {"_newsletter": "1"}
