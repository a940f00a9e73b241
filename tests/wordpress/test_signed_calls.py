"""Who may call the plugin: whoever can sign, for one route, within five minutes, once."""

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.wordpress.site import ADMINISTRATOR, SECRET, Site, signed

OTHER_SECRET = "whsec_" + base64.b64encode(b"of somebody else, altogether").decode()
PERSON = {"reference": "5a3c", "emails": ["kari@example.no"]}
BODIES: list[tuple[str, Any]] = [
    ("status", []),
    ("status", {**PERSON, "purposes": []}),
    ("status", {**PERSON, "purposes": ["News Letter"]}),
    ("status", {**PERSON, "purposes": "newsletter"}),
    ("withdraw", {"reference": "5a3c", "emails": ["kari"], "purposes": ["newsletter"]}),
    ("withdraw", {"reference": "5a3c", "emails": [], "purposes": ["newsletter"]}),
    ("withdraw", {"emails": ["kari@example.no"], "purposes": ["newsletter"]}),
    ("rectify", {**PERSON, "profile": {"first_name": 7}}),
    ("rectify", {**PERSON, "profile": {"email": "kari"}}),
    ("grant", PERSON),
    ("grant", {**PERSON, "role": "subscriber", "woocommerce_product": 42}),
    ("grant", {**PERSON, "woocommerce_product": "42"}),
    ("erase", {"reference": "5a3c", "email": "kari@example.no", "eraser": "notes-front", "page": 0}),
    ("erase", {"reference": "5a3c", "email": "kari@example.no", "eraser": "no-such", "page": 1}),
    ("export", {"email": "kari@example.no", "exporter": "no-such", "page": 1}),
    ("export", {"email": "kari@example.no", "exporter": "notes-front", "page": "1"}),
    ("outbox", {"after": -1}),
    ("account", {}),
]


def about(route: str = "samtykke/v1/about") -> str:
    return json.dumps({"route": route})


def refusal(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_it_says_what_the_site_is(site: Site) -> None:
    told = site.ask("about")
    assert (told["version"], told["wordpress"][:2], told["plugins"]) == ("1.0.0", "6.", [])
    assert (told["cron"], told["erasers"], told["exporters"]) == ("system", 6, 6)


def test_without_a_good_signature_nothing_is_told(site: Site) -> None:
    raw = about()
    good = signed(raw)
    for headers in (
        {},
        {**good, "webhook-signature": "v1,AAAA"},
        {**good, "webhook-id": "msg_other"},
        {**good, "webhook-timestamp": str(int(time.time()) + 1)},
        {**good, "webhook-timestamp": "now"},
        signed(raw, at_s=int(time.time()) - 310),
        signed(raw, at_s=int(time.time()) + 310),
        signed(raw, secret=OTHER_SECRET),
        signed(about("samtykke/v1/status")),
    ):
        assert refusal(site.post("about", raw.encode(), headers)) == (401, "samtykke_unauthorized")
    assert refusal(site.post("about", raw.encode() + b" ", good)) == (401, "samtykke_unauthorized")
    assert site.post("about", raw.encode(), good).status_code == 200


def test_a_signature_counts_once_and_for_its_route_only(site: Site) -> None:
    raw = about()
    headers = signed(raw)
    assert site.post("erasers", raw.encode(), headers).status_code == 401
    assert site.post("about", raw.encode(), headers).status_code == 200
    assert refusal(site.post("about", raw.encode(), headers)) == (401, "samtykke_unauthorized")


def test_of_several_at_once_one_counts(site: Site) -> None:
    raw = about()
    headers = signed(raw)
    with ThreadPoolExecutor(4) as callers:
        answers = list(callers.map(lambda _: site.post("about", raw.encode(), headers).status_code, range(8)))
    assert sorted(answers) == [200] + [401] * 7


def test_an_administrator_without_a_signature_is_nobody(site: Site) -> None:
    login = (ADMINISTRATOR, site.application_password)
    users = requests.get(f"{site.url}/wp-json/wp/v2/users/me", auth=login, timeout=60)
    assert users.status_code == 200
    answer = requests.post(f"{site.url}/wp-json/samtykke/v1/about", json={"route": "about"}, auth=login, timeout=60)
    assert refusal(answer) == (401, "samtykke_unauthorized")


def test_during_a_change_both_secrets_count_and_without_any_nothing_does(site: Site) -> None:
    site.configure({"SAMTYKKE_SECRET": f"{OTHER_SECRET},{SECRET}"})
    for secret in (SECRET, OTHER_SECRET):
        assert site.post("about", about().encode(), signed(about(), secret=secret)).status_code == 200
    for unusable in ("", "whsec_", "whsec_AAAA", "not one"):
        site.configure({"SAMTYKKE_SECRET": unusable})
        assert site.post("about", about().encode(), signed(about())).status_code == 401


@pytest.mark.parametrize(("route", "body"), BODIES)
def test_a_body_that_is_not_as_agreed_is_refused(site: Site, route: str, body: Any) -> None:
    answer = site.call(route, **body) if isinstance(body, dict) else None
    if answer is None:
        raw = json.dumps(body)
        answer = site.post(route, raw.encode(), signed(raw))
    assert refusal(answer) == (400, "samtykke_invalid")
    assert "kari" not in answer.text


def test_what_is_no_json_is_told_to_nobody_who_cannot_sign(site: Site) -> None:
    raw = '{"route": '
    assert refusal(site.post("about", raw.encode(), {})) == (401, "samtykke_unauthorized")
    assert refusal(site.post("about", raw.encode(), signed(raw))) == (400, "samtykke_invalid")
    huge = json.dumps({"route": "samtykke/v1/about", "more": "x" * 300_000})
    assert refusal(site.post("about", huge.encode(), signed(huge))) == (401, "samtykke_unauthorized")


def test_a_route_that_is_not_there_is_wordpress_own_answer(site: Site) -> None:
    assert refusal(site.call("nothing")) == (404, "rest_no_route")
    assert requests.get(f"{site.url}/wp-json/samtykke/v1/about", timeout=60).status_code == 404


def test_it_answers_without_pretty_addresses_too(site: Site) -> None:
    raw = about()
    url = f"{site.url}/index.php?rest_route=/samtykke/v1/about"
    headers = {"Content-Type": "application/json", **signed(raw)}
    assert requests.post(url, data=raw, headers=headers, timeout=60).json()["version"] == "1.0.0"
