"""A WordPress site on WP Engine: the companion plugin's signed routes, the REST API, and the host's cache API.

Signed routes are `POST /wp-json/samtykke/v1/...`, by Standard Webhooks (https://www.standardwebhooks.com), each
webhook-id used once, the route repeated inside the body. WP Engine's API is under `/wpengine/v1`, as
https://wpengineapi.com/reference describes `purge_cache`.
"""

import argparse
import base64
import json
import os
from collections.abc import Mapping
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from tests.simulators.exchange import Reply, Request, SeedError, Simulator, check_seed_names
from tests.simulators.server import argument_parser, serve
from tests.simulators.wordpress_plugin import MEMBERS, Plugin, shape_violation
from tests.simulators.wordpress_rest import RestApi, no_route, wordpress_error

PREFIX = "/wp-json/"
PLUGIN = "samtykke/v1/"
PURGE = "/wpengine/v1/installs/install-1/purge_cache"
WPENGINE_BASIC = base64.b64encode(b"api-user:api-password").decode()
ERRORS = {
    403: ("rest_forbidden", "Sorry, you are not allowed to do that."),
    500: ("internal_server_error", "<p>There has been a critical error on this website.</p>"),
}
MAILPOET = "mailpet-subscriber"  # so written: lib/Config/PersonalDataErasers.php of MailPoet
ERASERS = {"wordpress-comments": "remove", MAILPOET: "remove", "samtykke-account": "remove"}
EXPORTERS = ["wordpress-user", "wordpress-comments", MAILPOET]


def empty_site() -> dict[str, Any]:
    """A site with the plugin, a newsletter plugin that it knows, and nobody in it."""
    return {
        "plugin": True,
        "adapters": ["mailpoet"],
        "lists": ["newsletter", "offers"],
        "needless": [],
        "subscribers": {},
        "used_ids": [],
        "withdrawals": [],
        "plugins": ["contact-form-7"],
        "users": [],
        "restricted": [],
        "granted": {},
        "erasers": ERASERS,
        "exporters": EXPORTERS,
        "stored": {},
        "outbox": [],
        "oldest_waiting_s": None,
        "comments": [],
        "gravity_forms_rest": False,
        "gravity_forms": {},
        "entries": [],
        "woocommerce": False,
        "orders": [],
        "application_password": "abcd efgh",
        "forwards_authorization": True,
        "purged": [],
    }


SEED_NAMES = frozenset(empty_site()) - {"used_ids", "withdrawals", "purged"}


class WordPress(Simulator):
    """Subscribers with `subscribed` or `unsubscribed` per purpose, kept by lower-case address."""

    def __init__(self, secret: str) -> None:
        self._webhook = Webhook(secret)
        self.state = empty_site()

    def seed(self, document: Mapping[str, Any]) -> None:
        """`retained` on a subscriber is the reason why the plugin keeps it; no adapters = not_covered. `new`: first
        empty the whole site."""
        check_seed_names(document, SEED_NAMES | {"new"})
        if document.get("new"):
            self.state = {**empty_site(), "used_ids": self.state["used_ids"]}
        for name in SEED_NAMES - {"subscribers"}:
            if name in document:
                self.state[name] = document[name]
        if "subscribers" in document:
            self.state["subscribers"] = {}
        for each in document.get("subscribers", ()):
            if not set(each) <= {"email", "purposes", "retained"}:
                raise SeedError("a subscriber has email, purposes and perhaps retained")
            self.state["subscribers"][each["email"].lower()] = {
                "purposes": dict.fromkeys(each["purposes"], "subscribed"),
                "retained": each.get("retained"),
            }

    def error_body(self, status: int) -> Any:
        code, message = ERRORS.get(status, ("http_error", "The request could not be handled."))
        return wordpress_error(status, code, message).body

    def act(self, request: Request) -> Reply:
        if request.path == PURGE:
            return self._purge(request)
        route = request.path.removeprefix(PREFIX)
        if not route.startswith(PLUGIN):
            return RestApi(self.state).answer(request)
        if not self.state["plugin"] or request.method != "POST" or route.removeprefix(PLUGIN) not in MEMBERS:
            return no_route()
        return self._signed(request, route)

    def _signed(self, request: Request, route: str) -> Reply:
        try:
            document = self._verify(request, route)
        except WebhookVerificationError:
            return wordpress_error(401, "samtykke_bad_signature", "The signature is not valid.")
        if request.headers["webhook-id"] in self.state["used_ids"]:
            return wordpress_error(401, "samtykke_replayed", "This webhook-id was used before.")
        name = route.removeprefix(PLUGIN)
        wrong = shape_violation(name, document)
        if wrong is not None or request.media_type != "application/json":
            wrong = wrong or "content type"
            return wordpress_error(400, "samtykke_invalid", f"Invalid parameter(s): {wrong}", wrong)
        self.state["used_ids"].append(request.headers["webhook-id"])
        return Plugin(self.state).answer(name, document)

    def _verify(self, request: Request, route: str) -> Any:
        """The signed document; the route inside it must be the route called. Raises WebhookVerificationError."""
        try:
            self._webhook.verify(request.body, dict(request.headers), json_parse=False)
            document = json.loads(request.body)
        except ValueError as error:  # malformed base64, header or JSON
            raise WebhookVerificationError("malformed") from error
        if isinstance(document, dict) and document.get("route") != route:
            raise WebhookVerificationError("signed for another route")
        return document

    def _purge(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Basic {WPENGINE_BASIC}":
            return Reply(401, {"message": "Bad Credentials"})
        kind = json.loads(request.body).get("type")
        if kind not in ("object", "page", "cdn", "all"):
            return Reply(400, {"message": "Invalid type"}, violation="type of cache")
        self.state["purged"].append(kind)
        return Reply(202, None, effect="purge")


def main() -> None:
    parser = argument_parser("A simulated WordPress with the companion plugin")
    parser.add_argument("--secret", default=os.environ.get("SIMULATOR_WORDPRESS_SECRET"), help="whsec_...")
    arguments: argparse.Namespace = parser.parse_args()
    if not arguments.secret:
        parser.error("--secret or SIMULATOR_WORDPRESS_SECRET is needed")
    serve(WordPress(arguments.secret), arguments)


if __name__ == "__main__":
    main()
