"""The whole circle: a form in a real WordPress, the service, and what the ledger says coming true in that WordPress."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from tests.wordpress.site import LISTS, SECRET, Site
from tests.world import ROOT, World, settings_for

KARI, OLA = "kari@example.no", "ola@example.no"
# As docs/senders/companion.md has it: one form of WPForms, and what is unsubscribed or asked for inside WordPress.
FORMS = {
    "wpforms:7": "newsletter-companion",
    "mailpoet:unsubscribed": "unsubscribed-companion",
    "wordpress:remove_personal_data": "erasure-companion",
}
POLICY = """
[forms.newsletter-companion]
dialect = "companion"
intent = "consent"
fields = { email = "fields.2", first_name = "fields.1.first", last_name = "fields.1.last" }
time_field = "submitted_at"
notice = "personvern-1"
[[forms.newsletter-companion.consent]]
field = "fields.3"
accepted = ["I agree"]
purposes = ["newsletter"]

[forms.unsubscribed-companion]
dialect = "companion"
intent = "withdrawal"
purposes = ["newsletter"]
fields = { email = "fields.email" }
time_field = "submitted_at"

[forms.erasure-companion]
dialect = "companion"
intent = "request"
right = "erasure"
fields = { email = "fields.email" }
"""


@pytest.fixture
def world(site: Site, tmp_path: Path) -> Iterator[World]:
    """An installation that knows this site."""
    policy_file = tmp_path / "policy.toml"
    policy_file.write_text((ROOT / "policy.toml").read_text(encoding="utf-8") + POLICY, encoding="utf-8")
    settings = settings_for(tmp_path / "var", policy_file=policy_file)
    settings = replace(settings, wordpress_url=site.url, wordpress_secret=SECRET)
    made = World(replace(settings, form_secrets=dict.fromkeys((*FORMS.values(), "newsletter"), (SECRET,))))
    yield made
    made.close()


@contextmanager
def door(world: World, site: Site) -> Iterator[None]:
    """The service over HTTP, known to the site for as long as this lasts."""
    server = make_server("127.0.0.1", 0, world.client.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    connect(site, f"http://127.0.0.1:{server.server_port}")
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def connect(site: Site, url: str) -> None:
    purposes = {"newsletter": {"mailpoet": 3}, "offers": {"mailpoet": 4}, "information": [], "profiling": []}
    site.configure({"SAMTYKKE_URL": url, "SAMTYKKE_FORMS": FORMS, "SAMTYKKE_PURPOSES": purposes, "TEST_LISTS": LISTS})


def flush(site: Site) -> None:
    site.run("global $wpdb; $wpdb->query( 'UPDATE wp_samtykke_outbox SET next_at = 0' ); samtykke_flush();")


def state(site: Site, purpose: str = "newsletter") -> str:
    told = site.ask("status", reference="1", emails=[KARI], purposes=[purpose])["purposes"]
    return str(told[purpose])


def endings(world: World) -> list[tuple[str, str]]:
    """Of the relays to WordPress, as the ledger has them."""
    leaves = [leaf for leaf in world.leaves() if leaf.get("processor") == "wordpress"]
    return [(leaf["action"], leaf["outcome"]) for leaf in leaves]


def subscribe(world: World, site: Site) -> None:
    """Kari fills in the form while the service is away, confirms, and is on MailPoet's list."""
    connect(site, "http://127.0.0.1:9")
    site.fire("wpforms", email=KARI, times=2)
    site.fire("wpforms", email=OLA, entry=16, ticked=False)
    site.run_cron()
    assert world.statuses() == []
    with door(world, site):
        flush(site)
        flush(site)
    assert len(world.statuses()) == 2
    world.record()
    assert world.check(KARI)["reason"] == "requested"
    assert world.check(OLA)["reason"] == "refused"
    world.carry()
    assert world.confirm().status_code == 200
    world.record()
    assert world.check(KARI)["allowed"] is True
    world.carry()
    assert state(site) == "subscribed"


def test_a_form_is_sent_a_consent_arrives_and_a_withdrawal_comes_back(world: World, site: Site) -> None:
    subscribe(world, site)
    world.client.post(world.link("w"), data={"List-Unsubscribe": "One-Click"})
    world.record()
    world.carry(urgent=True)
    assert state(site) == "unsubscribed"
    assert endings(world) == [("give", "done"), ("withdraw", "removed")]
    assert site.mails() == []
    assert json.loads(world.command("ledger", "verify", "--json").stdout)["verified"] is True


def test_who_unsubscribes_in_mailpoet_is_withdrawn_everywhere(world: World, site: Site) -> None:
    subscribe(world, site)
    with door(world, site):
        site.run(f"( new Test_MailPoet() )->unsubscribe( '{KARI}' );")
        site.run_cron()
    world.record()
    assert world.check(KARI)["reason"] == "withdrawn"


def test_who_asks_for_erasure_in_wordpress_is_erased_in_every_corner_of_it(world: World, site: Site) -> None:
    subscribe(world, site)
    site.run(
        f"update_option( 'notes-admin', array( '{KARI}', '{KARI}', '{KARI}', '{OLA}' ) );"
        f" wp_insert_user( array( 'user_login' => 'kari', 'user_pass' => 'x', 'user_email' => '{KARI}' ) );"
    )
    with door(world, site):
        asked = f"$id = wp_create_user_request( '{KARI}', 'remove_personal_data' );"
        site.run(f"{asked} do_action( 'user_request_action_confirmed', $id );")
        site.run_cron()
    world.record()
    assert ("request.received", None) in world.kinds()  # it waits for the operator, who sees who asks
    assert world.command("subjects", "erase", "--email", KARI, "--yes").exit_code == 0
    world.carry(urgent=True)
    assert site.run("return array_values( get_option( 'notes-admin' ) );") == [OLA]
    assert site.ask("account", email=KARI)["user"] is None
    assert endings(world)[-1] == ("erase", "removed")
