"""What the service asks for is so afterwards, and a second time changes nothing."""

import html
from typing import Any

import pytest

from tests.wordpress.site import LISTS, SHOP, Site

KARI, OLA = "kari@example.no", "ola@example.no"
PERSON: dict[str, Any] = {"reference": "5a3c", "emails": [KARI]}
PURPOSES = {
    "newsletter": {"mailpoet": 3, "newsletter": 1},
    "offers": {"mailpoet": [4]},
    "everything": {"mailpoet": "all", "newsletter": "all"},
    "nothing": [],
}
DONE, NOT_FOUND = {"outcome": "done", "reason": None}, {"outcome": "not_found", "reason": None}


@pytest.fixture
def lists(site: Site) -> Site:
    """With MailPoet and The Newsletter Plugin."""
    site.configure({"TEST_LISTS": LISTS, "SAMTYKKE_PURPOSES": PURPOSES})
    return site


def states(site: Site, *purposes: str) -> list[str]:
    told = site.ask("status", **PERSON, purposes=list(purposes))["purposes"]
    return [told[purpose] for purpose in purposes]


def add_user(site: Site, email: str, role: str = "subscriber", **members: str) -> int:
    given = {"user_login": email.split("@")[0], "user_pass": "x", "user_email": email, "role": role, **members}
    pairs = ", ".join(f"'{name}' => '{value}'" for name, value in given.items())
    number: int = site.run(f"return wp_insert_user( array( {pairs} ) );")
    return number


def test_who_is_known_to_no_list_is_unknown_and_not_found(lists: Site) -> None:
    assert states(lists, "newsletter", "offers") == ["unknown", "unknown"]
    assert lists.ask("withdraw", **PERSON, purposes=["newsletter"]) == NOT_FOUND


def test_given_and_withdrawn_on_both_lists_and_no_other(lists: Site) -> None:
    for _ in range(2):
        assert lists.ask("give", **PERSON, purposes=["newsletter", "offers"]) == DONE
        assert states(lists, "newsletter", "offers") == ["subscribed", "subscribed"]
    for _ in range(2):
        answer = lists.ask("withdraw", **PERSON, purposes=["newsletter"])
        assert answer == {"outcome": "removed", "reason": None}
        assert states(lists, "newsletter", "offers") == ["unsubscribed", "subscribed"]
    assert lists.run("return get_option( 'test_newsletter' );")[KARI]["list_1"] == 0
    assert lists.mails() == [], "the service has the confirmation already"


def test_the_whole_subscription_is_withdrawn_twice_without_an_error_and_does_not_come_back_to_us(lists: Site) -> None:
    lists.configure(
        {
            "TEST_LISTS": LISTS,
            "SAMTYKKE_PURPOSES": PURPOSES,
            "SAMTYKKE_FORMS": {"mailpoet:unsubscribed": "unsubscribed"},
        }
    )
    lists.ask("give", **PERSON, purposes=["newsletter"])
    for _ in range(2):
        assert lists.ask("withdraw", **PERSON, purposes=["everything"])["outcome"] == "removed"
    assert states(lists, "everything", "newsletter") == ["unsubscribed", "unsubscribed"]
    assert lists.ask("outbox", after=0)["entries"] == []


def test_one_subscription_of_any_address_counts(lists: Site) -> None:
    lists.ask("give", **PERSON, purposes=["offers"])
    told = lists.ask("status", reference="5a3c", emails=[OLA, KARI], purposes=["offers"])
    assert told == {"purposes": {"offers": "subscribed"}}


def test_a_purpose_that_nobody_listed_is_a_task_and_one_without_lists_is_not(lists: Site) -> None:
    unlisted = {"outcome": "not_covered", "reason": "purpose_without_list"}
    assert lists.ask("withdraw", **PERSON, purposes=["newsletter", "profiling"]) == unlisted
    assert lists.ask("give", **PERSON, purposes=["profiling"]) == unlisted
    assert lists.ask("withdraw", **PERSON, purposes=["nothing"]) == NOT_FOUND
    assert lists.ask("give", **PERSON, purposes=["nothing"]) == DONE


