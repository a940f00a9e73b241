"""Sites: a form that names its sites takes nothing from a copy of the site, even with the right secret."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.webhooks.capture import inbox_rows, post, read_capture
from tests.webhooks.plugins import plugin_world, send_capture
from tests.world import ROOT, World, settings_for

FORM = "newsletter-contact-form-7"
BODY = b'{"your-email": "kari@example.no", "first-name": "Kari", "gdpr-consent": "1"}'


@pytest.fixture
def bound_world(tmp_path: Path) -> Iterator[World]:
    shipped = (ROOT / "policy.toml").read_text(encoding="utf-8")
    bound = re.sub(rf"(\[forms\.{FORM}\].*?)sites = \[\]", r'\1sites = ["www.example.no"]', shipped, flags=re.DOTALL)
    assert bound != shipped
    policy_file = tmp_path / "policy.toml"
    policy_file.write_text(bound, encoding="utf-8")
    made = World(settings_for(tmp_path / "var", policy_file=policy_file))
    yield made
    made.close()


def test_a_named_site_is_heard(bound_world: World) -> None:
    agent = "WordPress/6.8.12; https://www.example.no"
    assert post(bound_world, FORM, BODY, **{"User-Agent": agent}).status_code == 200


@pytest.mark.parametrize(
    "agent",
    [
        "WordPress/6.8.12; https://vizprostage.wpengine.com",
        "WordPress/6.8.12; https://www.example.no.evil.example",
        "WordPress/6.8.12; https://evil.example/?https://www.example.no",
        "curl/8.0",
        "",
    ],
)
def test_another_site_or_none_is_refused_and_nothing_is_stored(bound_world: World, agent: str) -> None:
    answer = post(bound_world, FORM, BODY, **{"User-Agent": agent})
    assert (answer.status_code, answer.get_json()["error"]["reason"]) == (401, "site_not_allowed")
    assert inbox_rows(bound_world) == 0


@pytest.mark.parametrize(
    ("agent", "status"),
    [
        ("WordPress/6.8.12; https://vizprostage.wpengine.com", 401),
        ("WordPress/6.8.12; https://VIZPROSTAGE.WPEnginePowered.com:443", 401),
        ("WordPress/6.8.12; https://wpengine.com.example.no", 200),
        ("WordPress/6.8.12; https://www.example.no", 200),
        ("curl/8.0", 200),
    ],
)
def test_a_form_that_names_no_sites_takes_any_but_a_staging_copy(world: World, agent: str, status: int) -> None:
    assert post(world, FORM, BODY, **{"User-Agent": agent}).status_code == status
    assert inbox_rows(world) == (1 if status == 200 else 0)


def test_a_site_is_asked_for_only_of_who_knows_the_secret(world: World) -> None:
    headers = {"User-Agent": "WordPress/6.8; https://x.wpengine.com", "X-Gdpr-Token": "wrong"}
    answer = world.client.post(f"/webhooks/forms/{FORM}", data=BODY, content_type="application/json", headers=headers)
    assert answer.get_json()["error"]["reason"] == "secret_mismatch"


def test_woocommerce_names_its_site_in_a_header_of_its_own(tmp_path: Path) -> None:
    world = plugin_world(tmp_path)
    capture = read_capture("woocommerce_customer-created_A_same-delivery-id.http")
    staged = {**capture.headers, "X-WC-Webhook-Source": "https://shopstage.wpengine.com/"}
    answer = send_capture(world.client, "customers-woocommerce", replace(capture, headers=staged))
    assert (answer.status_code, answer.get_json()["error"]["reason"]) == (401, "site_not_allowed")
    assert send_capture(world.client, "customers-woocommerce", capture).status_code == 200
    world.close()
