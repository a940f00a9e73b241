"""The application factory: wires the door to the record."""

from pathlib import Path

from flask import Flask

from console import register_commands
from ledger.database import Database
from ledger.keyring import load_keyring
from schemas.log_line import configure_logging
from schemas.policy import load_policy
from schemas.settings import Settings, load_settings
from webhooks.answers import register_answers
from webhooks.certificates import Certificates
from webhooks.consents import consents_blueprint
from webhooks.door import Door
from webhooks.forms import forms_blueprint
from webhooks.gmail import gmail_blueprint
from webhooks.health import health_blueprint
from webhooks.ledger import ledger_blueprint
from webhooks.limits import SourceLimit
from webhooks.metrics import metrics_blueprint
from webhooks.openapi import openapi_blueprint
from webhooks.pages.answer import answer_blueprint
from webhooks.pages.confirm import confirm_blueprint
from webhooks.pages.preferences import preferences_blueprint
from webhooks.pages.privacy import privacy_blueprint
from webhooks.pages.receipt import receipt_blueprint
from webhooks.pages.rights import rights_blueprint
from webhooks.pages.withdraw import withdraw_blueprint
from webhooks.requests import BODY_SIZE_MAX_BYTES
from webhooks.stripe import stripe_blueprint
from workers.connections import session_to
from workers.context import now_ms, warn_of_sqlite
from workers.doorbell import Doorbell

DATABASE_ANSWERS_WITHIN_S = 4.0  # the promise is a 503 within 5
ROOT = Path(__file__).resolve().parent


def create_console(settings: Settings | None = None) -> Flask:
    """What the `flask` command starts (.flaskenv): the operator's commands, which must work before there are keys."""
    settings = settings or load_settings(ROOT)
    app = Flask("console")
    register_commands(app, settings)
    return app


def create_app(settings: Settings | None = None) -> Flask:
    """What gunicorn serves: the door. Fails at start if a key or the policy is missing."""
    settings = settings or load_settings(ROOT)
    configure_logging(settings.log_level)
    warn_of_sqlite(settings)
    app = Flask("webhooks")
    door = Door(
        settings=settings,
        policy=load_policy(settings.policy_file),
        database=Database(
            settings.database_url, pool_size=settings.web_threads, answers_within_s=DATABASE_ANSWERS_WITHIN_S
        ),
        keyring=load_keyring("web", settings.keys_dir, settings.keyring),
        doorbell=Doorbell(settings.redis_url),
        clock=now_ms,
        limit=SourceLimit(settings.source_limit_per_s),
    )
    app.extensions["door"] = door
    app.config["MAX_CONTENT_LENGTH"] = BODY_SIZE_MAX_BYTES
    app.url_map.merge_slashes = False  # it redirects, and so repeats a path that may hold a secret
    for make in (
        forms_blueprint,
        stripe_blueprint,
        withdraw_blueprint,
        preferences_blueprint,
        confirm_blueprint,
        rights_blueprint,
        receipt_blueprint,
        answer_blueprint,
        consents_blueprint,
        privacy_blueprint,
        ledger_blueprint,
        health_blueprint,
        metrics_blueprint,
    ):
        app.register_blueprint(make(door))
    certificates = Certificates(settings.google_certs_url, session_to(settings, settings.google_certs_url))
    app.extensions["certificates"] = certificates
    app.register_blueprint(gmail_blueprint(door, certificates))
    app.register_blueprint(openapi_blueprint(settings.public_url))
    register_answers(app)
    return app