def test_a_site_adds_its_own_list_by_three_hooks(site: Site) -> None:
    site.configure({"SAMTYKKE_PURPOSES": {"newsletter": {"crm": 1}}})
    own = """<?php
add_filter( 'samtykke_states', function ( $states, $email, $purpose ) {
	$known = get_option( 'crm', array() );
	return isset( $known[ $email ] ) ? array_merge( $states, array( $known[ $email ] ) ) : $states;
}, 10, 3 );
add_action( 'samtykke_give', function ( $email ) { update_option( 'crm', array( $email => 'subscribed' ) ); } );
add_action( 'samtykke_withdraw', function ( $email ) {
	if ( get_option( 'crm_fails' ) ) { throw new Exception( "no such person: $email" ); }
	update_option( 'crm', array( $email => 'unsubscribed' ) );
} );
"""
    plugin = site.folder / "mu-plugins" / "90-crm.php"
    plugin.write_text(own, encoding="utf-8")
    try:
        assert site.ask("give", **PERSON, purposes=["newsletter"]) == DONE
        assert states(site, "newsletter") == ["subscribed"]
        site.run("return update_option( 'crm_fails', 1 );")
        failed = site.call("withdraw", **PERSON, purposes=["newsletter"])
        assert (failed.status_code, failed.json()["code"]) == (500, "samtykke_failed")
        assert KARI not in failed.text + site.complaints()
        (site.folder / "debug.log").unlink()
        site.run("return delete_option( 'crm_fails' );")
        assert site.ask("withdraw", **PERSON, purposes=["newsletter"])["outcome"] == "removed"
    finally:
        plugin.unlink()


def test_a_restriction_stands_with_the_account_and_is_lifted(site: Site) -> None:
    assert site.ask("restrict", **PERSON) == NOT_FOUND
    add_user(site, KARI)
    assert site.ask("restrict", **PERSON) == DONE
    assert site.ask("account", email=KARI)["restricted"] is True
    assert site.run(f"return samtykke_is_restricted( '{KARI}' );") is True
    assert site.ask("unrestrict", **PERSON) == DONE
    assert site.ask("account", email=KARI)["restricted"] is False


def test_a_list_cannot_pause_so_a_restricted_reader_is_a_task(lists: Site) -> None:
    add_user(lists, KARI)
    lists.ask("give", **PERSON, purposes=["offers"])
    assert lists.ask("restrict", **PERSON) == {"outcome": "not_covered", "reason": "still_subscribed"}
    assert lists.ask("account", email=KARI)["restricted"] is True
    lists.ask("withdraw", **PERSON, purposes=["everything"])
    assert lists.ask("restrict", **PERSON) == DONE


def test_a_rectification_is_there_afterwards_and_mails_nobody(site: Site) -> None:
    number = add_user(site, KARI, first_name="Kari", last_name="Nordman", display_name="Kari Nordman")
    site.run(f"return update_user_meta( {number}, 'billing_company', 'Old AS' );")
    profile = {"email": "kari@example.test", "last_name": "O'Neil & Söhne", "company": "Ny AS"}
    for _ in range(2):
        assert site.ask("rectify", reference="5a3c", emails=[KARI, "kari@example.test"], profile=profile) == DONE
    assert site.ask("account", email=KARI)["user"] is None
    account = site.ask("account", email="kari@example.test")
    assert account == {
        "user": {"id": number, "roles": ["subscriber"]},
        "profile": {
            "email": "kari@example.test",
            "first_name": "Kari",
            "last_name": "O'Neil & Söhne",
            "company": "Ny AS",
        },
        "restricted": False,
    }
    shown = site.run(f"return get_userdata( {number} )->display_name;")
    assert html.unescape(shown) == "Kari O'Neil & Söhne"  # WordPress stores it escaped
    assert site.mails() == []


