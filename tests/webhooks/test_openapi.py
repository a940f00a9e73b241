"""The published description is the door's: every route, every status and reason, and nothing that is not so."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.routing import Rule

from schemas.api_keys import SCOPES, ApiKey
from tests.simulators.google_push import ACCOUNT, AUDIENCE, SUBSCRIPTION, PushSigner, push_body
from tests.simulators.process import SimulatorProcess
from tests.webhooks.pages import mail_answer, mail_both_links, mail_request
from tests.webhooks.server import HOST, serving
from tests.world import ROOT, World, settings_for
from webhooks.openapi import path_of
from webhooks.operations import OPERATIONS
from webhooks.refusals import ANYWHERE

AUDITOR = "a" * 43 + "="
API_KEY = ApiKey("mailer", SCOPES, "k" * 43)
BY_METHOD = "method_not_allowed"  # 405, by whatever is not described: told once, in words


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """With a checkpoint, an auditor, every kind of link and a receipt."""
    made = World(settings_for(tmp_path_factory.mktemp("described"), auditor_keys=(AUDITOR,), api_keys=(API_KEY,)))
    mail_both_links(made)
    mail_answer(made)
    mail_request(made, "erasure")
    yield made
    made.close()


@pytest.fixture(scope="module")
def document(installation: World) -> dict[str, Any]:
    answer = installation.client.get("/openapi.json")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "public, max-age=3600")
    told: dict[str, Any] = answer.get_json()
    return told


def routes_of(world: World) -> list[tuple[str, Rule]]:
    rules = world.client.application.url_map.iter_rules()
    return [(method, rule) for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}]


def test_every_route_is_described_and_no_other(installation: World, document: dict[str, Any]) -> None:
    told = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    assert told == {(method, path_of(rule)) for method, rule in routes_of(installation)}
    assert set(OPERATIONS) == {(method, rule.rule) for method, rule in routes_of(installation)}


def test_the_statuses_and_reasons_are_those_that_the_page_explains() -> None:
    """tests/console/test_documents.py holds the page against the code."""
    page = (ROOT / "docs/reference/http.md").read_text("utf-8").partition("## Refusals")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([\d, ]+) \| ([^|]+) \|", page, re.MULTILINE)
    explained = {reason for _, reasons in rows for reason in re.findall(r"`(\w+)`", reasons)}
    statuses = {int(status) for statuses, _ in rows for status in statuses.split(", ")}
    told = [operation.reasons() for operation in OPERATIONS.values()]
    assert {reason for each in told for reasons in each.values() for reason in reasons} == explained - {BY_METHOD}
    assert {status for each in told for status in each} == statuses - {405}


def test_who_is_not_public_says_how_to_be_let_in(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            by_path = {"secret", "token", "answer_token"} & {parameter["name"] for parameter in operation["parameters"]}
            can_be_refused = "401" in operation["responses"]
            assert bool(operation["security"] or by_path) >= can_be_refused, (method, path)


def test_what_every_route_can_say_is_said_of_every_route(document: dict[str, Any]) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            assert {str(status) for status in ANYWHERE} <= set(operation["responses"])


@pytest.fixture
def google(tmp_path: Path) -> Iterator[tuple[str, PushSigner]]:
    """Where Google's certificates are, and who signs with them."""
    signer = PushSigner()
    with SimulatorProcess("google", tmp_path) as process:
        process.seed({"certificates": signer.certificates()})
        yield f"{process.url}/oauth2/v1/certs", signer


@pytest.fixture
def served(installation: World, google: tuple[str, PushSigner], tmp_path: Path) -> Iterator[str]:
    """The installation behind the real server."""
    changes = {
        "AUDITOR_KEYS": AUDITOR,
        "API_KEYS": f"{API_KEY.name}:{'+'.join(API_KEY.scopes)}:{API_KEY.secret}",
        "GMAIL_PUSH_ACCOUNT": ACCOUNT,
        "GMAIL_PUSH_AUDIENCE": AUDIENCE,
        "GMAIL_PUSH_SUBSCRIPTION": SUBSCRIPTION,
        "GOOGLE_CERTS_URL": google[0],
        "UNSAFE_ALLOW_LOOPBACK": "true",
    }
    with serving(installation.settings, tmp_path, changes) as server:
        yield f"http://{HOST}:{server.port}"


def wait_until_heard(url: str, token: str) -> None:
    """The first push after a start finds no certificates yet."""
    headers = {"Authorization": f"Bearer {token}"}
    while requests.post(f"{url}/webhooks/gmail", json=push_body(), headers=headers, timeout=5).status_code == 503:
        time.sleep(0.05)


def mailed_receipt(world: World) -> Any:
    attached = [part for mail in world.mails() for part in mail.iter_attachments()]
    return json.loads(attached[-1].get_content())


def test_schemathesis_finds_nothing(
    installation: World, google: tuple[str, PushSigner], served: str, tmp_path: Path
) -> None:
    push_token = google[1].token()
    wait_until_heard(served, push_token)
    known = {
        "links": {kind: installation.link(kind).rpartition("/")[2] for kind in ("w", "c", "r", "a")},
        "receipt": mailed_receipt(installation),
        "auditor_key": AUDITOR,
        "api_key": API_KEY.secret,
        "push_token": push_token,
    }
    (tmp_path / "installation.json").write_text(json.dumps(known))
    config = ROOT / "tests" / "webhooks" / "openapi" / "schemathesis.toml"
    program = [Path(sys.executable).with_name("schemathesis"), "--config-file", config, "--no-color", "run"]
    done = subprocess.run(
        [*program, f"{served}/openapi.json", "--checks", "all"],
        cwd=tmp_path,
        env=os.environ | {"INSTALLATION": str(tmp_path / "installation.json"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # A run that is refused everywhere would find nothing, too: each route must have said yes as well.
    answered = json.loads((tmp_path / "answered.json").read_text())
    routes = {f"{method} {path_of(rule)} 200" for method, rule in routes_of(installation)}
    assert routes - set(answered) == {"GET /openapi.json 200"}  # it read that one to begin with
