"""An installation with a form of every plugin: policy.toml with its commented examples switched on, and a few more."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.webhooks.capture import OF_THE_LISTENER, Capture
from tests.world import FORM_SECRET, ROOT, SIGNED_SECRET, World, settings_for
from webhooks.answers import register_answers
from webhooks.door import Door
from webhooks.forms import forms_blueprint

# The secrets with which the captures were signed, and one of the same shape for the rest.
SECRETS = {
    "newsletter-wpforms": "wpf-secret-0123456789",
    "customers-woocommerce": 'woo-secret-<&>"x',
    "newsletter-formidable": "secret",
}
SIGNED = {"newsletter", "withdrawal", "newsletter-companion"}
MORE = """
[forms.newsletter-elementor-simple]
dialect = "elementor"
intent = "consent"
fields = { email = "E-Mail", first_name = "First name", last_name = "Last name", company = "Company" }
notice = "personvern-1"
[[forms.newsletter-elementor-simple.consent]]
field = "Consent"
accepted = ["on"]
purposes = ["newsletter"]

[forms.orders-woocommerce]
dialect = "woocommerce"
intent = "consent"
fields = { email = "billing.email", first_name = "billing.first_name", last_name = "billing.last_name" }
time_field = "date_created_gmt"
topics = ["order.created", "order.updated"]
notice = "personvern-1"
[[forms.orders-woocommerce.consent]]
field = "meta_data._newsletter"
accepted = ["1"]
purposes = ["newsletter"]

[forms.topics-wpforms]
dialect = "wpforms"
intent = "consent"
fields = { email = "email" }
[[forms.topics-wpforms.consent]]
field = "topics"
accepted = ["News"]
purposes = ["newsletter"]
[[forms.topics-wpforms.consent]]
field = "topics"
accepted = ["Offers"]
purposes = ["offers"]

[forms.access]
dialect = "jetpack_forms"
intent = "request"
right = "access"
fields = { email = "email" }
"""


def policy_text() -> str:
    shipped = (ROOT / "policy.toml").read_text(encoding="utf-8")
    return re.sub(r"(?m)^#(?=\S)", "", shipped) + MORE


def plugin_world(directory: Path, database_url: str | None = None, **changes: Any) -> World:
    directory.mkdir(parents=True, exist_ok=True)
    policy_file = directory / "policy.toml"
    policy_file.write_text(policy_text(), encoding="utf-8")
    keys = re.findall(r"(?m)^\[forms\.([a-z0-9-]+)\]", policy_text())
    secrets = {key: (SECRETS.get(key, SIGNED_SECRET if key in SIGNED else FORM_SECRET),) for key in keys}
    settings = settings_for(directory / "var", database_url, policy_file=policy_file, **changes)
    return World(replace(settings, form_secrets=secrets))


def client_at(world: World, at_ms: int) -> FlaskClient:
    """The door by another clock: a captured signature counts for five minutes."""
    door: Door = world.client.application.extensions["door"]
    app = Flask("webhooks")
    app.register_blueprint(forms_blueprint(replace(door, clock=lambda: at_ms)))
    register_answers(app)
    return app.test_client()


def send(
    client: FlaskClient,
    form: str,
    body: bytes,
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> TestResponse:
    return client.post(f"/webhooks/forms/{form}", data=body, content_type=content_type, headers=headers or {})


def send_capture(client: FlaskClient, form: str, capture: Capture) -> TestResponse:
    """As captured, with the secret where this plugin puts it; only the path is ours."""
    headers = {name: value for name, value in capture.headers.items() if name.lower() not in OF_THE_LISTENER}
    if "Authorization" not in headers:
        headers["X-Gdpr-Token"] = FORM_SECRET
    return client.open(f"/webhooks/forms/{form}", method="POST", data=capture.body, headers=headers)
