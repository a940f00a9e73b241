"""The peer: a Django project of one module with dj-stripe in it, as its documentation has it, and nothing else.

`python -m tests.bench.peer_djstripe` makes its database; gunicorn serves `application`. Runs with var/peers first on
the path, never in our own processes. What could be chosen was chosen for speed: no middleware but the length of the
answer, no admin, no log; connections are kept; SQLite as ours is set, and its library is ours too.
"""

import os
import sys
from urllib.parse import urlsplit

from ledger.sqlite import sqlite

# Before Django looks for them.
sys.modules |= {"sqlite3": sys.modules[sqlite.__name__.partition(".")[0]], "sqlite3.dbapi2": sqlite}

import django  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import include, path  # noqa: E402

# PEER_DATABASE: SQLAlchemy's URL. PEER_STRIPE_API: where Stripe's API is; empty: events are handed on.
DATABASE, STRIPE_API = "PEER_DATABASE", "PEER_STRIPE_API"
ENDPOINT_ID = "00000000-0000-4000-8000-000000000000"
API_KEY = "sk_test_" + 24 * "0"
SQLITE_OPTIONS = {
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0",
    "transaction_mode": "IMMEDIATE",  # with the default, two transactions that read before they write lock each other
    "timeout": 20,
}


def hand_on(trigger: object, api_key: str | None = None) -> None:
    """Where a project puts the event in its task queue (dj-stripe, "DJSTRIPE_WEBHOOK_EVENT_CALLBACK"). No queue costs
    less than this one.
    """


def with_length(get_response: object) -> object:
    def middleware(request: HttpRequest) -> HttpResponse:
        response: HttpResponse = get_response(request)  # type: ignore[operator]
        response["Content-Length"] = str(len(response.content))
        return response

    return middleware


def _database(url: str) -> dict[str, object]:
    parts, kept = urlsplit(url), {"CONN_MAX_AGE": None}
    if parts.scheme == "sqlite":
        name = parts.path.removeprefix("/")
        return kept | {"ENGINE": "django.db.backends.sqlite3", "NAME": name, "OPTIONS": SQLITE_OPTIONS}
    return kept | {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.removeprefix("/"),
        "USER": parts.username,
        "HOST": parts.query.removeprefix("host="),
    }


def configure() -> None:
    handed_on = {} if os.environ[STRIPE_API] else {"DJSTRIPE_WEBHOOK_EVENT_CALLBACK": hand_on}
    settings.configure(
        SECRET_KEY="peer",
        DEBUG=False,
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        APPEND_SLASH=False,
        MIDDLEWARE=[f"{__name__}.with_length"],
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "djstripe"],
        MIGRATION_MODULES=dict.fromkeys(("contenttypes", "auth", "djstripe")),  # the same tables, without their past
        DATABASES={"default": _database(os.environ[DATABASE])},
        USE_TZ=True,
        LOGGING_CONFIG=None,
        STRIPE_TEST_SECRET_KEY=API_KEY,
        STRIPE_LIVE_MODE=False,
        STRIPE_API_HOST=os.environ[STRIPE_API] or "http://127.0.0.1:9",  # nobody is there, so whoever asks is found out
        DJSTRIPE_FOREIGN_KEY_TO_FIELD="id",
        **handed_on,
    )
    django.setup()


def make_database(secret: str) -> None:
    """Every row that dj-stripe would otherwise ask Stripe for: the endpoint, the account, its key and the customer."""
    from djstripe.models import Account, APIKey, Customer, WebhookEndpoint

    call_command("migrate", run_syncdb=True, verbosity=0)
    account = Account.objects.create(id="acct_1", stripe_data={"id": "acct_1"})
    APIKey.objects.create(secret=API_KEY, type="secret", livemode=False, djstripe_owner_account=account)
    Customer.objects.create(id="cus_1", livemode=False, stripe_data={"id": "cus_1"}, djstripe_owner_account=account)
    WebhookEndpoint.objects.create(
        id="we_1",
        djstripe_uuid=ENDPOINT_ID,
        secret=secret,
        url=f"https://www.example.no/stripe/webhook/{ENDPOINT_ID}",
        status="enabled",
        enabled_events=["*"],
        livemode=False,
    )


configure()
urlpatterns = [
    path("stripe/", include("djstripe.urls", namespace="djstripe")),
    path("health/ready", lambda request: HttpResponse("ready")),
]
application = get_wsgi_application()

if __name__ == "__main__":
    make_database(sys.argv[1])