def test_an_address_of_somebody_else_is_not_taken(site: Site) -> None:
    add_user(site, KARI)
    add_user(site, OLA)
    answer = site.ask("rectify", **PERSON, profile={"email": OLA})
    assert answer == {"outcome": "not_covered", "reason": "email_taken"}
    assert site.ask("rectify", reference="1", emails=["per@example.no"], profile={"last_name": "X"}) == NOT_FOUND


def test_a_role_is_given_beside_the_others_and_taken_away_again(site: Site) -> None:
    assert site.ask("grant", **PERSON, role="subscriber") == NOT_FOUND
    add_user(site, KARI, role="")
    site.run("return (bool) add_role( 'member', 'Member', array( 'read' => true ) );")
    for _ in range(2):
        assert site.ask("grant", **PERSON, role="member") == DONE
    assert site.ask("account", email=KARI, role="member")["granted"] is True
    for _ in range(2):
        assert site.ask("revoke", **PERSON, role="member") == DONE
    assert site.ask("account", email=KARI, role="member")["granted"] is False


@pytest.mark.parametrize("role", ["administrator", "editor", "author", "contributor", "no-such"])
def test_a_role_that_changes_the_site_is_never_given(site: Site, role: str) -> None:
    add_user(site, KARI)
    answer = site.ask("grant", **PERSON, role=role)
    assert answer == {"outcome": "not_covered", "reason": "role_not_allowed"}
    assert site.ask("account", email=KARI)["user"]["roles"] == ["subscriber"]


def test_where_the_site_allows_it_an_account_is_made_once(site: Site) -> None:
    site.configure({"SAMTYKKE_CREATE_ACCOUNTS": True})
    for _ in range(2):
        assert site.ask("grant", **PERSON, role="subscriber") == DONE
    assert [mail["to"] for mail in site.mails()] == [KARI]
    assert "kari" not in site.run(f"return get_user_by( 'email', '{KARI}' )->user_login;")


def test_an_order_delivers_once_and_is_cancelled(site: Site) -> None:
    assert site.ask("grant", **PERSON, woocommerce_product=42)["reason"] == "woocommerce_missing"
    site.configure({"TEST_SHOP": SHOP})
    assert site.ask("grant", **PERSON, woocommerce_product=7)["reason"] == "product_missing"
    for reference in ("5a3c", "5a3c", "77aa"):
        assert site.ask("grant", reference=reference, emails=[KARI], woocommerce_product=42) == DONE
    (order,) = site.run("return array_values( get_option( 'test_orders' ) );")
    assert (order["status"], order["transaction_id"], order["products"]) == ("completed", "samtykke-5a3c", [[42, 1, 0]])
    assert site.ask("account", email=KARI, woocommerce_product=42)["granted"] is True
    assert site.ask("revoke", **PERSON, woocommerce_product=42) == DONE
    assert site.ask("account", email=KARI, woocommerce_product=42)["granted"] is False
    assert site.ask("revoke", **PERSON, woocommerce_product=42) == NOT_FOUND


def test_an_order_that_was_begun_is_ended_and_not_placed_again(site: Site) -> None:
    site.configure({"TEST_SHOP": SHOP})
    site.run(
        "$order = wc_create_order( array( 'customer_id' => 0 ) ); $order->set_transaction_id( 'samtykke-5a3c' );"
        f" $order->set_billing_email( '{KARI}' ); $order->update_meta_data( '_samtykke_product', 42 );"
        " $order->update_meta_data( '_samtykke_reference', '5a3c' ); $order->save(); return true;"
    )
    site.run("return samtykke_take( 'samtykke-5a3c' );")
    assert site.call("grant", **PERSON, woocommerce_product=42).status_code == 409
    site.run("samtykke_release( 'samtykke-5a3c' ); return true;")
    assert site.ask("grant", **PERSON, woocommerce_product=42) == DONE
    assert len(site.run("return get_option( 'test_orders' );")) == 1
